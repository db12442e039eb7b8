"""A rating scale as a model sees it: whole numbers from 1, each one digit and hence one token."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .store import RatingScale

MOST_LEVELS = 9
"""Levels that are one digit."""

FALLBACK_LEVELS = 5
"""Levels of a scale whose own values are too many or uneven."""


_EDGE = 0.01
_STEEPEST = 200.0
_HALVINGS = 60


class ShownScale(NamedTuple):
    """The source's scale and the levels 1, 2, … that stand for it; each level is one digit, hence one token."""

    low: float
    """Lowest rating of the source; level 1."""

    high: float
    """Highest rating of the source; the last level."""

    levels: int
    """How many levels, from 1 to `MOST_LEVELS`."""

    def shown(self, rating: float) -> int:
        """Return the level nearest to a rating.

        Examples:
            >>> ShownScale(2.0, 10.0, 5).shown(8.0)
            4
        """
        if self.high <= self.low:
            return 1
        share = (rating - self.low) / (self.high - self.low)
        return 1 + round(min(max(share, 0.0), 1.0) * (self.levels - 1))

    @property
    def middle(self) -> float:
        """What an answer counts as that names no level."""
        return (self.low + self.high) / 2

    def labels(self) -> list[str]:
        """Return the levels as a model writes them."""
        return [str(level) for level in range(1, self.levels + 1)]

    def values(self) -> Sequence[float]:
        """Return the rating that each level stands for."""
        values: list[float] = np.linspace(self.low, self.high, self.levels).tolist()
        return values


def tilted(levels: int, share: float) -> NDArray[np.float64]:
    """Return the least assuming distribution over levels whose mean is a share of the scale, shape `(levels,)`.

    Of all with that mean it has the greatest entropy: `p(k)` goes with `exp(b k)`.

    Args:
        levels: How many levels, >= 2.
        share: The mean, 0 for the lowest level and 1 for the highest; kept off the very ends.

    Examples:
        >>> tilted(3, 0.5).round(3).tolist(), tilted(3, 0.75).round(3).tolist()  # 0.268 / 2 + 0.616 = 0.75
        ([0.333, 0.333, 0.333], [0.116, 0.268, 0.616])
    """
    grid = np.linspace(0.0, 1.0, levels)
    wanted, low, high = min(max(share, _EDGE), 1.0 - _EDGE), -_STEEPEST, _STEEPEST
    shares = np.full(levels, 1.0 / levels)
    for _ in range(_HALVINGS):
        slope = (low + high) / 2.0
        shares = np.exp(slope * grid - max(slope, 0.0))
        shares /= shares.sum()
        low, high = (slope, high) if shares @ grid < wanted else (low, slope)
    return shares


def shown_scale(scale: RatingScale | None) -> ShownScale | None:
    """Return the scale of a store's ratings as a model sees it; `None` if it has no two different ones.

    Whole numbers that are at most eight apart keep their steps; any other scale is shown as 1 to 5.

    Examples:
        >>> shown_scale(RatingScale(1.0, 10.0, 7.0, 99)), shown_scale(RatingScale(4.0, 4.0, 4.0, 1))
        (ShownScale(low=1.0, high=10.0, levels=5), None)
    """
    if scale is None or scale.high <= scale.low:
        return None
    steps = scale.high - scale.low
    whole = steps == round(steps) and round(steps) < MOST_LEVELS
    return ShownScale(scale.low, scale.high, round(steps) + 1 if whole else FALLBACK_LEVELS)
