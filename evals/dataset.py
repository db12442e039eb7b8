"""A set of events in columns, and its card.

Users and items are numbered at random (seeded) when a set is loaded, so that no number tells when something
first appeared. Events are ordered by user, then time; a source that gives only an order has the place as time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from ..records import Item, Record
from .texts import Texts

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


class Card(Record):
    """What one should know of a data set before believing a number measured on it."""

    name: str
    """Name used in results and file names."""

    source: str
    """Who published it, and where."""

    terms: str
    """What it may be used for."""

    users: int
    items: int
    events: int
    """Counts of the loaded set."""

    clock: Literal["timestamps", "order"]
    """Whether events carry moments, or only an order within each user."""

    text_by_model: bool | None
    """Whether a language model wrote (part of) the text; absent if nobody knows."""

    notes: tuple[str, ...] = ()
    """Traps and departures worth a line in a report."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """Parallel columns of events, each of shape `(E,)`."""

    user: IntArray
    """User numbers, non-decreasing within a data set."""

    item: IntArray
    """Item numbers."""

    at: IntArray
    """Microseconds since 1970 (UTC), or the place within the user's sequence where the clock is `order`."""

    rating: FloatArray
    """On the source's own scale; NaN where the user gave none."""

    text: Sequence[str] | None = None
    """The users' own words, empty where there are none; absent if no event has any."""

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: IntArray | NDArray[np.bool_] | slice) -> Self:
        """Return some rows, in the order given."""
        kept = np.arange(len(self))[rows]
        if self.text is None or isinstance(self.text, Texts):
            text: Sequence[str] | None = None if self.text is None else self.text.take(kept)
        else:
            text = tuple(self.text[int(row)] for row in kept.tolist())
        return type(self)(
            user=self.user[kept], item=self.item[kept], at=self.at[kept], rating=self.rating[kept], text=text
        )


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Items, users and everything that happened."""

    card: Card

    items: Sequence[Item]
    """The catalogue; an item's number is its place here."""

    user_ids: Sequence[str]
    """The source's ids; a user's number is the place here."""

    events: Events
    """Everything that happened, ordered by user, then time."""

    seed: int
    """Decided the numbering, and the order of events of one user at one moment."""

    boundaries: tuple[int, int] | None = None
    """Moments from which the publisher's own split validates and tests; absent if it has none."""

    @cached_property
    def starts(self) -> IntArray:
        """First row of each user in `events`, and their number at the end; shape `(users + 1,)`."""
        return np.searchsorted(self.events.user, np.arange(len(self.user_ids) + 1))
