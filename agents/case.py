"""The material of one run: what drafts may see, what is held back, and what grades them.

Everything is read with an exclusive `as_of`. The held-back interactions are the last ones *before* it: the
critic's positives come from the history, never from the future, and no draft has seen them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..records import Interaction, Item, Polarity
from ..tools.embedder import FloatArray
from ..tools.reward import Exam
from ..tools.store import RatingScale
from .corrections.correction import correction_of, own_words
from .hearsay import names_said_once
from .lexicon import item_phrases, review_phrases

MOST_EVENTS = 400
"""Interactions read per run, newest first; older ones are left out."""

_FELT: dict[Polarity, str] = {"like": "liked", "dislike": "disliked", "neutral": "so-so"}
_LIKE_FROM = 0.65
DISLIKE_TO = 0.4


class Lengths(NamedTuple):
    """How much of an interaction a prompt shows, in characters."""

    title: int
    labels: int
    quote: int
    """Of the user's words about an item."""

    message: int
    """Of the user's words where there is no item."""


FULL = Lengths(title=80, labels=60, quote=160, message=160)
BRIEF = Lengths(title=48, labels=40, quote=60, message=60)
"""For small models on a CPU, where reading a prompt costs more than writing the answer."""

BARE = Lengths(title=60, labels=40, quote=0, message=80)
"""For profilers that were trained on what they were shown."""


class EventLine(NamedTuple):
    """One interaction as a prompt shows it."""

    ref: str
    """Short name, valid within one prompt."""

    line: str
    """Title, labels, rating, the user's words."""


class Phrases(NamedTuple):
    """What one interaction offers to say."""

    labels: list[str]
    words: list[str]


class Split(NamedTuple):
    """A history cut in two."""

    visible: tuple[Interaction, ...]
    held: tuple[Interaction, ...]
    positives: tuple[str, ...]
    """Item ids among the held-back ones that the user did not dislike and had not had before."""


@dataclass(frozen=True, kw_only=True)
class ItemSide:
    """The item of a pair, and who used it."""

    item: Item
    """The item."""

    vector: FloatArray
    """Its unit vector, shape `(D,)`."""

    events: tuple[Interaction, ...]
    """Interactions by others that drafts may see, oldest first."""

    held_users: FloatArray
    """Mean recent vectors of the held-back users who liked it, in the critic's space; shape `(P, D)`."""

    other_users: FloatArray
    """Mean recent vectors of sampled users, in the critic's space; shape `(U, D)`."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """The material of one run."""

    subject: str
    """Whose history `visible` is: `user:ID`, or `item:ID` for the other side of a pair."""

    as_of: datetime
    """Exclusive bound of everything here."""

    visible: tuple[Interaction, ...]
    """What drafts may see, oldest first."""

    held: tuple[Interaction, ...]
    """What the critic holds back, oldest first; all later than `visible`."""

    items: Mapping[str, Item]
    """Items of the whole history, by id."""

    language: str
    """ISO 639-1 code of the user's language."""

    scale: RatingScale | None
    """Ratings seen in the store, to tell high from low."""

    vectors: Mapping[str, FloatArray]
    """Vector of each visible item, by item id."""

    exam: Exam
    """What grades the drafts; its vectors lie in the critic's space."""

    positives: tuple[str, ...]
    """Item ids behind `exam.positives`."""

    negatives: tuple[str, ...]
    """Item ids behind `exam.negatives`."""

    neg_seed: int
    """Seed of the negatives."""

    item_side: ItemSide | None = None
    """The other side of a pair; absent for a profile."""

    frozen: Exam | None = None
    """The same exam in the encoder's own space; absent where that is the critic's."""

    offers: dict[str, list[str]] = field(default_factory=dict[str, list[str]], init=False, compare=False)
    """Memory of `offered_phrases`, by event id."""

    content_words: dict[str, set[str]] = field(default_factory=dict[str, set[str]], init=False, compare=False)
    """Memory of the words that `Evidence` compares sentences with, by event id."""

    _phrases: dict[str, Phrases] = field(default_factory=dict[str, Phrases], init=False, compare=False)

    @cached_property
    def hearsay(self) -> frozenset[str]:
        """Names that one review alone drops, which no sentence may take up; see `agents.hearsay`."""
        return names_said_once((*self.visible, *self.held), self.items, self.language)

    @property
    def has_exam(self) -> bool:
        """Whether anything is held back to grade drafts with."""
        return len(self.exam.positives) > 0 and len(self.exam.negatives) > 0

    def for_item(self) -> "Case":
        """Return the same material seen from the item of a pair: others' interactions as its history."""
        assert self.item_side is not None, "only a pair has an item side"
        item = self.item_side.item
        return replace(
            self,
            subject=f"item:{item.item_id}",
            visible=self.item_side.events,
            held=(),
            items={item.item_id: item},
            item_side=None,
        )

    def recent(self, count: int) -> tuple[Interaction, ...]:
        """Return the last interactions, newest first, held-back ones included."""
        return tuple(reversed((*self.visible, *self.held)))[:count]

    def polarity(self, event: Interaction) -> Polarity:
        """Tell whether the user liked it; see `polarity_of`."""
        return polarity_of(event, self.scale)

    def refs(self) -> dict[str, str]:
        """Return short names of the visible interactions by event id; `e1` is the oldest."""
        return {event.event_id: f"e{number}" for number, event in enumerate(self.visible, start=1)}

    def lines(self, events: Sequence[Interaction], lengths: Lengths = FULL) -> list[EventLine]:
        """Return visible interactions as prompts show them."""
        refs = self.refs()
        return [
            EventLine(refs[event.event_id], describe_event(event, self.items, self.polarity(event), lengths))
            for event in events
        ]

    def labels(self, event: Interaction) -> list[str]:
        """Return the phrases that an interaction's item offers."""
        return self._phrases_of(event).labels

    def words(self, event: Interaction) -> list[str]:
        """Return the phrases that the user's own words offer."""
        return self._phrases_of(event).words

    def phrases(self, event: Interaction) -> list[str]:
        """Return all phrases that an interaction offers, its item's labels first."""
        return self.labels(event) + self.words(event)

    def _phrases_of(self, event: Interaction) -> "Phrases":
        found = self._phrases.get(event.event_id)
        if found is None:
            item = self.items.get(event.item_id) if event.item_id else None
            labels = item_phrases(item, self.language) if item else []
            found = Phrases(labels, review_phrases(own_words(event), self.language))
            self._phrases[event.event_id] = found
        return found


