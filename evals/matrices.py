"""Histories of queries as sparse matrices."""

from ..tools.matrices import Matrix, voices
from .splits import Queries


def newest_items(queries: Queries, n_items: int, *, last: int, decay: float = 1.0) -> Matrix:
    """Return the voices of the newest items of each history, shape `(Q, n_items)`; see `tools.matrices.voices`."""
    return voices(queries.history.item, queries.starts, n_items, last=last, decay=decay)
