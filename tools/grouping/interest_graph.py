"""The graph of users and the items they had: normalised, sparse, and what flows along it.

Vectors of users and items are passed along the edges and averaged over the layers, so that people who had the same
things come closer, and so do things that the same people had. Only edges are stored, so memory grows with them.
Source: LightGCN (He et al. 2020, eqs. 7 to 9, https://arxiv.org/abs/2002.02126). Differs: the vectors of the first
layer are given (texts under an encoder) and not learned, edges may carry weights, and layers may be weighted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..embedder import FloatArray
from ..matrices import Matrix, sparse
from ..spans import IntArray

_LEAST = 1e-9


class Propagated(NamedTuple):
    """What arrived after some layers."""

    users: FloatArray
    """Shape `(U, D)`; not normalised."""

    items: FloatArray
    """Shape `(I, D)`; not normalised."""

    passed: FloatArray
    """What each item passes on to whoever has it, summed over the layers with their weights; shape `(I, D)`."""

    own: float
    """Weight of a user's own vector."""


@dataclass(frozen=True, kw_only=True, eq=False)
class InterestGraph:
    """Edges between users and items, each divided by the roots of the degrees of its two ends."""

    adjacency: Matrix
    """Shape `(U, I)`, float32; with its transpose it is the whole symmetric matrix, which is never built."""

    item_degree: FloatArray
    """Summed weights of each item's edges, shape `(I,)`."""

    def propagate(
        self,
        users: FloatArray,
        items: FloatArray,
        *,
        layers: int,
        layer_weights: Sequence[float] | None = None,
    ) -> Propagated:
        """Pass vectors along the edges and average over the layers.

        Args:
            users: Vectors of users, shape `(U, D)`.
            items: Vectors of items in the same space, shape `(I, D)`.
            layers: How far vectors travel, >= 0; 0 leaves them where they are.
            layer_weights: One for each layer and one for the vectors given, `layers + 1` in all; absent for
                equal ones that sum to 1.

        Raises:
            ValueError: `layers` is negative, or the weights are not as many as they should be.
        """
        weights = _weights(layers, layer_weights)
        users, items = users.astype(np.float32), items.astype(np.float32)
        found_users, found_items = weights[0] * users, weights[0] * items
        passed = np.zeros_like(items)
        for weight in weights[1:]:
            passed += weight * items
            users, items = self.adjacency @ items, self.adjacency.T @ users
            found_users += weight * users
            found_items += weight * items
        return Propagated(found_users, found_items, passed, float(weights[0]))

    def fold_in(self, edges: Matrix, vectors: FloatArray, arrived: Propagated) -> FloatArray:
        """Return what `propagate` gives users who are not in the graph; nothing in the graph changes.

        A user of the graph with the same edges gets the same vector as from `propagate`.

        Args:
            edges: Weights of what they had, shape `(Q, I)`.
            vectors: Their own vectors, shape `(Q, D)`.
            arrived: Result of `propagate`.

        Returns:
            Shape `(Q, D)`; not normalised.
        """
        degree = np.asarray(edges.sum(axis=1), dtype=np.float32)
        scaled = _scaled(edges, degree, self.item_degree)
        found: FloatArray = arrived.own * vectors + scaled @ arrived.passed
        return found.astype(np.float32, copy=False)


def interest_graph(edges: Matrix) -> InterestGraph:
    """Normalise edges.

    Args:
        edges: Weights of edges, shape `(U, I)`; see `edge_matrix`.

    Examples:
        >>> graph = interest_graph(edge_matrix(np.array([0, 0]), np.array([0, 1]), shape=(1, 2)))
        >>> [round(float(weight), 4) for weight in graph.adjacency.data]  # 1 / sqrt(2 * 1)
        [0.7071, 0.7071]
    """
    users = np.asarray(edges.sum(axis=1), dtype=np.float32)
    items = np.asarray(edges.sum(axis=0), dtype=np.float32)
    return InterestGraph(adjacency=_scaled(edges, users, items), item_degree=items)


def edge_matrix(
    users: IntArray, items: IntArray, weights: FloatArray | None = None, *, shape: tuple[int, int]
) -> Matrix:
    """Return edges as a matrix; what a user had several times is one edge.

    Args:
        users: User of each edge, shape `(E,)`.
        items: Item of each edge, shape `(E,)`.
        weights: Positive weight of each edge, the greatest of repeated ones counts; absent for 1.
        shape: Number of users and items.
    """
    given = np.ones(len(users), dtype=np.float32) if weights is None else weights.astype(np.float32)
    order = np.lexsort((-given, items, users))
    user, item = users[order], items[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
    kept = order[first]
    return sparse.csr_array((given[kept], (users[kept], items[kept])), shape=shape, dtype=np.float32)


def unit(vectors: FloatArray) -> FloatArray:
    """Return vectors of length 1, shape `(..., D)`; what is zero stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    found: FloatArray = (vectors / np.maximum(norms, _LEAST)).astype(np.float32)
    return found


def _scaled(edges: Matrix, users: FloatArray, items: FloatArray) -> Matrix:
    left = sparse.diags_array(_inverse_root(users))
    right = sparse.diags_array(_inverse_root(items))
    return sparse.csr_array(left @ edges @ right, dtype=np.float32)


def _inverse_root(degree: FloatArray) -> FloatArray:
    """Return 1 / sqrt, and 0 for who has no edge."""
    safe = np.where(degree > 0, degree, 1.0)
    found: FloatArray = np.where(degree > 0, safe**-0.5, 0.0).astype(np.float32)
    return found


def _weights(layers: int, given: Sequence[float] | None) -> list[float]:
    if layers < 0:
        raise ValueError(f"`layers` must be >= 0, got {layers}")
    weights = [1.0 / (layers + 1)] * (layers + 1) if given is None else list(given)
    if len(weights) != layers + 1:
        raise ValueError(f"`layer_weights` must have {layers + 1} entries, got {len(weights)}")
    return weights
