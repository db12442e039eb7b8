"""How far predicted ratings are from the given ones, with intervals over users."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..tools.statistics import LEVEL, RESAMPLES, Values, percentile_interval, resampled_means
from .dataset import FloatArray, IntArray

MIDDLE = 3.0
"""What is said where nobody rated anything: the middle of five stars."""


class Estimate(NamedTuple):
    """One number and its interval."""

    value: float
    low: float
    high: float


def rating_errors(predicted: ArrayLike, actual: ArrayLike, *, levels: Sequence[float]) -> dict[str, Values]:
    """Return what each rating adds to the means.

    Args:
        predicted: Shape `(Q,)`, on the scale of `actual`; between levels is fine.
        actual: Shape `(Q,)`.
        levels: Ratings that can be given, at least one.

    Returns:
        `mae` (absolute error), `mse` (squared error) and `accuracy` (1 if the level nearest to the prediction is the
        one given), each of shape `(Q,)`.

    Raises:
        ValueError: The shapes differ, a number is NaN, or there are no levels.
    """
    guess, truth = _checked(predicted, actual, levels)
    hit = _nearest(guess, levels) == _nearest(truth, levels)
    return {"mae": np.abs(guess - truth), "mse": (guess - truth) ** 2, "accuracy": hit.astype(np.float64)}


def measure_ratings(
    predicted: ArrayLike,
    actual: ArrayLike,
    *,
    levels: Sequence[float],
    seed: int,
    by: IntArray | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> dict[str, Estimate]:
    """Return `mae`, `rmse`, `accuracy` and macro `f1`, each with its bootstrap interval.

    Macro F1 is the mean of F1 over the levels that were given or predicted, each as heavy as the other, after a
    prediction is moved to its nearest level (half way up).

    Args:
        predicted: Shape `(Q,)`, on the scale of `actual`; between levels is fine.
        actual: Shape `(Q,)`.
        levels: Ratings that can be given, at least one.
        seed: Decides the resamples.
        by: Who gave each rating, shape `(Q,)`; without it, everybody gave one.
        resamples: How many times users are drawn with replacement.
        level: Coverage of the intervals.

    Raises:
        ValueError: The shapes differ, a number is NaN, or there are no levels.

    Examples:
        >>> found = measure_ratings([1.0, 4.0], [1.0, 2.0], levels=(1, 2, 3, 4, 5), seed=0)
        >>> {name: round(estimate.value, 3) for name, estimate in found.items()}
        {'mae': 1.0, 'rmse': 1.414, 'accuracy': 0.5, 'f1': 0.333}
    """
    errors = rating_errors(predicted, actual, levels=levels)
    guess, truth = (_nearest(np.asarray(of, dtype=np.float64), levels) for of in (predicted, actual))
    marks = np.eye(len(levels))
    told, right = marks[guess], marks[truth]
    columns = np.column_stack([*errors.values(), told * right, told + right])
    drawn = _figures(resampled_means(columns, seed=seed, by=by, resamples=resamples))
    values = _figures(columns.mean(axis=0, keepdims=True))
    return {
        name: Estimate(
            float(values[name][0]), *percentile_interval(drawn[name][:, None], level=level)[0].tolist()
        )
        for name in values
    }


def mean_of(ratings: FloatArray) -> float:
    """Return the mean of what was rated; the middle of five stars where nothing was.

    Examples:
        >>> mean_of(np.array([1.0, np.nan, 4.0], dtype=np.float32))
        2.5
    """
    given = ratings[~np.isnan(ratings)]
    return float(given.mean(dtype=np.float64)) if len(given) else MIDDLE


def _figures(means: Values) -> dict[str, Values]:
    """Turn means of columns into figures, row by row; one level's F1 is 2 tp / (told + right)."""
    mae, mse, accuracy = means[:, :3].T
    both, either = np.split(means[:, 3:], 2, axis=1)
    seen = either > 0
    f1 = np.divide(2.0 * both, either, out=np.zeros_like(both), where=seen)
    return {
        "mae": mae,
        "rmse": np.sqrt(mse),
        "accuracy": accuracy,
        "f1": f1.sum(axis=1) / np.maximum(seen.sum(axis=1), 1),
    }


def _checked(predicted: ArrayLike, actual: ArrayLike, levels: Sequence[float]) -> tuple[Values, Values]:
    guess, truth = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if guess.ndim != 1 or guess.shape != truth.shape or not len(guess):
        raise ValueError(f"`predicted` {guess.shape} and `actual` {truth.shape} must be of the same ratings")
    if np.isnan(guess).any() or np.isnan(truth).any():
        raise ValueError("`predicted` and `actual` must not have NaN; leave out what nobody rated")
    if not levels or list(levels) != sorted(set(levels)):
        raise ValueError(f"`levels` must be ascending, got {levels!r}")
    return guess, truth


def _nearest(ratings: Values, levels: Sequence[float]) -> IntArray:
    """Return the number of the level nearest to each rating."""
    steps = np.asarray(levels, dtype=np.float64)
    return np.searchsorted((steps[1:] + steps[:-1]) / 2.0, ratings, side="right")
