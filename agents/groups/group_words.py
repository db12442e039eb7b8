"""What a group shares, in words: phrases and items that enough of its members have, with lift and counts.

A phrase is a label of the catalogue or a theme that portraits name, and is told only if as many members share it as
the smallest group has. So nothing that one member alone said or had can be read from a group.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...communities import SharedInterest, TopItem
from ...records import Item
from ...tools.embedder import FloatArray
from ...tools.grouping.grouping import batches
from ...tools.matrices import Matrix, sparse
from ...tools.spans import IntArray
from ..lexicon import item_phrases

MOST_INTERESTS = 8
MOST_ITEMS = 8
_LEAST_LIFT = 1.2
_NAME_PHRASES = 3
_BLOCK = 50_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Holdings:
    """Who has which of some things."""

    names: Sequence[str]
    """The things, shape `(V,)`."""

    held: Matrix
    """1 where a user has a thing, shape `(U, V)`."""


class Counted:
    """How many members of each group have each thing.

    Args:
        holdings: Of all users.
        labels: Group of each user, -1 for none; shape `(U,)`.
        n_groups: How many there are.
    """

    def __init__(self, holdings: Holdings, labels: IntArray, n_groups: int) -> None:
        self._names = holdings.names
        placed = np.flatnonzero(labels >= 0)
        members = sparse.csr_array(
            (np.ones(len(placed), dtype=np.float32), (labels[placed], placed)),
            shape=(n_groups, len(labels)),
        )
        self.sizes: IntArray = np.bincount(labels[placed], minlength=n_groups)
        self._counts = sparse.csr_array(members @ holdings.held)
        everybody = np.asarray(holdings.held[placed].sum(axis=0), dtype=np.float64)
        self._share = everybody / max(len(placed), 1)

    def best(self, group: int, *, minimum: int) -> list[tuple[str, int, float]]:
        """Return the things that tell most about a group: name, members who have it, lift.

        Left out is what fewer than `minimum` members have, or what is hardly more common among them than among
        everybody. The order is by members times log-lift.
        """
        span = slice(self._counts.indptr[group], self._counts.indptr[group + 1])
        things, counts = self._counts.indices[span], self._counts.data[span]
        lift = counts / max(int(self.sizes[group]), 1) / np.maximum(self._share[things], 1e-12)
        telling = np.flatnonzero((counts >= minimum) & (lift >= _LEAST_LIFT))
        found = [
            (self._names[int(things[place])], round(float(counts[place])), float(lift[place]))
            for place in telling.tolist()
        ]
        return sorted(found, key=lambda entry: (-entry[1] * np.log(entry[2]), entry[0]))


def phrase_holdings(edges: Matrix, items: Sequence[Item | None], themes: Sequence[Sequence[str]]) -> Holdings:
    """Return which phrases each user's items and portrait have.

    Args:
        edges: What users had, shape `(U, I)`.
        items: The catalogue's entries, shape `(I,)`; `None` for what it does not hold.
        themes: Interests that each user's portrait names, shape `(U,)`.
    """
    numbers: dict[str, int] = {}
    by_item = _incidence([item_phrases(item) if item else [] for item in items], numbers)
    by_user = _incidence([[theme.casefold() for theme in each] for each in themes], numbers)
    width = len(numbers)
    by_item.resize((len(items), width))
    by_user.resize((edges.shape[0], width))
    parts: list[Matrix] = []
    for part in batches(edges.shape[0], _BLOCK):
        held = sparse.csr_array(edges[part] @ by_item + by_user[part])
        held.data = np.ones_like(held.data)
        parts.append(held)
    return Holdings(names=tuple(numbers), held=sparse.vstack(parts, format="csr"))


def item_holdings(edges: Matrix, item_ids: Sequence[str]) -> Holdings:
    """Return which items each user had."""
    held = edges.copy()
    held.data = np.ones_like(held.data)
    return Holdings(names=item_ids, held=held)


def interests_of_group(
    counted: Counted, group: int, *, minimum: int, allowed: Callable[[str], bool] = bool
) -> tuple[SharedInterest, ...]:
    """Return what a group shares, most telling first; a phrase made of the words of a better one is left out.

    Args:
        counted: Who has what.
        group: Which group.
        minimum: Fewest members who must share what is told.
        allowed: Whether a phrase may be told of people.
    """
    kept: list[SharedInterest] = []
    said: list[frozenset[str]] = []
    for phrase, members, lift in counted.best(group, minimum=minimum):
        words = words_of(phrase)
        if any(words <= better or better <= words for better in said) or not allowed(phrase):
            continue
        said.append(words)
        share = min(1.0, members / int(counted.sizes[group]))
        kept.append(SharedInterest(phrase=phrase, members=members, share=share, lift=round(lift, 3)))
        if len(kept) == MOST_INTERESTS:
            break
    return tuple(kept)


def items_of_group(
    counted: Counted, group: int, items: Mapping[str, Item], *, minimum: int
) -> tuple[TopItem, ...]:
    """Return what members of a group had, most telling first."""
    return tuple(
        TopItem(
            item_id=item_id,
            title=items[item_id].title if item_id in items else "",
            members=members,
            lift=round(lift, 3),
        )
        for item_id, members, lift in counted.best(group, minimum=minimum)[:MOST_ITEMS]
    )


def name_of(interests: Sequence[SharedInterest]) -> str:
    """Return the words that a group is called by."""
    return ", ".join(interest.phrase for interest in interests[:_NAME_PHRASES]) or "mixed interests"


def news_for(interests: Sequence[SharedInterest], own: Sequence[str]) -> tuple[SharedInterest, ...]:
    """Return the interests that none of a user's own phrases shows, even in other words' company.

    Examples:
        >>> shared = [SharedInterest(phrase=phrase, members=5, share=1.0, lift=2.0) for phrase in ("tea", "maps")]
        >>> [interest.phrase for interest in news_for(shared, ["old maps"])]
        ['tea']
    """
    mine = [words_of(phrase) for phrase in own]
    return tuple(
        interest for interest in interests if not any(words_of(interest.phrase) <= words for words in mine)
    )


def words_of(phrase: str) -> frozenset[str]:
    """Return a phrase's words, plurals as their singulars."""
    return frozenset(word.rstrip("s") for word in phrase.casefold().split())


def _incidence(phrases: Sequence[Sequence[str]], numbers: dict[str, int]) -> Matrix:
    """Return 1 where a row has a phrase; new phrases are numbered as they come."""
    columns: list[int] = []
    ends = [0]
    for each in phrases:
        columns += sorted({numbers.setdefault(phrase, len(numbers)) for phrase in each})
        ends.append(len(columns))
    ones: FloatArray = np.ones(len(columns), dtype=np.float32)
    return sparse.csr_array((ones, columns, ends), shape=(len(phrases), max(len(numbers), 1)))
