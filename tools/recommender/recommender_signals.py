"""What the past says of the next item: sequences of others, words of items, and what is chosen lately.

Every signal is a matrix of scores, shape `(Q, N)`, for histories given as two arrays: items one after the other,
each history oldest first, and where each begins, with their end, shape `(Q + 1,)`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...records import Item
from ..embedder import FloatArray
from ..grouping.group_fitting import GroupPlan, fit_groups
from ..grouping.grouping import GroupItems, Groups, assign, group_items, item_scores
from ..grouping.interest_graph import edge_matrix, unit
from ..matrices import Matrix, dense, voices
from ..space import Space
from ..spans import IntArray
from .calibration import Kind
from .seqknn import SeqKnnOptions, attribute_vectors, pair_matrix

KINDS: Mapping[str, Kind] = {
    "sequence": "votes",
    "follow": "votes",
    "attributes": "nearness",
    "text": "nearness",
    "latest text": "nearness",
    "group": "votes",
    "trend": "nearness",
    "profile": "nearness",
    "card": "nearness",
}
"""The signals there are; those of portraits and cards are made in `tools.recommender.recommender_portraits`."""

GROUPS: Mapping[str, Collection[str]] = {
    "sequence": ("sequence", "follow"),
    "text": ("text", "latest text"),
    "attributes": ("attributes",),
    "group": ("group",),
    "trend": ("trend",),
}
"""Signals that are left out together, by the name of a part."""

SHARES: Mapping[str, float] = {
    "sequence": 1.0,
    "follow": 0.3,
    "attributes": 0.1,
    "text": 0.5,
    "latest text": 0.2,
    "trend": 0.1,
    "profile": 0.3,
    "group": 0.2,
    "card": 0.2,
}
"""Weights where nobody could be held back: what the project's measurements gave, rounded."""

_DECAY = 0.7
_GROUP_DECAY = 0.8
_LAST = 10


class Words(NamedTuple):
    """Vectors of a catalogue's texts on both sides of a space."""

    had: FloatArray
    """Of items that users had, as the encoder gives them, shape `(N, D)`."""

    ranked: FloatArray
    """Of the same items where they are ranked, shape `(N, K)`."""

    space: Space

    @classmethod
    def of(cls, vectors: FloatArray, space: Space) -> "Words":
        """Map a catalogue's vectors, shape `(N, D)`."""
        return cls(vectors, space.items(vectors), space)

    def own(self, items: IntArray, starts: IntArray) -> FloatArray:
        """Return one vector a history in the encoder's own space, shape `(Q, D)`; zeros for an empty one."""
        weights = voices(items, starts, len(self.had), last=_LAST, decay=_GROUP_DECAY)
        return unit(np.asarray(weights @ self.had, dtype=np.float32))

    def nearness(self, voiced: Sequence[Matrix]) -> list[FloatArray]:
        """Score items by the mean of those of histories that have a voice; an empty history scores all alike.

        Args:
            voiced: From `voices`, each of shape `(Q, N)`. One product serves all of them: reading the catalogue's
                vectors takes longer than multiplying them by a few rows.
        """
        means: list[FloatArray] = []
        known: list[NDArray[np.bool_]] = []
        for weights in voiced:
            sums = np.asarray(weights @ self.had, dtype=np.float32)
            whole = np.asarray(weights.sum(axis=1), dtype=np.float32).reshape(-1, 1)
            means.append((sums / np.maximum(whole, 1e-9)).astype(np.float32))
            known.append(whole > 0)
        scores: FloatArray = self.space.users(np.concatenate(means)) @ self.ranked.T
        scores[~np.concatenate(known)[:, 0]] = 0.0
        return np.split(scores, len(voiced))


class Crowd(NamedTuple):
    """Groups of the past's users, and what their members had."""

    groups: Groups
    had: GroupItems
    """What their members had."""

    def score(self, own: FloatArray) -> FloatArray:
        """Score items for users with vectors of their own, shape `(Q, D)`; zeros for a vector that is zero."""
        return item_scores(assign(self.groups, own), self.had)


