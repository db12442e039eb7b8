"""Probe: plant an event in the future and prove that nobody sees it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..errors import SettingsError
from ..records import Item, content_hash
from .dataset import Dataset, Events, FloatArray, IntArray
from .results import Probe
from .splits import Queries, Split

TextsSeen = Callable[[Split], Iterable[str]]
"""Fits a system on a split, asks it the test, and returns every text it was shown or made of what it saw."""

_USERS = 50


class Planted(NamedTuple):
    """A data set with an event that nothing may show."""

    dataset: Dataset
    item: int
    """Number of the item that only planted events are about."""

    title: str
    """The word that only this item's title has."""

    text: str
    """The word that only the planted events' texts have."""

    users: IntArray
    """Whose future was planted."""


def canary(
    dataset: Dataset, split: Split, *, texts_seen: TextsSeen | None = None, options_shown: bool = False
) -> Probe:
    """Plant events at and after the moment of some queries, split again, and look for them.

    Args:
        dataset: What was split.
        split: How; its `rebuild` splits the planted set.
        texts_seen: Runs a system on the test queries of the planted users; absent to look at the split alone.
        options_shown: Whether the system is shown the answer among others, so that its title may be seen.

    Raises:
        SettingsError: The split has no `rebuild`.
    """
    if split.rebuild is None:
        raise SettingsError("split", "has no `rebuild`; a canary needs to split a second data set alike")
    planted = plant(dataset, split.test.queries)
    again = split.rebuild(planted.dataset)
    seen = [again.past.events, again.validation.queries.history, again.test.queries.history]
    found = sum(int((events.item == planted.item).sum()) for events in seen)
    where = "past and histories"
    if texts_seen is not None:
        small = replace(
            again, test=again.test.take(np.flatnonzero(np.isin(again.test.queries.user, planted.users)))
        )
        words = (planted.text,) if options_shown else (planted.text, planted.title)
        found += sum(any(word in text.casefold() for word in words) for text in texts_seen(small))
        where += " and texts"
    asked = int((again.test.answers.item == planted.item).sum())
    return Probe(
        name="canary",
        dataset=dataset.card.name,
        passed=found == 0 and asked > 0,
        value=float(found),
        limit=0.0,
        detail=f"sightings in {where} of an event planted after the question; {asked} queries ask for it",
    )


def plant(dataset: Dataset, queries: Queries) -> Planted:
    """Add an item, and an event on it for some users who are asked.

    Every second event is at the very moment of the question, the others are later; where there is only an order,
    all are last.
    """
    rng = np.random.default_rng(dataset.seed)
    drawn = np.sort(rng.choice(len(queries), min(_USERS, len(queries)), replace=False))
    users, as_of = queries.user[drawn], queries.as_of[drawn]
    if dataset.card.clock == "timestamps":
        at = as_of + np.arange(len(users)) % 2
    else:
        at = dataset.events.at[dataset.starts[users + 1] - 1] + 1
    title, text = (f"{kind}{content_hash(dataset.seed, kind)[:12]}" for kind in ("canarytitle", "canarytext"))
    item = len(dataset.items)
    return Planted(
        dataset=replace(
            dataset,
            items=(*dataset.items, Item(item_id=title, title=title)),
            events=_with(dataset.events, users, at, item, text),
        ),
        item=item,
        title=title,
        text=text,
        users=users,
    )


def _with(events: Events, users: IntArray, at: IntArray, item: int, text: str) -> Events:
    """Return the events and one more of each user, in order; a new event follows those of its moment."""
    planted = len(users)
    user, moments = np.concatenate([events.user, users]), np.concatenate([events.at, at])
    order = np.lexsort((moments, user))
    old = [""] * len(events) if events.text is None else list(events.text)
    texts = [*old, *[text] * planted]
    rating: FloatArray = np.concatenate([events.rating, np.full(planted, np.nan, dtype=np.float32)])
    return Events(
        user=user[order],
        item=np.concatenate([events.item, np.full(planted, item)])[order],
        at=moments[order],
        rating=rating[order],
        text=tuple(texts[int(row)] for row in order.tolist()),
    )
