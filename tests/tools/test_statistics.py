"""Intervals, tests and corrections agree with scipy and with what can be worked out by hand."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from limner.tools.statistics import Values, holm, intervals, paired_test, percentile_interval, resampled_means


def test_intervals_agree_with_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    values = np.column_stack([rng.exponential(size=400), rng.random(400) < 0.1])

    ours = intervals(values, seed=2, resamples=6000, level=0.9)

    for column in range(2):
        sample = (values[:, column],)
        theirs = stats.bootstrap(
            sample, np.mean, n_resamples=6000, confidence_level=0.9, method="percentile", rng=3
        )
        error = float(theirs.standard_error)
        ends: list[float] = np.array(theirs.confidence_interval, dtype=np.float64).tolist()
        assert ours[column].tolist() == pytest.approx(ends, abs=0.1 * error)


def test_intervals_cover_the_true_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    samples = rng.normal(1.0, 2.0, size=(60, 500))

    found = intervals(samples, seed=6, level=0.8)

    # 500 intervals: 0.8 give or take three standard errors of 0.018, less what 60 users cost a bootstrap.
    covered = np.mean((found[:, 0] <= 1.0) & (found[:, 1] >= 1.0))
    assert 0.73 < covered < 0.85


def test_the_seed_decides_the_interval() -> None:
    values = np.random.default_rng(0).random((50, 3))

    assert np.array_equal(intervals(values, seed=1), intervals(values, seed=1))
    assert not np.array_equal(intervals(values, seed=1), intervals(values, seed=2))


def test_columns_see_the_same_resamples() -> None:
    values = np.random.default_rng(0).random((50, 1))

    drawn = resampled_means(np.hstack([values, 2 * values]), seed=1, resamples=20)

    assert drawn[:, 1] == pytest.approx(2 * drawn[:, 0])


def test_many_users_are_drawn_in_blocks_that_differ() -> None:
    values = np.random.default_rng(0).random((300_000, 1))

    drawn = resampled_means(values, seed=1, resamples=15)  # 6 resamples fit a block

    assert drawn.shape == (15, 1)
    assert len(np.unique(drawn)) == 15


def test_what_was_not_measured_counts_for_nobody() -> None:
    values = np.array([[1.0, np.nan, np.nan], [1.0, 3.0, np.nan], [1.0, 3.0, np.nan]])

    found = intervals(values, seed=0, resamples=200)

    assert found[:2].tolist() == [[1.0, 1.0], [3.0, 3.0]]
    assert np.isnan(found[2]).all()


def test_a_user_is_drawn_with_all_rows() -> None:
    values = np.array([[0.0], [1.0], [5.0], [5.0]])  # the first user's mean is 1 / 2

    drawn = resampled_means(values, seed=0, by=np.array([7, 7, 3, 3]), resamples=300)

    # Two users: both the first, both the second, or one of each: (1 + 10) / 4.
    assert np.unique(drawn).tolist() == [0.5, 2.75, 5.0]


def test_users_with_more_rows_weigh_more() -> None:
    values = np.array([[0.0], [0.0], [0.0], [4.0]])

    drawn = resampled_means(values, seed=0, by=np.array([1, 1, 1, 2]), resamples=300)

    assert np.unique(drawn).tolist() == [0.0, 1.0, 4.0]  # one of each: 4 / 4


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.5])
def test_the_paired_test_agrees_with_scipy(shift: float) -> None:
    rng = np.random.default_rng(8)
    first = rng.normal(shift, 1.0, size=60)
    second = first - rng.normal(shift, 1.0, size=60)

    ours = paired_test(first, second, seed=9)

    def mean_difference(a: Values, b: Values, axis: int) -> Values:
        return np.asarray(np.mean(a - b, axis=axis))

    theirs = stats.permutation_test(
        (first, second),
        mean_difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=10,
    )
    # Both are random: three standard errors of a share of 10,000 are 0.015 at most.
    assert ours.p_value == pytest.approx(float(theirs.pvalue), abs=0.02)
    assert ours.difference == pytest.approx(float(np.mean(first - second)))
    assert ours.low < ours.difference < ours.high


def test_the_p_value_is_the_share_of_signings_at_least_as_far_from_zero() -> None:
    gains = np.array([3.0, 2.0, 2.0, -1.0, 0.0])

    found = paired_test(gains, np.zeros(5), seed=1, resamples=40_000)

    signed = [
        abs(sum(s * g for s, g in zip(signs, gains, strict=True))) for signs in product((1, -1), repeat=5)
    ]
    exact = np.mean(np.array(signed) >= 6.0)
    assert found.p_value == pytest.approx(exact, abs=0.01)
    assert found.n == 5


def test_a_p_value_is_never_below_what_the_resamples_can_show() -> None:
    found = paired_test(np.ones(200), np.zeros(200), seed=0, resamples=99)

    assert found.p_value == 1 / 100
    assert (found.low, found.high) == (1.0, 1.0)


def test_swapping_the_systems_changes_only_the_sign() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.random(50), rng.random(50)

    one, other = paired_test(first, second, seed=3), paired_test(second, first, seed=3)

    assert one.p_value == other.p_value
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))


def test_no_difference_is_no_evidence() -> None:
    same = np.random.default_rng(0).random(30)

    assert paired_test(same, same, seed=0) == (0.0, 0.0, 0.0, 1.0, 30)


def test_pairs_without_both_values_are_left_out() -> None:
    found = paired_test([1.0, np.nan, 3.0], [0.0, 1.0, np.nan], seed=0)
    nothing = paired_test([np.nan], [1.0], seed=0)

    assert (found.difference, found.n) == (1.0, 1)
    assert np.isnan(nothing.difference)
    assert (nothing.p_value, nothing.n) == (1.0, 0)


def test_the_rows_of_a_user_change_sign_together() -> None:
    gains = np.tile([1.0, 1.0], 20)

    alone = paired_test(gains, np.zeros(40), seed=0)
    of_one_user = paired_test(gains, np.zeros(40), seed=0, by=np.zeros(40, dtype=np.int64))

    assert alone.p_value < 0.001
    assert (of_one_user.p_value, of_one_user.n) == (1.0, 1)  # one sign: the sum is 40 away from 0 either way


def test_holm_agrees_with_the_definition() -> None:
    found = holm([0.04, 0.001, 0.03, 0.5])

    # Sorted: .001 * 4, .03 * 3, max(.09, .04 * 2), .5 * 1.
    assert found == pytest.approx([0.09, 0.004, 0.09, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(rows, metrics\), got \(3,\)"):
        intervals(np.zeros(3), seed=0)
    with pytest.raises(ValueError, match="`by` must be"):
        intervals(np.zeros((3, 1)), seed=0, by=np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match="`resamples` must be >= 1, got 0"):
        intervals(np.zeros((3, 1)), seed=0, resamples=0)
    with pytest.raises(ValueError, match=r"`level` must be between 0 and 1, got 95"):
        percentile_interval(np.zeros((3, 1)), level=95)
    with pytest.raises(ValueError, match="same users"):
        paired_test(np.zeros(3), np.zeros(4), seed=0)
