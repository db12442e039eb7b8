"""Groups between arrays and the store: ids that stay, words and items, and who belongs where."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ...communities import Belonging, Community
from ...records import content_hash
from ...tools.embedder import FloatArray
from ...tools.grouping.group_fitting import Fitted
from ...tools.grouping.grouping import GroupItems, Groups, assign, group_items, primary
from ...tools.grouping.stored_groups import Grouping, GroupingFacts, MarkedUser, Placed, StoredGroup
from ...tools.matrices import Matrix, sparse
from ...tools.spans import IntArray
from .group_words import Counted, interests_of_group, item_holdings, items_of_group, name_of, phrase_holdings
from .past_choices import ItemSide, PastChoices

_LEAST_WEIGHT = 0.05
"""Belonging below this is not told."""

_MOST_BELONGINGS = 4
_SAME = 0.5
"""Overlap of members, over their union, from which a group is the same as before."""

_ITEMS_KEPT = 200
"""Items that a group is remembered by."""


class Known(NamedTuple):
    """Groups as they were found, ready to take in anybody."""

    grouping: Grouping
    groups: Groups

    def had(self, item_ids: Sequence[str]) -> GroupItems:
        """Return what members had, for these items, shape `(G, len(item_ids))`."""
        place = {item_id: number for number, item_id in enumerate(item_ids)}
        rows, columns, values = list[int](), list[int](), list[float]()
        for row, group in enumerate(self.grouping.groups):
            for item_id, count in group.items.items():
                if item_id in place:
                    rows.append(row)
                    columns.append(place[item_id])
                    values.append(count)
        shape = (len(self.groups), len(item_ids))
        counts = sparse.csr_array((np.array(values, dtype=np.float32), (rows, columns)), shape=shape)
        totals = np.array([sum(group.items.values()) for group in self.grouping.groups], dtype=np.float32)
        everybody = np.asarray(counts.sum(axis=0), dtype=np.float32)
        return GroupItems(counts=counts, totals=totals, shares=everybody / max(float(totals.sum()), 1.0))


def known_from(grouping: Grouping) -> Known:
    """Return stored groups with their vectors."""
    return Known(grouping, groups_in(grouping))


def groups_in(grouping: Grouping) -> Groups:
    """Return the vectors of stored groups, in the order they are stored."""
    facts = grouping.facts
    return Groups(
        vectors=np.stack([np.frombuffer(group.vector, dtype="<f4") for group in grouping.groups]),
        centre=np.array(facts.centre, dtype=np.float32),
        temperature=facts.temperature,
        most=facts.most,
        rounds=facts.rounds,
        blend=facts.blend,
    )


def placed_of(
    past: PastChoices,
    side: ItemSide,
    fitted: Fitted,
    *,
    vectors: FloatArray,
    users: Mapping[str, MarkedUser],
    recomputed: Sequence[str],
    before: Grouping | None,
    facts: Mapping[str, Any],
    minimum: int,
    allowed: Callable[[str], bool] = bool,
) -> Placed:
    """Return everything that a refresh writes.

    Args:
        past: What users had.
        side: Their items.
        fitted: The groups found.
        vectors: Everybody's vectors, shape `(U, D)`.
        users: What was made of everybody, by id.
        recomputed: Who is new or changed.
        before: The groups before this refresh; their ids are kept where most members stay.
        facts: `basis`, `portraits`, `plan`, `as_of` and `moved` of `GroupingFacts`.
        minimum: Fewest members who must share what is told.
        allowed: Whether a phrase may be told of people.
    """
    labels = primary(fitted.weights)
    ids = ids_of(fitted.groups, vectors, labels, before)
    order = np.argsort(np.array(ids), kind="stable")
    told = _Told(past, side, [users[user_id].themes for user_id in past.user_ids], labels, len(ids))
    had = group_items(fitted.weights, past.edges)
    groups = [
        StoredGroup(
            told.community(int(row), ids[int(row)], as_of=facts["as_of"], minimum=minimum, allowed=allowed),
            _remembered(had.counts, int(row), past.item_ids),
            fitted.groups.vectors[int(row)].astype("<f4").tobytes(),
        )
        for row in order
    ]
    found = fitted.groups
    grouping = Grouping(
        GroupingFacts(
            users=int((labels >= 0).sum()),
            centre=tuple(found.centre.tolist()),
            temperature=found.temperature,
            most=found.most,
            rounds=found.rounds,
            blend=found.blend,
            **facts,
        ),
        groups,
    )
    return Placed(
        grouping=grouping,
        everybody=past.user_ids,
        users={user_id: users[user_id] for user_id in recomputed},
        belongings={
            user_id: places
            for user_id, places in zip(past.user_ids, belongings_of(fitted.weights, ids), strict=True)
            if places
        },
    )


def belongings_of(weights: Matrix, ids: Sequence[str]) -> list[list[Belonging]]:
    """Return where each user belongs, most first: at most four groups, none below 5 %."""
    found: list[list[Belonging]] = []
    for start, end in pairwise(weights.indptr.tolist()):
        row = sorted(
            zip(weights.data[start:end].tolist(), weights.indices[start:end].tolist(), strict=True),
            key=lambda entry: (-entry[0], entry[1]),
        )
        found.append(
            [
                Belonging(group_id=ids[group], weight=min(1.0, round(weight, 4)))
                for place, (weight, group) in enumerate(row[:_MOST_BELONGINGS])
                if place == 0 or weight >= _LEAST_WEIGHT
            ]
        )
    return found


def ids_of(groups: Groups, vectors: FloatArray, labels: IntArray, before: Grouping | None) -> list[str]:
    """Name groups: as before where at least half of the members of both together are in both, else anew.

    Args:
        groups: To be named.
        vectors: Everybody's vectors, shape `(U, D)`; they tell where users would have been before.
        labels: Group of each user, shape `(U,)`.
        before: The groups before.
    """
    fresh = [f"g-{content_hash(vector.tobytes())[:10]}" for vector in groups.vectors]
    if before is None:
        return fresh
    old = primary(assign(groups_in(before), vectors))
    both = (labels >= 0) & (old >= 0)
    shape = (len(groups), len(before.groups))
    ones = np.ones(int(both.sum()), dtype=np.float32)
    overlap = sparse.coo_array(sparse.csr_array((ones, (labels[both], old[both])), shape=shape))
    sizes = np.bincount(labels[labels >= 0], minlength=shape[0])
    old_sizes = np.bincount(old[old >= 0], minlength=shape[1])
    shared = overlap.data / (sizes[overlap.row] + old_sizes[overlap.col] - overlap.data)
    ids, taken = dict[int, str](), set[int]()
    for place in np.argsort(-shared, kind="stable").tolist():
        row, column = int(overlap.row[place]), int(overlap.col[place])
        if shared[place] >= _SAME and row not in ids and column not in taken:
            ids[row] = before.groups[column].community.group_id
            taken.add(column)
    used = set(ids.values())
    return [ids.get(row) or _unused(fresh[row], used) for row in range(len(groups))]


class _Told:
    """Words and items of every group."""

    def __init__(
        self,
        past: PastChoices,
        side: ItemSide,
        themes: Sequence[Sequence[str]],
        labels: IntArray,
        n_groups: int,
    ) -> None:
        edges = past.edges
        self._items = {item.item_id: item for item in side.items if item}
        self._words = Counted(phrase_holdings(edges, side.items, themes), labels, n_groups)
        self._had = Counted(item_holdings(edges, past.item_ids), labels, n_groups)
        self._everybody = max(int((labels >= 0).sum()), 1)

    def community(
        self, row: int, group_id: str, *, as_of: datetime, minimum: int, allowed: Callable[[str], bool]
    ) -> Community:
        """Return what is told about one group."""
        interests = interests_of_group(self._words, row, minimum=minimum, allowed=allowed)
        size = int(self._words.sizes[row])
        return Community(
            group_id=group_id,
            name=name_of(interests),
            size=size,
            share=size / self._everybody,
            interests=interests,
            items=items_of_group(self._had, row, self._items, minimum=minimum),
            as_of=as_of,
        )


def _remembered(counts: Matrix, row: int, item_ids: Sequence[str]) -> dict[str, float]:
    span = slice(counts.indptr[row], counts.indptr[row + 1])
    values, columns = counts.data[span], counts.indices[span]
    best = np.argsort(-values, kind="stable")[:_ITEMS_KEPT]
    return {item_ids[int(columns[place])]: round(float(values[place]), 5) for place in best.tolist()}


def _unused(wanted: str, used: set[str]) -> str:
    """Return an id that no other group has; equal vectors would give equal ones."""
    found, number = wanted, 1
    while found in used:
        number += 1
        found = f"{wanted}-{number}"
    used.add(found)
    return found
