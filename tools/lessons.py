"""What a space is taught from, in plain arrays and words: so whoever cuts the past needs no trainer, and the
other way round.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .embedder import FloatArray
from .space import Space

IntArray = NDArray[np.int64]


class PastPortrait(NamedTuple):
    """One user's portrait at a moment of this user's sequence."""

    sequence: int
    """Place of the user in `Lessons.sequences`."""

    cut: int
    """The portrait rests on what came before this place of the sequence, and on nothing else; 1 or more."""

    facets: FloatArray
    """Unit vectors of the sentences that score items, by the frozen encoder; shape `(F, D)`, F >= 1."""


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """A past, cut by the caller: nothing here may lie at or after the moment of any question asked later."""

    encoder: str
    """`Embedder.name` of the encoder behind all vectors."""

    items: FloatArray
    """Unit vectors of the catalogue, shape `(N, D)`."""

    sequences: Sequence[IntArray]
    """For each user the places of the items in `items`, oldest first."""

    portraits: Sequence[PastPortrait] = ()
    """Portraits of some of these users; without any, nothing is learned about sentences."""

    source: str = ""
    """Name of the data, for the space's file."""


class Words(NamedTuple):
    """One moment of a past in words, to tune an encoder on."""

    query: str
    """The newest items as one text, what a portrait says, or one behind the other."""

    answer: str
    """Text of the item that came next."""

    had: tuple[str, ...] = ()
    """Texts of the newest items, which are no negatives of this query."""


class Teach(Protocol):
    """Teaches a space."""

    def __call__(self, lessons: Lessons, *, seed: int, notice: Callable[[str], None]) -> Space:
        """Return the space that served held-back users of the lessons best.

        Raises:
            MissingExtraError: The trainer's library is not installed.
            TooFewLessonsError: There are too few sequences to hold anybody back.
        """
        ...
