"""Late fusion on plain arrays: z-scores, and shares of several signals that earn something on other users.

Plain mixing of normalised signals beats aligning them (https://arxiv.org/abs/2604.22195). A part that earns nothing
on users that did not choose its weight is dropped, so that noise costs nothing.
"""

from collections.abc import Sequence
from itertools import permutations
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..embedder import FloatArray
from ..spans import IntArray, owners

Weights = NDArray[np.float64]
"""Shares of the parts, shape `(parts,)`, together 1."""

Values = NDArray[np.float64]
"""What each query gains, shape `(Q,)`."""

STEPS = (0.2, 0.1, 0.05)
"""Shares moved from one part to another, coarse to fine."""

SURE = 1.5
"""Standard errors that a gain must exceed."""


class Fitting(Protocol):
    """Queries with their answers, and what each part says of them."""

    @property
    def n_parts(self) -> int:
        """How many parts there are."""
        ...

    @property
    def n_queries(self) -> int:
        """How many queries there are."""
        ...

    def halves(self) -> tuple[Self, Self]:
        """Split the queries."""
        ...

    def value(self, weights: Weights) -> Values:
        """Return what every query gains from some shares, shape `(Q,)`."""
        ...


def z_scores(scores: FloatArray, items: IntArray, starts: IntArray) -> FloatArray:
    """Bring each query's scores to mean 0 and deviation 1 over the items outside its history, shape `(Q, N)`.

    Equal scores become 0, and minus infinity becomes the lowest finite score of its row.

    Args:
        scores: Of the whole catalogue, shape `(Q, N)`; left as they are.
        items: Histories one after the other.
        starts: Where each history begins, and their end, shape `(Q + 1,)`.
    """
    finite = np.isfinite(scores)
    if not finite.all():
        lowest = np.where(finite, scores, np.inf).min(axis=1, keepdims=True)
        scores = np.where(finite, scores, np.where(np.isfinite(lowest), lowest, 0)).astype(np.float32)
    new = np.ones(scores.shape, dtype=np.float32)
    new[owners(starts), items] = 0
    count = np.maximum(new.sum(axis=1, dtype=np.float64), 1)
    mean = np.einsum("qi,qi->q", scores, new, dtype=np.float64) / count
    centred = scores - mean[:, None].astype(np.float32)
    deviation = np.sqrt(np.einsum("qi,qi,qi->q", centred, centred, new, dtype=np.float64) / count)
    flat = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
    factor = np.where(flat, 0, 1 / np.where(flat, 1, deviation)).astype(np.float32)
    unit: FloatArray = centred * factor[:, None]
    return unit


def climb(fitting: Fitting, parts: IntArray) -> Weights:
    """Move shares between some parts as long as the mean value grows, from the best of even shares and one part."""
    corners = np.eye(fitting.n_parts)[parts]
    best, value = _best(fitting, [corners.mean(axis=0), *corners])
    for step in STEPS:
        moved = True
        while moved:
            moved = False
            for giver, taker in permutations(parts.tolist(), 2):
                share = min(step, best[giver])
                if share <= 0:
                    continue
                trial = best.copy()
                trial[giver] -= share
                trial[taker] += share
                if (found := float(fitting.value(trial).mean())) > value:
                    best, value, moved = trial, found, True
    return best


def earning_parts(fitting: Fitting) -> IntArray:
    """Return the parts that earn something on users that did not choose their weight.

    Weights are fitted on each half of the users and tried on the other, with a part and without it. The part
    that earns least goes if it earns less than `SURE` standard errors, until none does.
    """
    parts: IntArray = np.arange(fitting.n_parts)
    one, two = fitting.halves()
    if min(one.n_queries, two.n_queries) == 0:
        return parts
    while len(parts) > 1:
        fitted = ((climb(one, parts), two), (climb(two, parts), one))
        full = np.concatenate([other.value(weights) for weights, other in fitted])
        gains = [
            sure(
                full
                - np.concatenate([other.value(_without(part, weights, parts)) for weights, other in fitted])
            )
            for part in parts.tolist()
        ]
        if min(gains) > 0:
            break
        parts = parts[parts != parts[int(np.argmin(gains))]]
    return parts


def weights_of_bucket(fitting: Fitting, whole: Weights) -> Weights:
    """Return a bucket's own weights where they surely earn more than those of all, tried as `earning_parts` does."""
    parts = np.flatnonzero(whole)
    one, two = fitting.halves()
    if len(parts) < 2 or min(one.n_queries, two.n_queries) == 0:
        return whole
    fitted = ((climb(one, parts), two), (climb(two, parts), one))
    gains = np.concatenate([other.value(weights) - other.value(whole) for weights, other in fitted])
    return climb(fitting, parts) if sure(gains) > 0 else whole


def sure(gains: Values, errors: float = SURE) -> float:
    """Return the mean of paired gains less some standard errors.

    Examples:
        >>> sure(np.array([1.0, 1.0])), sure(np.array([2.0, 0.0]))  # the second has an error of 1 / sqrt(2)
        (1.0, -0.06066017177982119)
    """
    return float(gains.mean() - errors * gains.std() / np.sqrt(len(gains)))


def _best(fitting: Fitting, tried: Sequence[Weights]) -> tuple[Weights, float]:
    values = [float(fitting.value(weights).mean()) for weights in tried]
    place = int(np.argmax(values))
    return tried[place], values[place]


def _without(part: int, weights: Weights, parts: IntArray) -> Weights:
    """Take a part's share away; even shares of the others if it had everything."""
    rest = np.where(np.arange(len(weights)) == part, 0, weights)
    if rest.sum() <= 0:
        rest = np.isin(np.arange(len(weights)), parts[parts != part]).astype(np.float64)
    shares: Weights = rest / rest.sum()
    return shares
