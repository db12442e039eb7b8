"""Find groups among users' vectors, and let groups and individuals guide each other in turns.

Seeds come from the graph of who is like whom, groups from spherical k-means started at them, and what is too small
is dissolved into its neighbours. Then rounds: with the groups held fixed every individual is drawn towards the
groups it belongs to, batch by batch; with the individuals held fixed every group becomes the mean of its members.
Every step is near-linear in the number of users, and repeatable.

Source: the iterative batch optimisation of ISRF (individual and group interests refine each other in alternating
batches). Differs: weighted means in closed form instead of a contrastive loss (`distill.groups` has that one), soft
targets are the memberships, and an individual is always drawn from where its own history puts it, so that rounds
cannot pull everybody together.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..embedder import FloatArray
from ..matrices import Matrix, sparse
from ..spans import IntArray
from .grouping import EXACT_GROUPS, Groups, assign, batches, centred, draw, drawn_in, rebase, soften
from .interest_graph import interest_graph, unit
from .neighbours import nearest, neighbour_graph

_LLOYD = 6
_STILL = 0.002
"""Share of users that may still move when k-means ends."""

_ALIKE = 1e-6
"""Difference of two coordinates that is only rounding."""

_NOWHERE = -1
"""In place of a group's number: none."""

Gain = Callable[[Groups], float]
"""What groups are worth on users held back: higher is better."""


@dataclass(frozen=True, kw_only=True)
class GroupPlan:
    """How groups are found."""

    size: int = 20
    """Members of a group, about."""

    minimum: int = 5
    """Fewest members of a group; smaller ones are dissolved into their neighbours."""

    neighbours: int = 32
    """Users compared with each user."""

    mutual: bool = True
    """Whether two users are alike only if each is among the other's neighbours."""

    smoothing: int = 1
    """Layers that vectors are passed along the graph of like users before k-means."""

    temperature: float = 0.1
    """Softness of belonging, in cosine units."""

    most: int = 16
    """Groups at most that a user belongs to."""

    blend: float = 0.3
    """Share of the groups in a vector that was drawn towards them."""

    rounds: int | None = None
    """Rounds between individuals and groups; absent for as many as gain something."""

    most_rounds: int = 6
    """Rounds at most."""

    min_gain: float = 1e-4
    """A round that gains less is the last."""

    seed: int = 0
    """Of the approximate search."""


class Round(NamedTuple):
    """What one round did; round 0 is the groups before any."""

    round: int
    gain: float | None
    """Value on held-back choices; absent if nothing was held back."""

    groups: int
    seconds: float


class Fitted(NamedTuple):
    """Groups and how they came about."""

    groups: Groups
    weights: Matrix
    """How much each user belongs to each group, shape `(U, G)`."""

    log: tuple[Round, ...]


def fit_groups(
    user_vectors: FloatArray,
    plan: GroupPlan,
    *,
    start: Groups | None = None,
    settled: bool = False,
    gain: Gain | None = None,
) -> Fitted:
    """Find groups.

    Args:
        user_vectors: One row a user, shape `(U, D)`; zeros for users who are to be left out.
        plan: How.
        start: Groups of an earlier fit in the same space, to begin from them instead of the graph.
        settled: Whether `start` is taken as it is, without k-means.
        gain: Value of groups on held-back choices; without it, `plan.rounds` rounds are made, or none.

    Returns:
        The groups of the best round, with each user's weights.

    Raises:
        ValueError: Fewer users than `plan.minimum` have a vector.
    """
    told = np.flatnonzero(np.any(user_vectors != 0, axis=1))
    if len(told) < max(plan.minimum, 1):
        raise ValueError(f"{len(told)} users have a vector, a group needs {plan.minimum}")
    began = time.perf_counter()
    own = unit(user_vectors[told])
    centre: FloatArray = own.mean(axis=0)
    if np.allclose(own, centre, atol=_ALIKE):  # without what all share, nothing would be left of anybody
        centre = np.zeros_like(centre)
    blank = Groups(
        vectors=np.zeros((0, own.shape[1]), dtype=np.float32),
        centre=centre,
        temperature=plan.temperature,
        most=plan.most,
        blend=plan.blend,
    )
    own = centred(blank, own)
    first = replace(blank, vectors=_first_vectors(own, plan, start, settled=settled))
    groups = replace(first, vectors=dissolve(own, first, plan.minimum))
    groups, log = _alternate(own, groups, plan, gain, began)
    return Fitted(groups, assign(groups, user_vectors), log)


