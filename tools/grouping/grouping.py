"""Groups of like-minded users as arrays: who belongs to which, and what a group stands for.

A group is a vector in the space of the users' own vectors, so anybody with a vector belongs somewhere: users who
came after the groups were found need no new fit. A user may belong to several, with weights that sum to 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..embedder import FloatArray
from ..matrices import Matrix, dense, sparse
from ..spans import IntArray
from .interest_graph import unit
from .neighbours import Searcher

BATCH = 20_000
"""Users handled at once."""

EXACT_GROUPS = 8192
"""Groups up to which a user is compared with all; beyond, the nearest are searched for."""

PRIOR = 5.0
"""Choices of the whole that each group's own are mixed with before they score items."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """Groups, ready to take in anybody."""

    vectors: FloatArray
    """What each group stands for, unit norm, shape `(G, D)`, G >= 1."""

    centre: FloatArray
    """Mean of the users' vectors, shape `(D,)`; it says what all have in common, and is taken away."""

    temperature: float = 0.1
    """Softness of belonging, in cosine units."""

    most: int = 16
    """Groups at most that a user belongs to."""

    rounds: int = 0
    """Times that a user's vector is drawn towards the groups before it is assigned."""

    blend: float = 0.3
    """Share of the groups in a vector that was drawn towards them."""

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def searcher(self) -> Searcher:
        """Finds the groups nearest to anybody."""
        return Searcher(self.vectors, exact_below=EXACT_GROUPS)


def assign(groups: Groups, user_vectors: FloatArray) -> Matrix:
    """Return how much each user belongs to each group.

    Args:
        groups: Of any users.
        user_vectors: Vectors in the space that the groups were found in, shape `(Q, D)`; their length does not
            count, and a user whose vector is zero belongs nowhere.

    Returns:
        Weights, `csr_array` of shape `(Q, G)`; each row sums to 1, or is empty.
    """
    return sparse.vstack(
        [soften(groups, refine(groups, user_vectors[part])) for part in batches(len(user_vectors))]
        or [sparse.csr_array((0, len(groups)), dtype=np.float32)],
        format="csr",
    )


def group_vectors(groups: Groups, user_vectors: FloatArray) -> FloatArray:
    """Return the mix of groups that each user belongs to, unit norm, shape `(Q, D)`; zeros for who belongs nowhere."""
    mixed: FloatArray = assign(groups, user_vectors) @ groups.vectors
    return unit(mixed)


def refine(groups: Groups, user_vectors: FloatArray) -> FloatArray:
    """Return the users' vectors without what all share, drawn `groups.rounds` times towards their groups.

    Each time the groups stay as they are, and a vector becomes `unit((1 - blend) * own + blend * groups' mix)`,
    where `own` is the vector that came in.

    Returns:
        Unit norm, shape `(Q, D)`.
    """
    return drawn_in(groups, centred(groups, user_vectors))


def drawn_in(groups: Groups, own: FloatArray) -> FloatArray:
    """Do what `refine` does, for vectors that are centred already."""
    drawn = own
    for _ in range(groups.rounds):
        drawn = draw(groups, own, soften(groups, drawn))
    return drawn


def centred(groups: Groups, user_vectors: FloatArray) -> FloatArray:
    """Return unit vectors without what all users share, shape `(Q, D)`; zero stays zero."""
    told = np.any(user_vectors != 0, axis=1, keepdims=True)
    return unit(np.where(told, unit(user_vectors) - groups.centre, 0.0).astype(np.float32))


def draw(groups: Groups, own: FloatArray, weights: Matrix) -> FloatArray:
    """Draw vectors towards the groups their users belong to, by `groups.blend`; shape `(Q, D)`, unit norm."""
    mixed: FloatArray = (1.0 - groups.blend) * own + groups.blend * (weights @ groups.vectors)
    return unit(mixed)


