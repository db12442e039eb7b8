"""The weights of `tools.recommender.calibration`: what they are worth, and how they are found."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, Self

import numpy as np

from ..embedder import FloatArray
from ..spans import IntArray
from .blending import Values

DEEP = 0.1
"""Weight of the share of the log-rank that is saved, beside NDCG@10: moves places that NDCG does not see."""

_NEAR_ZERO = 1e-6
_NEAR_WHOLE = 1e-3
_STEPS = 100
_FIRST_STEPS = 50
_TOP = 10
_FAR = 30.0

Slope = Callable[[FloatArray, FloatArray], tuple[float, FloatArray]]
"""Takes scores and times, both `(Q, C)`; returns a mean loss and its derivative by the scores."""


class Theta(NamedTuple):
    """Weights of one bucket of users."""

    weights: FloatArray
    """Shape `(columns, K)`; none is negative."""

    bias: FloatArray
    """Shape `(K,)`."""

    def without(self, first: int, end: int) -> Self:
        """Return weights in which some columns count nothing."""
        weights = self.weights.copy()
        weights[first:end] = 0
        return self._replace(weights=weights)


class Exam(NamedTuple):
    """Users who hold one item back, and the items it competes with."""

    columns: FloatArray
    """Columns of the signals, shape `(columns, Q, C)`; the held-back item is the first of the `C`."""

    hats: FloatArray
    """Share of each knot in each item's frequency, shape `(Q, C, K)`."""

    times: FloatArray
    """How many items of the catalogue each stands for, shape `(Q, C)`; 0 for the held-back one and for none."""

    lengths: IntArray
    """Lengths of the histories, shape `(Q,)`."""

    catalogue: int
    """Number of all items."""

    def take(self, rows: IntArray | slice) -> Self:
        """Keep some users."""
        return self._replace(
            columns=self.columns[:, rows],
            hats=self.hats[rows],
            times=self.times[rows],
            lengths=self.lengths[rows],
        )

    def halves(self) -> tuple[Self, Self]:
        """Split the users."""
        return self.take(slice(0, None, 2)), self.take(slice(1, None, 2))

    def scores(self, theta: Theta) -> FloatArray:
        """Score the items, shape `(Q, C)`."""
        total = self.hats @ theta.bias
        for column, weights in zip(self.columns, theta.weights, strict=True):
            if weights.any():
                total += column * (self.hats @ weights)
        return total

    def value(self, theta: Theta) -> Values:
        """Return what each user gains: NDCG@10 and `DEEP` of the saved share of the log-rank, by mid-ranks."""
        scores = self.scores(theta)
        better = (self.times * (scores > scores[:, :1])).sum(axis=1, dtype=np.float64)
        beside = (self.times * (scores == scores[:, :1])).sum(axis=1, dtype=np.float64)
        rank = 1 + better + beside / 2
        top = np.where(rank < _TOP + 0.5, 1 / np.log2(1 + rank), 0)
        gained: Values = top + DEEP * (1 - np.log(rank) / np.log(max(self.catalogue, 2)))
        return gained


def descend(exam: Exam, toward: Theta | None = None) -> Theta:
    """Return the weights of most value.

    Args:
        exam: Users to fit on.
        toward: Weights to start from and to stay near; absent to start from those of most likelihood.
    """
    size = np.maximum(exam.columns.std(axis=(1, 2)), 1e-6)[:, None]
    if toward is not None:
        return _minimise(exam, size, toward, toward, smooth_gain(exam.catalogue), _NEAR_WHOLE)
    shape = len(exam.columns), exam.hats.shape[2]
    nothing = Theta(np.zeros(shape, dtype=np.float32), np.zeros(shape[1], dtype=np.float32))
    start = nothing._replace(weights=(np.full(shape, 0.1) / size).astype(np.float32))
    likely = _minimise(exam, size, start, nothing, likelihood, _NEAR_ZERO, _FIRST_STEPS)
    return _minimise(exam, size, likely, nothing, smooth_gain(exam.catalogue), _NEAR_ZERO)


def likelihood(scores: FloatArray, times: FloatArray) -> tuple[float, FloatArray]:
    """Return the mean negative log-likelihood of the first item among all, in nats, and its slope."""
    counted = times.copy()
    counted[:, 0] = 1
    peak = np.where(counted > 0, scores, -np.inf).max(axis=1, keepdims=True)
    share = counted * np.exp(np.minimum(scores - peak, 0))
    whole = share.sum(axis=1, keepdims=True)
    loss = np.log(whole[:, 0]) + peak[:, 0] - scores[:, 0]
    slope = share / whole
    slope[:, 0] -= 1
    return float(loss.mean()), slope / np.float32(len(scores))


def smooth_gain(catalogue: int) -> Slope:
    """Return the slope of the smooth gain: ranks are sums of logistic functions of differences of scores."""
    longest = np.log(max(catalogue, 2))

    def slope_of(scores: FloatArray, times: FloatArray) -> tuple[float, FloatArray]:
        above = 1 / (1 + np.exp(-np.clip(scores - scores[:, :1], -_FAR, _FAR)))
        rank = 1 + (above * times).sum(axis=1)
        logs = np.log1p(rank)
        gain = np.log(2) / logs - DEEP * np.log(rank) / longest
        by_rank = -np.log(2) / (logs**2 * (1 + rank)) - DEEP / (rank * longest)
        slope = -(above * (1 - above) * times) * by_rank[:, None]
        slope[:, 0] = -slope[:, 1:].sum(axis=1)
        return -float(gain.mean()), slope / np.float32(len(scores))

    return slope_of


def _minimise(
    exam: Exam, size: FloatArray, start: Theta, toward: Theta, loss: Slope, pull: float, steps: int = _STEPS
) -> Theta:
    """Descend by L-BFGS with weights that are never negative, in units of the columns' deviations."""
    optimize: Any = import_module("scipy.optimize")
    flat_hats = exam.hats.reshape(-1, exam.hats.shape[2])
    n_weights = start.weights.size

    def pack(theta: Theta) -> Values:
        return np.concatenate([(theta.weights * size).ravel(), theta.bias]).astype(np.float64)

    def unpack(point: Values) -> Theta:
        weights = point[:n_weights].reshape(start.weights.shape) / size
        return Theta(weights.astype(np.float32), point[n_weights:].astype(np.float32))

    goal = pack(toward)

    def look(point: Values) -> tuple[float, Values]:
        theta = unpack(point)
        value, by_score = loss(exam.scores(theta), exam.times)
        by_weight = [(by_score * column).ravel() @ flat_hats for column in exam.columns]
        slope = np.concatenate([(np.stack(by_weight) / size).ravel(), by_score.ravel() @ flat_hats])
        away = point - goal
        return value + pull * float(away @ away), slope.astype(np.float64) + 2 * pull * away

    bounds = [(0, None)] * n_weights + [(None, None)] * start.bias.size
    found = optimize.minimize(
        look, pack(start), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps}
    )
    return unpack(found.x)
