"""Sparse matrices. scipy ships no types, so this module is where they end."""

from importlib import import_module
from typing import Any

import numpy as np

from .embedder import FloatArray
from .spans import IntArray, owners

sparse: Any = import_module("scipy.sparse")

Matrix = Any
"""A matrix by rows, `scipy.sparse.csr_array`."""


def add_up(rows: IntArray, columns: IntArray, values: FloatArray, shape: tuple[int, int]) -> Matrix:
    """Return a matrix with the sum of the values given for each place; all three have the shape `(K,)`."""
    return sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()


def dense(matrix: Matrix) -> FloatArray:
    """Return every cell, in the shape of the matrix."""
    cells: FloatArray = matrix.toarray().astype(np.float32, copy=False)
    return cells


def voices(items: IntArray, starts: IntArray, n_items: int, *, last: int, decay: float = 1.0) -> Matrix:
    """Return the voices of the newest items of each history, shape `(Q, n_items)`.

    The newest has 1, the one before `decay`, and so on; an item that comes twice adds up.

    Args:
        items: Histories one after the other, each oldest first.
        starts: Where each history begins, and their end, shape `(Q + 1,)`.
        n_items: Size of the catalogue.
        last: Newest items that have a voice.
        decay: Voice of an item relative to the next newer one.
    """
    owner = owners(starts)
    age = starts[1:][owner] - 1 - np.arange(len(owner))
    new = age < last
    weights = (decay ** age[new]).astype(np.float32)
    return add_up(owner[new], items[new], weights, (len(starts) - 1, n_items))