def soften(groups: Groups, vectors: FloatArray) -> Matrix:
    """Return the softmax over the nearest groups of vectors that are centred already, shape `(Q, G)`."""
    told = np.flatnonzero(np.any(vectors != 0, axis=1))
    shape = (len(vectors), len(groups))
    if not len(told):
        return sparse.csr_array(shape, dtype=np.float32)
    near = groups.searcher.find(vectors[told], groups.most)
    weights = np.exp((near.cosines - near.cosines[:, :1]) / np.float32(groups.temperature))
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(told, near.ids.shape[1])
    return sparse.csr_array((weights.ravel(), (rows, near.ids.ravel())), shape=shape, dtype=np.float32)


def primary(weights: Matrix) -> IntArray:
    """Return the group that each user belongs to most, shape `(Q,)`; -1 for who belongs nowhere."""
    found = np.full(weights.shape[0], -1, dtype=np.int64)
    told = np.flatnonzero(np.diff(weights.indptr))
    if len(told):
        starts = weights.indptr[told]
        best = np.maximum.reduceat(weights.data, starts)
        row = np.repeat(np.arange(len(told)), np.diff(weights.indptr)[told])
        top = np.flatnonzero(weights.data == best[row])
        first = top[np.unique(row[top], return_index=True)[1]]
        found[told] = weights.indices[first]
    return found


def rebase(groups: Groups, weights: Matrix, user_vectors: FloatArray) -> Groups:
    """Return the same groups as means of other vectors of their members, so that such vectors can be assigned.

    Args:
        groups: Found among any vectors.
        weights: How much each user belongs to each, shape `(U, G)`.
        user_vectors: Of the same users, shape `(U, D)`.
    """
    told = np.any(user_vectors != 0, axis=1)
    centre: FloatArray = unit(user_vectors[told]).mean(axis=0)
    found = replace(groups, centre=centre, rounds=0)
    sums: FloatArray = weights.T @ centred(found, user_vectors)
    return replace(found, vectors=unit(sums[np.any(sums != 0, axis=1)]))


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupItems:
    """What the members of each group had: the groups' implicit interests, as they act."""

    counts: Matrix
    """How often members had an item, by their weights, shape `(G, I)`."""

    totals: FloatArray
    """Of each group over all items, shape `(G,)`."""

    shares: FloatArray
    """Of each item in everybody's choices, shape `(I,)`."""

    def take(self, columns: IntArray) -> "GroupItems":
        """Return some items only; what they are measured against stays the same."""
        return GroupItems(counts=self.counts[:, columns], totals=self.totals, shares=self.shares[columns])


def group_items(weights: Matrix, edges: Matrix) -> GroupItems:
    """Count what the members of each group had.

    Args:
        weights: Result of `assign` for users of the past, shape `(U, G)`.
        edges: What they had, shape `(U, I)`.
    """
    counts = sparse.csr_array(weights.T @ edges, dtype=np.float32)
    popularity = np.asarray(edges.sum(axis=0), dtype=np.float32)
    return GroupItems(
        counts=counts,
        totals=np.asarray(counts.sum(axis=1), dtype=np.float32),
        shares=popularity / max(float(popularity.sum()), 1.0),
    )


def item_scores(weights: Matrix, had: GroupItems) -> FloatArray:
    """Score items by what the groups that users belong to had.

    A group's shares of items are mixed with those of everybody, as if it had made `PRIOR` more choices like them.

    Args:
        weights: Result of `assign`, shape `(Q, G)`.
        had: By the groups' members.

    Returns:
        Probabilities, shape `(Q, I)`; zeros for who belongs nowhere.
    """
    scaled = sparse.csr_array(weights @ sparse.diags_array(1.0 / (had.totals + np.float32(PRIOR))))
    background = np.asarray(scaled.sum(axis=1), dtype=np.float32)[:, None] * np.float32(PRIOR)
    found: FloatArray = dense(scaled @ had.counts) + background * had.shares[None, :]
    return found.astype(np.float32, copy=False)


def batches(count: int, size: int = BATCH) -> Iterator[slice]:
    """Yield parts of `count` rows."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
