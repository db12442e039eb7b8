"""Token buckets: how often each key may ask. They live in one process; several processes allow as many times more."""

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...tools.clock import Clock

_REMEMBERED = 10_000
"""Keys that are remembered; the least recently seen is forgotten, which fills its bucket."""


class Buckets:
    """One bucket for each key: a request takes a token, and tokens come back at a steady rate.

    Args:
        rate: Tokens a second; absent for no limit.
        burst: Tokens that a full bucket holds.
        clock: Source of time.

    Examples:
        >>> from datetime import UTC, datetime
        >>> from limner.tools.clock import ManualClock
        >>> clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        >>> buckets = Buckets(2.0, 1, clock)
        >>> buckets.take("a"), buckets.take("a"), buckets.take("b")
        (0.0, 0.5, 0.0)
        >>> clock.advance(0.5)
        >>> buckets.take("a")
        0.0
    """

    def __init__(self, rate: float | None, burst: int, clock: "Clock") -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take a token and return 0, or return the seconds until there is one; then none was taken."""
        if self._rate is None:
            return 0.0
        now = self._clock.now().timestamp()
        level, since = self._levels.get(key, (float(self._burst), now))
        level = min(float(self._burst), level + max(0.0, now - since) * self._rate)
        if level >= 1.0:
            self._keep(key, level - 1.0, now)
            return 0.0
        self._keep(key, level, now)
        return (1.0 - level) / self._rate

    def _keep(self, key: str, level: float, now: float) -> None:
        self._levels[key] = level, now
        self._levels.move_to_end(key)
        if len(self._levels) > _REMEMBERED:
            self._levels.popitem(last=False)
