"""What a reward is: terms of a completion, and their total."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from .reading import Reading

Terms = dict[str, float]
"""Every term by name, and `total`. Without `total` the reward does not apply to this completion."""


class Bounds(NamedTuple):
    """Where totals lie."""

    low: float
    """The total of a completion that cannot be read, and the least of any if the reward is bounded."""

    high: float | None
    """The greatest total; absent for a reward without bounds."""

    def share(self, total: float) -> float:
        """Map a total into [0, 1], for programs that filter by it.

        Examples:
            >>> Bounds(-1.0, 1.0).share(0.5), Bounds(-10.0, None).share(0.0)
            (0.75, 0.5)
        """
        if self.high is None:
            return 0.5 + 0.5 * total / (1.0 + abs(total))
        return min(1.0, max(0.0, (total - self.low) / (self.high - self.low)))


class Reward(Protocol):
    """Grades a batch of completions."""

    @property
    def name(self) -> str:
        """By which it is chosen."""
        ...

    @property
    def bounds(self) -> Bounds:
        """Where its totals lie."""
        ...

    async def grade(self, readings: Sequence[Reading]) -> list[Terms]:
        """Return the terms of each completion, in order.

        Raises:
            ModelUnavailableError: A model that grades answered nothing.
        """
        ...


async def grade_readable(
    readings: Sequence[Reading],
    floor: float,
    grade: Callable[[Sequence[Reading]], Awaitable[Sequence[Mapping[str, float]]]],
) -> list[Terms]:
    """Grade what could be read; the rest gets the floor."""
    places = [place for place, reading in enumerate(readings) if reading.draft is not None]
    terms: list[Terms] = [{"malformed": 1.0, "total": floor} for _ in readings]
    if places:
        graded = await grade([readings[place] for place in places])
        for place, found in zip(places, graded, strict=True):
            terms[place] = {**found, "malformed": 0.0}
    return terms