def groups_along_graph(
    user_vectors: FloatArray, edges: Matrix, item_vectors: FloatArray, plan: GroupPlan, *, layers: int
) -> Groups:
    """Find groups among vectors that travelled along the graph of users and items, before any round.

    Args:
        user_vectors: One row a user, shape `(U, D)`; zeros for users who are to be left out.
        edges: What users had, shape `(U, I)`.
        item_vectors: In the same space, shape `(I, D)`.
        plan: How.
        layers: How far vectors travel.

    Returns:
        Groups placed among `user_vectors`, so that these can be assigned and no graph is needed for it.
    """
    arrived = interest_graph(edges).propagate(user_vectors, item_vectors, layers=layers)
    told = np.any(user_vectors != 0, axis=1, keepdims=True)
    travelled = np.where(told, arrived.users, 0.0).astype(np.float32)
    found = fit_groups(travelled, replace(plan, rounds=0))
    return rebase(found.groups, found.weights, user_vectors)


def _alternate(
    own: FloatArray, groups: Groups, plan: GroupPlan, gain: Gain | None, began: float
) -> tuple[Groups, tuple[Round, ...]]:
    """Make rounds until one gains nothing; return the best groups and what each round did."""

    def note(number: int, found: Groups, since: float) -> Round:
        value = None if gain is None else gain(found)
        return Round(number, value, len(found), time.perf_counter() - since)

    log = [note(0, groups, began)]
    best, reached = groups, log[0].gain
    wanted = plan.rounds if plan.rounds is not None else (plan.most_rounds if gain else 0)
    for number in range(1, wanted + 1):
        began = time.perf_counter()
        groups = advance(groups, own, plan)
        log.append(note(number, groups, began))
        value = log[-1].gain
        if plan.rounds is None and value is not None and reached is not None:
            if value < reached + plan.min_gain:
                break
            reached = value
        best = groups
    return best, tuple(log)


def advance(groups: Groups, own: FloatArray, plan: GroupPlan) -> Groups:
    """Make one more round: individuals are drawn towards the groups, then groups become means of their members.

    Args:
        groups: Held fixed while the individuals move.
        own: The individuals' own vectors, centred and of unit norm, shape `(U, D)`.
        plan: How.
    """
    totals = np.zeros_like(groups.vectors)
    fixed = replace(groups, rounds=groups.rounds + 1)
    for part in batches(len(own)):
        drawn = drawn_in(fixed, own[part])
        totals += soften(fixed, drawn).T @ drawn
    found = replace(fixed, vectors=unit(totals[np.any(totals != 0, axis=1)]))
    return replace(found, vectors=dissolve(own, found, plan.minimum))


def _first_vectors(own: FloatArray, plan: GroupPlan, start: Groups | None, *, settled: bool) -> FloatArray:
    """Return the centres of spherical k-means on vectors smoothed along the graph of like users."""
    if start is not None:
        return start.vectors if settled else _k_means(own, start.vectors, plan.seed)
    graph = neighbour_graph(own, plan.neighbours, mutual=plan.mutual, seed=plan.seed)
    smooth = own
    for _ in range(plan.smoothing):
        degree = np.asarray(graph.sum(axis=1), dtype=np.float32)
        passed = sparse.diags_array(1.0 / np.maximum(degree, 1e-9)) @ (graph @ smooth)
        smooth = unit((own + passed.astype(np.float32)) / 2)
    return _k_means(smooth, smooth[seeds_of(graph, plan.size)], plan.seed)


