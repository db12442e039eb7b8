"""Recommendations as data: what a user may choose next, and why."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from .errors import LimnerError
from .records import Identifier, Item, Moment, Record, Usage


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What is not to be recommended."""

    had: bool = True
    """Leave out what the user's own interactions name."""

    unavailable: Collection[str] = frozenset()
    """Item ids to leave out."""

    available: Callable[[Item], bool] | None = None
    """Says by an item's fields whether it may be recommended; absent for all."""

    categories: Collection[str] = frozenset()
    """Only items with one of these categories, whatever their case; empty for all."""

    without: Collection[str] = frozenset()
    """No item with one of these categories, whatever their case."""

    def allow(self, item: Item) -> bool:
        """Whether an item may be recommended, by its own fields."""
        labels = {label.casefold() for label in item.categories}
        if self.categories and not labels & {label.casefold() for label in self.categories}:
            return False
        if labels & {label.casefold() for label in self.without} or item.item_id in self.unavailable:
            return False
        return self.available is None or self.available(item)


class RecommendationReason(Record):
    """One thing that speaks for an item, with what it rests on."""

    signal: str
    """Which signal: `sequence`, `text`, `profile`, `group`, `card`, `trend` or `generated`."""

    text: str
    """One sentence in the user's language."""

    evidence: tuple[Identifier, ...] = ()
    """Event ids of the user's own history, most telling first; empty if it rests on others or on the item."""


class Recommendation(Record):
    """One item for one user."""

    item_id: Identifier
    """The item."""

    title: str
    """Its title; empty if the catalogue has none."""

    place: Annotated[int, Field(ge=1)]
    """1 is best."""

    score: float
    """Fused score; compares within one answer only."""

    shares: dict[str, float] = Field(default_factory=dict[str, float])
    """What each signal added, as shares of all that spoke for the item; they add up to 1, or there are none."""

    because: str = ""
    """One sentence in the user's language; empty if nobody asked why."""

    reasons: tuple[RecommendationReason, ...] = ()
    """Most telling first; empty if nobody asked why."""


class Recommendations(Record):
    """What a user may choose next, best first."""

    user_id: Identifier
    """For whom."""

    as_of: Moment
    """Nothing at or after this moment was used."""

    items: tuple[Recommendation, ...]
    """Best first; fewer than were asked for if no more pass the filters."""

    language: str
    """ISO 639-1 code of the sentences."""

    index: str
    """Name of the index that ranked: equal names rank equal histories alike."""

    calibrated: bool
    """Whether the weights of the signals were fitted; false where too few users could be held back."""

    drafts: tuple[str, ...] = ()
    """What the model wrote about the next item; empty if it was not asked."""

    notes: tuple[str, ...] = ()
    """Anything the reader should know."""

    usage: Usage = Usage()
    """What it cost in calls of models."""


@dataclass(frozen=True, kw_only=True)
class RecommendationOutcome:
    """What became of one user of a batch."""

    user_id: str
    """The user."""

    recommendations: Recommendations | None = None
    """What was found."""

    error: LimnerError | None = None
    """Why there is nothing."""
