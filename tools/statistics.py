"""How sure a mean over users is: bootstrap intervals, paired randomisation tests, correction for many of them.

The unit drawn is always the user. A NaN is a value that was not measured for that user, and counts for nobody.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

IntArray = NDArray[np.int64]
Values = NDArray[np.float64]

RESAMPLES = 2000
SIGN_FLIPS = 10_000
LEVEL = 0.95
_NUMBERS_A_BLOCK = 1 << 21
_ROUNDING = 1e-12


class PairedTest(NamedTuple):
    """What the same users say of two systems."""

    difference: float
    """Mean of the first minus the second; NaN without users."""

    low: float
    high: float
    """Bootstrap interval of the difference."""

    p_value: float
    """Two-sided; of the hypothesis that it does not matter which system is which."""

    n: int
    """Users with both values."""


def numbers_of(users: Sequence[str]) -> IntArray:
    """Number users, the same user the same, for `by`; shape `(Q,)`.

    Examples:
        >>> numbers_of(["u2", "u1", "u2"]).tolist()
        [1, 0, 1]
    """
    return np.unique(np.asarray(users, dtype=np.str_), return_inverse=True)[1]


def intervals(
    values: ArrayLike,
    *,
    seed: int,
    by: IntArray | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Values:
    """Return the percentile bootstrap interval of each column's mean.

    All columns see the same resamples, so one matrix product serves them all.

    Args:
        values: One column a metric, shape `(Q, M)`.
        seed: Decides the resamples.
        by: Whose row it is, shape `(Q,)`; users are drawn with all their rows. Without it, each row is a user.
        resamples: How many times users are drawn with replacement.
        level: Coverage wanted, between 0 and 1.

    Returns:
        Lower and upper ends, shape `(M, 2)`; NaN for a column without values.

    Source:
        Efron 1979, "Bootstrap methods: another look at the jackknife"; the percentile interval of Efron 1981.

    Examples:
        >>> intervals([[2.0], [2.0], [2.0]], seed=0).tolist()
        [[2.0, 2.0]]
    """
    means = resampled_means(values, seed=seed, by=by, resamples=resamples)
    return percentile_interval(means, level=level)


def percentile_interval(drawn: Values, *, level: float = LEVEL) -> Values:
    """Return where the middle share `level` of each column lies, shape `(M, 2)`; NaN rows are left out.

    Raises:
        ValueError: `level` is not between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` must be between 0 and 1, got {level!r}")
    ends = [50.0 * (1.0 - level), 50.0 * (1.0 + level)]
    found = np.full((drawn.shape[1], 2), np.nan)
    for column, values in enumerate(drawn.T):
        measured = values[~np.isnan(values)]
        if len(measured):
            found[column] = np.percentile(measured, ends)
    return found


def resampled_means(
    values: ArrayLike, *, seed: int, by: IntArray | None = None, resamples: int = RESAMPLES
) -> Values:
    """Return each column's mean in each resample of users, shape `(R, M)`, for statistics made of means.

    Arguments are those of `intervals`.

    Raises:
        ValueError: `values` is not a matrix, `by` does not fit, or there are no resamples.
    """
    if resamples < 1:
        raise ValueError(f"`resamples` must be >= 1, got {resamples!r}")
    sums, counts = _by_user(np.asarray(values, dtype=np.float64), by)
    uneven = np.flatnonzero((counts != 1.0).any(axis=0))
    drawn: list[Values] = []
    for weights in _resampled_counts(len(sums), seed=seed, resamples=resamples):
        totals = weights @ sums
        of = np.full(totals.shape, float(len(sums)))
        of[:, uneven] = weights @ counts[:, uneven]
        drawn.append(np.divide(totals, of, out=np.full(totals.shape, np.nan), where=of > 0))
    return np.concatenate(drawn)


class _Sums(NamedTuple):
    """What each user adds to a mean; both of shape `(U, M)`."""

    sums: Values
    counts: Values
    """How many values are in the sum."""


def _by_user(matrix: Values, by: IntArray | None) -> _Sums:
    if matrix.ndim != 2:
        raise ValueError(f"`values` must have the shape (rows, metrics), got {matrix.shape}")
    if by is not None and by.shape != matrix.shape[:1]:
        raise ValueError(f"`by` must be of the {len(matrix)} rows of `values`, got the shape {by.shape}")
    missing = np.isnan(matrix)
    sums, counts = np.where(missing, 0.0, matrix), (~missing).astype(np.float64)
    if by is None:
        return _Sums(sums, counts)
    order = np.argsort(by, kind="stable")
    heads = np.unique(by[order], return_index=True)[1]
    if not len(heads):
        return _Sums(sums, counts)
    return _Sums(np.add.reduceat(sums[order], heads), np.add.reduceat(counts[order], heads))


def _resampled_counts(users: int, *, seed: int, resamples: int) -> Iterator[Values]:
    """Yield how often each user is drawn, a block of resamples at a time, shape `(B, Q)`."""
    rng = np.random.default_rng(seed)
    height = max(1, min(resamples, _NUMBERS_A_BLOCK // max(users, 1)))
    for start in range(0, resamples, height):
        counts = np.zeros((min(height, resamples - start), users))
        for row in counts:
            if users:
                row[:] = np.bincount(rng.integers(0, users, size=users), minlength=users)
        yield counts


def paired_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    seed: int,
    by: IntArray | None = None,
    resamples: int = SIGN_FLIPS,
    level: float = LEVEL,
) -> PairedTest:
    """Compare two systems on the same users.

    Each user's difference changes its sign at random; the p-value is `(k + 1) / (resamples + 1)`, where k random
    means are at least as far from 0 as the one found.

    Args:
        first: One value a row, shape `(Q,)`.
        second: The other system's, same rows in the same order.
        seed: Decides signs and resamples.
        by: Whose row it is, shape `(Q,)`; the differences of a user change sign together.
        resamples: How many random signings; the interval takes at most `RESAMPLES` bootstrap resamples.
        level: Coverage of the interval.

    Raises:
        ValueError: The shapes differ.

    Source:
        Smucker, Allan & Carterette 2007, "A comparison of statistical significance tests for information retrieval
        evaluation"; the p-value of Phipson & Smyth 2010, which is never 0.

    Examples:
        >>> paired_test([1.0, 2.0], [1.0, 2.0], seed=0)
        PairedTest(difference=0.0, low=0.0, high=0.0, p_value=1.0, n=2)
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"`first` {one.shape} and `second` {other.shape} must be of the same users")
    gains = one - other
    there = ~np.isnan(gains)
    gains, by = gains[there], None if by is None else by[there]
    if not len(gains):
        return PairedTest(np.nan, np.nan, np.nan, 1.0, 0)
    drawn = min(resamples, RESAMPLES)
    low, high = intervals(gains[:, None], seed=seed, by=by, resamples=drawn, level=level)[0].tolist()
    sums = _by_user(gains[:, None], by).sums[:, 0]
    p_value = _sign_flip(sums, seed=seed, resamples=resamples)
    return PairedTest(float(gains.mean()), low, high, p_value, len(sums))


def _sign_flip(gains: Values, *, seed: int, resamples: int) -> float:
    """Return the two-sided p-value of a sum whose terms are as likely negative."""
    gains = gains[gains != 0.0]  # a sign changes nothing there
    found = abs(float(gains.sum()))
    enough = found - _ROUNDING * float(np.abs(gains).sum())
    rng = np.random.default_rng((seed, 1))  # apart from the bootstrap of the same seed
    width = -(-len(gains) // 8)
    height = max(1, _NUMBERS_A_BLOCK // max(len(gains), 1))
    as_extreme = 0
    for start in range(0, resamples, height):
        rows = min(height, resamples - start)
        bits = np.frombuffer(rng.bytes(rows * width), dtype=np.uint8).reshape(rows, width)
        kept = np.unpackbits(bits, axis=1, count=len(gains)).astype(np.float64)
        sums = 2.0 * (kept @ gains) - gains.sum()
        as_extreme += int(np.count_nonzero(np.abs(sums) >= enough))
    return (as_extreme + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for being many; each is significant at a level if its corrected value is below it.

    Source:
        Holm 1979, "A simple sequentially rejective multiple test procedure": the i-th smallest of m is multiplied by
        m - i + 1, and none is smaller than one before it.

    Examples:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values)
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in corrected]
