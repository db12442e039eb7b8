"""Rows of several stretches at once, without a loop over them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


class Spans(NamedTuple):
    """Rows of several stretches, one after the other."""

    rows: IntArray
    starts: IntArray
    """Where each stretch begins in `rows`, and their end."""


def spans(first: IntArray, end: IntArray) -> Spans:
    """Return the rows of `first[i]` up to, not including, `end[i]`; both have the shape `(S,)`.

    Examples:
        >>> spans(np.array([4, 9]), np.array([6, 10]))
        Spans(rows=array([4, 5, 9]), starts=array([0, 2, 3]))
    """
    starts = np.concatenate([[0], np.cumsum(end - first)]).astype(np.int64)
    shift = np.repeat(first - starts[:-1], end - first)
    return Spans(shift + np.arange(len(shift)), starts)


def owners(starts: IntArray) -> IntArray:
    """Return the number of the stretch that each row belongs to.

    Args:
        starts: Where each stretch begins, and their end, shape `(S + 1,)`.

    Examples:
        >>> owners(np.array([0, 2, 2, 3])).tolist()
        [0, 0, 2]
    """
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))