def seeds_of(graph: Matrix, size: int) -> IntArray:
    """Return users to start groups from, one for about `size` users.

    The most connected users come first, and each covers those of its neighbours that nobody covered before: a
    greedy independent set, linear in the edges. Of these, the users that covered most are kept.

    Args:
        graph: Cosines of like users, shape `(U, U)`.
        size: Members of a group, about.

    Returns:
        Row numbers, ascending; at least one.
    """
    degree = np.asarray(graph.sum(axis=1), dtype=np.float32)
    covered = np.zeros(graph.shape[0], dtype=np.bool_)
    found: dict[int, int] = {}
    for user in np.argsort(-degree, kind="stable").tolist():
        if covered[user]:
            continue
        covered[user] = True
        near = graph.indices[graph.indptr[user] : graph.indptr[user + 1]]
        free = near[~covered[near]]
        covered[free] = True
        found[user] = len(free)
    kept = sorted(found, key=lambda user: -found[user])[: max(1, len(covered) // size)]
    return np.array(sorted(kept), dtype=np.int64)


def _k_means(vectors: FloatArray, centres: FloatArray, seed: int) -> FloatArray:
    """Move centres to the means of the vectors nearest to them until hardly any vector changes sides."""
    labels = np.full(len(vectors), -1, dtype=np.int64)
    for _ in range(_LLOYD):
        before, labels = labels, nearest(vectors, centres, 1, exact_below=EXACT_GROUPS, seed=seed).ids[:, 0]
        if np.mean(before != labels) <= _STILL:
            break
        members = sparse.csr_array(
            (np.ones(len(labels), dtype=np.float32), (labels, np.arange(len(labels)))),
            shape=(len(centres), len(labels)),
        )
        sums: FloatArray = members @ vectors
        centres = np.where(np.any(sums != 0, axis=1, keepdims=True), unit(sums), centres)
    return centres


def dissolve(own: FloatArray, groups: Groups, minimum: int) -> FloatArray:
    """Drop groups with too few members, the smallest first; their members go to whoever is nearest then.

    Only users whom a dropped group had a part in placing are placed again, so that work grows with those who move.

    Args:
        own: The individuals' own vectors, centred and of unit norm, shape `(U, D)`.
        groups: Where they are placed.
        minimum: Fewest members of a group that stays.

    Returns:
        Vectors of the groups that stay, in their order; at least one.
    """
    kept = np.arange(len(groups), dtype=np.int32)
    placed = np.empty((len(own), 1 + groups.rounds * groups.most), dtype=np.int32)
    stale = np.arange(len(own), dtype=np.int64)
    while len(kept) > 1:
        held = replace(groups, vectors=groups.vectors[kept])
        for part in batches(len(stale)):
            rows = stale[part]
            placed[rows] = np.append(kept, np.int32(_NOWHERE))[_placed(held, own[rows], placed.shape[1])]
        labels = placed[:, 0]
        counts = np.bincount(labels[labels != _NOWHERE], minlength=len(groups))[kept]
        small = np.flatnonzero(counts < minimum)
        if not len(small):
            break
        smallest = small[np.argsort(counts[small], kind="stable")]
        dropped = smallest[: min(-(-len(small) // 2), len(kept) - 1)]
        stale = np.flatnonzero(np.isin(placed, kept[dropped]).any(axis=1))
        kept = np.delete(kept, dropped)
    return groups.vectors[kept]


def _placed(held: Groups, own: FloatArray, width: int) -> IntArray:
    """Return the group nearest to each user, then all that had a part in drawing it there, shape `(Q, width)`.

    `_NOWHERE` stands for none, as for a user who is just what all share.
    """
    parts = np.full((len(own), width), _NOWHERE, dtype=np.int64)
    drawn, column = own, 1
    for _ in range(held.rounds):
        weights = soften(held, drawn)
        drawn = draw(held, own, weights)
        some = np.flatnonzero(np.diff(weights.indptr))
        near = weights.indices.reshape(len(some), -1)
        parts[some, column : column + near.shape[1]] = near
        column += near.shape[1]
    told = np.flatnonzero(np.any(drawn != 0, axis=1))
    if len(told):
        parts[told, 0] = held.searcher.find(drawn[told], 1).ids[:, 0]
    return parts
