"""Scores of a whole catalogue by the vectors of many users."""

from collections.abc import Sequence

import numpy as np

from ..tools.late_interaction import score_by_each, stack_users
from .dataset import FloatArray

_CELLS = 4_000_000
"""Cosines held at once."""


def score_late(users: Sequence[FloatArray], items: FloatArray, *, temperature: float) -> FloatArray:
    """Score items by the soft maximum over each user's vectors, as `tools.late_interaction` does.

    Args:
        users: Unit-norm vectors of each user, shape `(F_u, D)`; a user without any scores all items alike.
        items: Unit-norm vectors, shape `(N, D)`.
        temperature: Sharpness of the soft maximum in cosine units, > 0.

    Returns:
        Scores, shape `(len(users), N)`.
    """
    scores = np.zeros((len(users), len(items)), dtype=np.float32)
    told = [place for place, vectors in enumerate(users) if len(vectors)]
    while told:
        part = _fill(told, users, _CELLS // max(len(items), 1))
        stacked = stack_users([users[place] for place in part])
        scores[part] = score_by_each(stacked, items, temperature=temperature)
        told = told[len(part) :]
    return scores


def _fill(told: Sequence[int], users: Sequence[FloatArray], rows: int) -> list[int]:
    """Return the first users that have at most so many vectors together; at least one user."""
    ends = np.cumsum([len(users[place]) for place in told[: max(rows, 1)]])
    return list(told[: max(1, int(np.searchsorted(ends, rows, side="right")))])


def standardise(scores: FloatArray) -> FloatArray:
    """Bring each row to mean 0 and deviation 1, shape `(Q, N)`; a constant row becomes 0."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    unit: FloatArray = centred / np.where(deviation > 0, deviation, 1)
    return unit


def share_late(one: FloatArray, two: FloatArray, *, weight: float, temperature: float) -> FloatArray:
    """Return the soft maximum over the vectors of both, from the soft maxima over those of each.

    Args:
        one: Scores by `score_late`, shape `(Q, N)`.
        two: Scores by other vectors of the same users.
        weight: Share of `two`, in (0, 1); each side's share is split evenly among its vectors.
        temperature: As given to `score_late`.

    Examples:
        >>> share_late(np.float32([[0.5]]), np.float32([[0.5]]), weight=0.3, temperature=0.05).tolist()
        [[0.5]]
    """
    left = one / temperature + np.log1p(-weight)
    right = two / temperature + np.log(weight)
    joined: FloatArray = (np.logaddexp(left, right) * temperature).astype(np.float32)
    return joined
