"""A rating scale as a model sees it: whole numbers from 1, each one digit and hence one token."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST_LEVELS = 9
"""Levels that are one digit."""

FALLBACK_LEVELS = 5
"""Levels of a scale whose own values are too many or uneven."""


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