class Signals(NamedTuple):
    """The signals of one past."""

    options: SeqKnnOptions
    """How sequences vote."""

    pairs: Matrix
    """From `pair_matrix`."""

    attributes: Matrix | None
    """From `attribute_vectors`; absent to leave them out."""

    words: Words | None
    """Absent to leave texts out."""

    crowd: Crowd | None
    """Groups of like-minded users; absent to leave them out."""

    trend: FloatArray | None
    """From `trend_of`, shape `(N,)`; absent to leave it out."""

    def scores(self, items: IntArray, starts: IntArray) -> dict[str, FloatArray]:
        """Score every item for some histories, by name of the signal."""
        n_items, options = self.pairs.shape[1], self.options
        votes = voices(items, starts, n_items, last=options.last, decay=options.decay)
        newest = voices(items, starts, n_items, last=1)
        found = {"sequence": dense(votes @ self.pairs), "follow": dense(newest @ self.pairs)}
        if self.attributes is not None:
            found["attributes"] = dense(votes @ self.attributes @ self.attributes.T)
        if self.words is not None:
            decay = self.words.space.decay or _DECAY
            heard = voices(items, starts, n_items, last=options.last, decay=decay)
            found["text"], found["latest text"] = self.words.nearness([heard, newest])
        if self.crowd is not None and self.words is not None:
            found["group"] = self.crowd.score(self.words.own(items, starts))
        if self.trend is not None:
            found["trend"] = np.tile(self.trend, (len(starts) - 1, 1))
        return found


class Parts(NamedTuple):
    """Which signals of a past are made."""

    words: Words | None
    """The catalogue's texts; absent to leave out text and groups."""

    trend: FloatArray | None
    attributes: bool = True
    groups: bool = True


def signals_of(
    user: IntArray, item: IntArray, items: Sequence[Item], options: SeqKnnOptions, parts: Parts
) -> Signals:
    """Build the signals of a past.

    Args:
        user: The user of each event, rising, shape `(E,)`.
        item: The items, each user's oldest first, shape `(E,)`.
        items: The catalogue.
        options: How sequences vote.
        parts: What to make.
    """
    words = parts.words
    return Signals(
        options=options,
        pairs=pair_matrix(user, item, len(items), options),
        attributes=attribute_vectors(items) if parts.attributes else None,
        words=words,
        crowd=crowd_of(user, item, words) if parts.groups and words is not None else None,
        trend=parts.trend,
    )


def crowd_of(user: IntArray, item: IntArray, words: Words) -> Crowd | None:
    """Find groups of a past's users; `None` if too few of them have words."""
    if not len(user):
        return None
    n_users, n_items = int(user[-1]) + 1, len(words.had)
    starts = np.searchsorted(user, np.arange(n_users + 1))
    own = words.own(item, starts)
    plan = GroupPlan(rounds=0)
    if np.count_nonzero(np.any(own != 0, axis=1)) < plan.minimum:
        return None
    fitted = fit_groups(own, plan)
    edges = edge_matrix(user, item, shape=(n_users, n_items))
    return Crowd(fitted.groups, group_items(fitted.weights, edges))


def trend_of(item: IntArray, age: FloatArray | None, n_items: int) -> FloatArray:
    """Return `log(1 + count)` of items, shape `(N,)`, where an event counts half after a tenth of the span.

    Args:
        item: The items of all events, shape `(E,)`.
        age: How long ago each was, in any unit, shape `(E,)`; absent where nobody knows, and all count alike.
        n_items: Size of the catalogue.
    """
    weights = None
    if age is not None and len(age) and (span := float(age.max() - age.min())) > 0:
        weights = np.exp2(-(age - age.min()) / (span / 10)).astype(np.float64)
    return np.log1p(np.bincount(item, weights=weights, minlength=n_items)).astype(np.float32)