def polarity_of(event: Interaction, scale: RatingScale | None) -> Polarity:
    """Read a rating from 65 % of the scale up as like, up to 40 % as dislike; without one, a choice is a like."""
    if event.rating is None or scale is None or scale.high <= scale.low:
        return "neutral" if event.kind == "message" else "like"
    share = (event.rating - scale.low) / (scale.high - scale.low)
    return "like" if share >= _LIKE_FROM else "dislike" if share <= DISLIKE_TO else "neutral"


def split_history(
    events: Sequence[Interaction], known: Mapping[str, Item], scale: RatingScale | None, *, holdout: int
) -> Split:
    """Hold back the end of a history.

    The tail grows backwards until it has `holdout` items the user did not dislike, at most a third of the
    history, and never more than twice as many interactions as that. If it holds no item that is new to the
    user, nothing is held back: it could grade nobody.
    """
    wanted = min(holdout, len(events) // 3)
    start, found = len(events), 0
    while found < wanted and len(events) - start < 2 * wanted:
        start -= 1
        event = events[start]
        found += event.item_id in known and polarity_of(event, scale) != "dislike"
    visible, held = tuple(events[:start]), tuple(events[start:])
    had = {event.item_id for event in visible}
    positives = dict.fromkeys(
        event.item_id
        for event in held
        if event.item_id in known and event.item_id not in had and polarity_of(event, scale) != "dislike"
    )
    if not positives:
        return Split(tuple(events), (), ())
    return Split(visible, held, tuple(item_id for item_id in positives if item_id))


def describe_event(event: Interaction, items: Mapping[str, Item], felt: Polarity, lengths: Lengths) -> str:
    """Return one interaction in one line: title, labels, whether it pleased, quoted words.

    Ratings are shown as words, so that a draft cannot repeat a number that it must not spell.
    """
    item = items.get(event.item_id) if event.item_id else None
    parts: list[str] = []
    if item:
        title = one_line(item.title)[: lengths.title] or "untitled"
        labels = one_line(", ".join([*item.categories, *item.tags]))[: lengths.labels]
        parts.append(f"{title} ({labels})" if labels else title)
    if event.rating is not None:
        parts.append(_FELT[felt])
    shown = lengths.quote if item else lengths.message
    correction = correction_of(event)
    if correction and shown:
        wrong = one_line(correction.wrong)[:shown].replace('"', "'")
        parts.append(f"says that this is wrong: '{wrong}'")
    if (said := own_words(event)) and shown:
        quote = one_line(said)[:shown].replace('"', "'")
        parts.append(f'wrote: "{quote}"')
    return "; ".join(parts) or event.kind


def one_line(text: str) -> str:
    """Join the words of a text with single blanks, so that data cannot look like a further entry."""
    return " ".join(text.split())


def event_text(event: Interaction, items: Mapping[str, Item]) -> str:
    """Return the text an interaction is known by: its item's and the user's own words."""
    item = items.get(event.item_id) if event.item_id else None
    return ". ".join(part for part in (item.describe() if item else "", own_words(event)) if part)


def mean_vector(vectors: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """Return the weighted mean at unit length, shape `(D,)`.

    Examples:
        >>> [round(x, 2) for x in mean_vector(np.eye(2, dtype=np.float32), np.float32([3, 4])).tolist()]
        [0.6, 0.8]
    """
    mean = np.average(vectors, axis=0, weights=weights)
    unit: FloatArray = (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)
    return unit
