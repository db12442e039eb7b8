"""Who is like whom: nearest vectors without comparing everybody with everybody.

Small sets are searched exactly, block by block. Larger ones go through a hierarchical navigable small world graph
(Malkov & Yashunin 2018, https://arxiv.org/abs/1603.09320) built by Voyager, whose only dependency is numpy and
whose seed and single thread make it repeatable.
"""

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ..embedder import FloatArray
from ..matrices import Matrix, sparse
from ..spans import IntArray

EXACT_BELOW = 4096
"""Vectors up to which all are compared."""

_CELLS = 8_000_000
"""Cosines held at once."""

_LINKS = 16
_BUILD_BREADTH = 100
_SEARCH_BREADTH = 32


class Neighbours(NamedTuple):
    """The nearest of each, best first."""

    ids: IntArray
    """Row numbers, shape `(Q, k)`."""

    cosines: FloatArray
    """Shape `(Q, k)`."""


class Searcher:
    """Finds the rows of a base with the greatest cosine; built once for any number of queries.

    Args:
        base: Unit-norm vectors, shape `(N, D)`, N >= 1.
        exact_below: Sizes of `base` up to which answers are exact; beyond, about one in a hundred is missed.
        seed: Of the approximate index.

    Raises:
        ValueError: `base` is empty.
    """

    def __init__(self, base: FloatArray, *, exact_below: int = EXACT_BELOW, seed: int = 0) -> None:
        if len(base) == 0:
            raise ValueError("`base` needs a row")
        self._base = base
        self._index = None if len(base) <= exact_below else _index_of(base, seed)

    def find(self, queries: FloatArray, k: int) -> Neighbours:
        """Return the `k` best rows for each query, shape `(Q, D)`; all rows if there are fewer.

        Raises:
            ValueError: `k` is not positive.
        """
        if k < 1:
            raise ValueError(f"`k` must be >= 1, got {k}")
        k = min(k, len(self._base))
        if self._index is None:
            return _exact(queries, self._base, k)
        voyager: Any = import_module("voyager")
        breadth = max(_SEARCH_BREADTH, 2 * k)
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        try:
            ids, distances = self._index.query(asked, k=k, query_ef=breadth)
        except voyager.RecallError:  # many equal vectors can cut parts of the index off
            return _exact(queries, self._base, k)
        order = np.argsort(distances, axis=1, kind="stable")
        found = np.take_along_axis(ids, order, axis=1).astype(np.int64)
        return Neighbours(found, (1.0 - np.take_along_axis(distances, order, axis=1)).astype(np.float32))


def nearest(
    queries: FloatArray, base: FloatArray, k: int, *, exact_below: int = EXACT_BELOW, seed: int = 0
) -> Neighbours:
    """Find the `k` rows of `base` with the greatest cosine to each query, for one set of queries.

    Arguments and errors are those of `Searcher` and `Searcher.find`.
    """
    return Searcher(base, exact_below=exact_below, seed=seed).find(queries, k)


def neighbour_graph(
    vectors: FloatArray, k: int, *, mutual: bool = True, exact_below: int = EXACT_BELOW, seed: int = 0
) -> Matrix:
    """Return who is like whom as a symmetric matrix of cosines, shape `(N, N)` with at most `2 N k` entries.

    Args:
        vectors: Unit-norm vectors, shape `(N, D)`.
        k: Neighbours of each; nobody is a neighbour of itself.
        mutual: Keep an edge only if both name each other; else if either does.
        exact_below: See `nearest`.
        seed: See `nearest`.

    Returns:
        A sparse matrix; cosines that are not positive have no entry.
    """
    count = len(vectors)
    if count < 2 or k < 1:
        return sparse.csr_array((count, count), dtype=np.float32)
    k = min(k, count - 1)
    found = nearest(vectors, vectors, k + 1, exact_below=exact_below, seed=seed)
    rows = np.repeat(np.arange(count), found.ids.shape[1])
    columns, values = found.ids.ravel(), found.cosines.ravel()
    kept = (rows != columns) & (values > 0)
    directed = sparse.csr_array(
        (values[kept], (rows[kept], columns[kept])), shape=(count, count), dtype=np.float32
    )
    other = sparse.csr_array(directed.T)
    return sparse.csr_array(directed.minimum(other) if mutual else directed.maximum(other))


def _exact(queries: FloatArray, base: FloatArray, k: int) -> Neighbours:
    ids = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    step = max(1, _CELLS // len(base))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        ids[part], cosines[part] = _best(queries[part] @ base.T, k)
    return Neighbours(ids, cosines)


def _best(cosines: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """Return the `k` best columns of each row; of equal ones the first come first."""
    width = cosines.shape[1]
    if k == 1:
        first = np.argmax(cosines, axis=1)[:, None]
        return first, np.take_along_axis(cosines, first, axis=1)
    if k < width:
        top = np.sort(np.argpartition(-cosines, k - 1, axis=1)[:, :k], axis=1)
    else:
        top = np.tile(np.arange(width), (len(cosines), 1))
    values = np.take_along_axis(cosines, top, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1), np.take_along_axis(values, order, axis=1)


def _index_of(base: FloatArray, seed: int) -> Any:
    voyager: Any = import_module("voyager")  # ships no types
    index = voyager.Index(
        voyager.Space.InnerProduct,
        num_dimensions=base.shape[1],
        M=_LINKS,
        ef_construction=_BUILD_BREADTH,
        random_seed=seed + 1,  # 0 asks for a random one
        max_elements=len(base),
    )
    index.add_items(np.ascontiguousarray(base, dtype=np.float32), num_threads=1)  # several would race
    return index
