"""Sparse matrices. scipy ships no types, so this module is where they end."""

from importlib import import_module
from typing import Any

import numpy as np

from .dataset import FloatArray, IntArray
from .splits import Queries

sparse: Any = import_module("scipy.sparse")

Matrix = Any
"""A matrix by rows, `scipy.sparse.csr_array`."""


def add_up(rows: IntArray, columns: IntArray, values: FloatArray, shape: tuple[int, int]) -> Matrix:
    """Return a matrix with the sum of the values given for each place."""
    return sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()


def dense(matrix: Matrix) -> FloatArray:
    """Return every cell."""
    cells: FloatArray = matrix.toarray().astype(np.float32, copy=False)
    return cells


def owners(starts: IntArray) -> IntArray:
    """Return the number of the span that each row belongs to.

    Examples:
        >>> owners(np.array([0, 2, 2, 3])).tolist()
        [0, 0, 2]
    """
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def newest_items(queries: Queries, n_items: int, *, last: int, decay: float = 1.0) -> Matrix:
    """Return the voices of the newest items of each history, shape `(Q, n_items)`.

    The newest has 1, the one before `decay`, and so on; an item that comes twice adds up.
    """
    owner = owners(queries.starts)
    age = queries.starts[1:][owner] - 1 - np.arange(len(owner))
    new = age < last
    voices = (decay ** age[new]).astype(np.float32)
    return add_up(owner[new], queries.history.item[new], voices, (len(queries), n_items))
