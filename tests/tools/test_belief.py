"""Beliefs: precision weighting by hand, which pass can change the top, and ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.tools.belief import Belief, Gauge, best_first, combine, promise, shared_ranks

SURE = Gauge(offset=0.0, of_worth=1.0, of_scorer=0.0, noise=0.2, offset_sd=0.0)
NAN = float("nan")


def belief(means: list[float], sd: float | list[float] = 0.2) -> Belief:
    return Belief(np.array(means), np.full(len(means), sd) if isinstance(sd, float) else np.array(sd))


def test_a_pass_of_known_scale_is_weighed_by_precision() -> None:
    found = combine(belief([0.4, 0.4], [0.2, 0.1]), np.array([0.8, 0.8]), SURE)

    # Precisions 1/0.04 and 1/0.04: half way. Precisions 1/0.01 and 1/0.04: a fifth of the way.
    assert found.mean == pytest.approx([0.6, 0.48])
    # Variances 1/(25 + 25) and 1/(100 + 25).
    assert found.sd**2 == pytest.approx([0.02, 0.008])


def test_what_the_pass_repeats_of_the_scorer_is_no_news() -> None:
    gauge = Gauge(offset=0.1, of_worth=0.5, of_scorer=0.3, noise=0.1, offset_sd=0.0)

    # 0.1 + 0.5 * 0.4 + 0.3 * 0.4 = 0.42 is what a pass says if the scorer is right.
    assert combine(belief([0.4]), np.array([0.42]), gauge).mean == pytest.approx([0.4])
    # News of 0.1: weight 0.5 * 0.04 / (0.25 * 0.04 + 0.01) = 1.
    assert combine(belief([0.4]), np.array([0.52]), gauge).mean == pytest.approx([0.5])


def test_where_the_scale_lies_is_learned_from_the_list() -> None:
    open_scale = SURE._replace(offset_sd=1e6)
    prior = belief([0.2, 0.4, 0.6])

    # All passes are 0.3 above the scorer: that is their scale, not news.
    level = combine(prior, prior.mean + 0.3, open_scale)
    assert level.mean == pytest.approx(prior.mean)
    # One pass alone tells nothing, neither in mean nor in certainty.
    alone = combine(prior, np.array([0.9, NAN, NAN]), open_scale)
    assert alone.mean == pytest.approx(prior.mean) and alone.sd == pytest.approx(prior.sd, abs=1e-6)
    # Two passes, surprises +0.2 and -0.2: the scale lies between them, each moves by half of its own.
    two = combine(prior, np.array([0.4, 0.2, NAN]), open_scale)
    assert two.mean == pytest.approx([0.3, 0.3, 0.6])


def test_a_pass_that_measures_nothing_changes_nothing_and_is_not_wanted() -> None:
    deaf = SURE._replace(of_worth=0.0)
    prior = belief([0.5, 0.5])

    assert combine(prior, np.array([1.0, 0.0]), deaf) is prior
    assert promise(prior, np.array([False, False]), deaf, top=1).tolist() == [0.0, 0.0]


def test_only_rivals_of_the_top_promise_a_change() -> None:
    found = promise(belief([0.9, 0.8, 0.1]), np.array([False, False, False]), SURE, top=1)

    # A pass moves a mean by 0.04 / sqrt(0.08) = 0.1414, two by 0.2: gaps of 0.1 and 0.8.
    assert found[:2] == pytest.approx([0.30854, 0.30854], abs=1e-4)  # the normal tail beyond 0.5
    assert found[2] == pytest.approx(3.2e-5, abs=1e-5)  # beyond 4


def test_places_within_the_top_count_and_those_below_do_not() -> None:
    found = promise(belief([0.9, 0.9, 0.1, 0.1]), np.array([False] * 4), SURE, top=2)

    assert found[:2] == pytest.approx([0.5, 0.5])
    assert (found[2:] < 0.01).all()


def test_a_measured_candidate_promises_nothing_but_can_be_overtaken() -> None:
    found = promise(belief([0.9, 0.9]), np.array([True, False]), SURE, top=1)

    assert found.tolist() == [0.0, 0.5]


def test_one_candidate_needs_no_pass() -> None:
    assert promise(belief([0.4]), np.array([False]), SURE, top=1).tolist() == [0.0]


def test_ties_share_their_places_whatever_their_order() -> None:
    assert shared_ranks(np.array([0.3, 0.3, 0.3, 0.9])).tolist() == [3.0, 3.0, 3.0, 1.0]
    assert best_first(np.array([0.3, 0.9, 0.3]), np.array([2.0, 0.0, 1.0])).tolist() == [1, 2, 0]


def test_differences_of_rounding_are_ties() -> None:
    assert shared_ranks(np.array([0.1 + 0.2, 0.3])).tolist() == [1.5, 1.5]


def test_bounds_are_quantiles_within_the_range() -> None:
    wide = belief([0.5, 0.95], [0.1, 0.1])

    assert wide.low == pytest.approx([0.5 - 0.128155, 0.95 - 0.128155], abs=1e-5)
    assert wide.high == pytest.approx([0.5 + 0.128155, 1.0], abs=1e-5)


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0.05, 0.5), st.floats(0, 1) | st.none()), min_size=1, max_size=6
    ),
    st.floats(0, 2),
)
def test_combining_agrees_with_the_full_gaussian_posterior(
    rows: list[tuple[float, float, float | None]], offset_sd: float
) -> None:
    gauge = Gauge(offset=0.1, of_worth=0.7, of_scorer=0.2, noise=0.15, offset_sd=offset_sd)
    means, sds = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    fits = np.array([NAN if row[2] is None else row[2] for row in rows])

    found = combine(Belief(means, sds), fits, gauge)

    # The same by the textbook: condition the joint normal of worth and fits on the fits that are there.
    seen = np.flatnonzero(~np.isnan(fits))
    prior = np.diag(sds**2)
    shows = gauge.of_worth * np.eye(len(rows))[seen]
    noise = gauge.noise**2 * np.eye(len(seen)) + offset_sd**2 * np.ones((len(seen), len(seen)))
    gain = prior @ shows.T @ np.linalg.pinv(shows @ prior @ shows.T + noise)
    expected = gauge.offset + (gauge.of_worth + gauge.of_scorer) * means[seen]
    assert found.mean == pytest.approx(means + gain @ (fits[seen] - expected), abs=1e-6)
    assert found.sd**2 == pytest.approx(np.diag(prior - gain @ shows @ prior), abs=1e-6)
