"""Exact nearest neighbours over vectors held in memory."""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from .catalogue import Hit
from .embedder import FloatArray

Row = Mapping[str, str]

_TIE = 1e-6
"""Cosines closer than this are a tie, ordered by id: which row a vector lies in must not show."""


class VectorTable:
    """Unit vectors by id. Not safe for use by several threads at once.

    Examples:
        >>> table = VectorTable(2)
        >>> table.put(["north", "east"], np.eye(2, dtype=np.float32))
        >>> [hit.id for hit in table.search(np.array([[0.6, 0.8]], dtype=np.float32), k=2)[0]]
        ['east', 'north']
    """

    def __init__(self, dimension: int) -> None:
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._matrix: FloatArray = np.empty((0, dimension), dtype=np.float32)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    @cached_property
    def ids(self) -> list[str]:
        """Every id, sorted."""
        return sorted(self._ids)

    def put(self, ids: Sequence[str], vectors: FloatArray) -> None:
        """Add or replace vectors."""
        known = len(self._ids)
        for key in ids:
            if key not in self._rows:
                self._rows[key] = len(self._ids)
                self._ids.append(key)
        if len(self._ids) > known:
            self._forget_order()
            self._reserve(len(self._ids))
        self._matrix[[self._rows[key] for key in ids]] = vectors

    def drop(self, ids: Collection[str]) -> int:
        """Remove vectors; return how many were there."""
        gone = [key for key in ids if key in self._rows]
        for key in gone:
            row, last = self._rows.pop(key), self._ids.pop()
            if last != key:
                self._ids[row], self._rows[last] = last, row
                self._matrix[row] = self._matrix[len(self._ids)]
        if gone:
            self._forget_order()
        return len(gone)

    def take(self, ids: Sequence[str]) -> FloatArray:
        """Return vectors in the order of `ids`, as a copy.

        Raises:
            KeyError: An id is not in the table; its argument is that id.
        """
        rows = np.fromiter((self._rows[key] for key in ids), dtype=np.intp, count=len(ids))
        return self._matrix[rows]

    def search(self, vectors: FloatArray, k: int, *, exclude: Collection[str] = ()) -> list[list[Hit]]:
        """Return the `k` nearest of each row of `vectors`, best first, ties by id, without `exclude`."""
        total = len(self._ids)
        # Tall times thin: several times faster than its transpose with OpenBLAS.
        scores = np.ascontiguousarray((self._matrix[:total] @ vectors.T).T)
        barred = [self._rows[key] for key in exclude if key in self._rows]
        scores[:, barred] = -np.inf
        wanted = min(k, total - len(set(barred)))
        return [self._best(row, wanted) for row in scores]

    def _best(self, scores: FloatArray, wanted: int) -> list[Hit]:
        """Return the `wanted` highest, including ties at the border only if their ids come first."""
        if wanted <= 0:
            return []
        border = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
        near = np.flatnonzero(scores >= border - _TIE)
        ranked = sorted(
            (Hit(self._ids[row], float(scores[row])) for row in near.tolist()), key=lambda hit: -hit.score
        )
        return _order_ties(ranked)[:wanted]

    def _reserve(self, rows: int) -> None:
        """Grow by doubling, so that adding one by one stays linear."""
        held, dimension = self._matrix.shape
        if rows > held:
            grown = np.zeros((max(rows, 2 * held), dimension), dtype=np.float32)
            grown[:held] = self._matrix
            self._matrix = grown

    def _forget_order(self) -> None:
        self.__dict__.pop("ids", None)


class LabelledTable:
    """A `VectorTable` with a row of strings for each vector, found by id or by one of its fields."""

    def __init__(self, dimension: int, *, group_by: str | None = None) -> None:
        self.table = VectorTable(dimension)
        self.rows: dict[str, Row] = {}
        self._group_by = group_by
        self._groups: dict[str, dict[str, None]] = {}

    def put(self, ids: Sequence[str], vectors: FloatArray, rows: Sequence[Row]) -> None:
        """Add or replace vectors and rows; an id stays in the group it was first put in."""
        self.table.put(ids, vectors)
        self.rows.update(zip(ids, rows, strict=True))
        if self._group_by is not None:
            for key, row in zip(ids, rows, strict=True):
                self._groups.setdefault(row[self._group_by], {})[key] = None

    def drop(self, ids: Collection[str]) -> int:
        """Remove vectors and rows; return how many were there."""
        for key in ids:
            row = self.rows.pop(key, None)
            if row is not None and self._group_by is not None:
                group = self._groups[row[self._group_by]]
                del group[key]
                if not group:
                    del self._groups[row[self._group_by]]
        return self.table.drop(ids)

    def group(self, value: str) -> list[str]:
        """Return the ids whose row has `value` in the field to group by."""
        return list(self._groups.get(value, ()))


def _order_ties(ranked: list[Hit]) -> list[Hit]:
    """Sort runs of hits whose neighbours differ by less than a tie by id."""
    borders = [0, *(at for at, (a, b) in enumerate(pairwise(ranked), 1) if a.score - b.score > _TIE)]
    runs = (ranked[start:end] for start, end in pairwise([*borders, len(ranked)]))
    return [hit for run in runs for hit in sorted(run)]
