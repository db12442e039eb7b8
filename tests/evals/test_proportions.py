"""Shares and their intervals, against SciPy."""

import math
from typing import Any

import pytest
from scipy import stats

from limner.evals.proportions import agreement_beyond_chance, wilson_interval


@pytest.mark.parametrize(("hits", "n"), [(0, 200), (7, 200), (10, 10), (1, 3), (50, 100)])
def test_the_interval_is_wilsons(hits: int, n: int) -> None:
    untyped: Any = stats
    oracle = untyped.binomtest(hits, n).proportion_ci(method="wilson")

    assert wilson_interval(hits, n) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_kappa_is_0_for_independent_verdicts_1_for_equal_ones_and_unknown_without_a_choice() -> None:
    assert agreement_beyond_chance([True, True, False, False], [True, False, True, False]) == 0.0
    assert agreement_beyond_chance([True, False], [True, False]) == 1.0
    assert agreement_beyond_chance([True, False], [False, True]) == -1.0  # (0 - .5) / .5
    assert math.isnan(agreement_beyond_chance([True, True], [True, True]))
    assert math.isnan(agreement_beyond_chance([], []))
