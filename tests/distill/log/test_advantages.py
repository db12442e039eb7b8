"""Advantages, weights, pairs and labels of one group, worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.distill.log.advantages import (
    Weighting,
    advantage_weights,
    best_of,
    desirable,
    normalised_advantages,
    preference,
    worst_of,
)

REWARDS = st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=8)


def test_advantages_are_in_sample_standard_deviations_of_the_group() -> None:
    # Mean 0.4; squared gaps .04 + .16 + .04 + .16 = .4 over n - 1 = 3: deviation sqrt(.13333) = .365148.
    advantages = normalised_advantages([0.2, 0.8, 0.6, 0.0])

    assert advantages == pytest.approx(
        [-0.2 / 0.365248, 0.4 / 0.365248, 0.2 / 0.365248, -0.4 / 0.365248], rel=1e-5
    )


@given(REWARDS)
def test_advantages_sum_to_nothing_and_keep_the_order(rewards: list[float]) -> None:
    advantages = normalised_advantages(rewards)

    assert math.fsum(advantages) == pytest.approx(0.0, abs=1e-9)
    assert advantages[best_of(rewards)] == max(advantages)
    assert advantages[worst_of(rewards)] == min(advantages)


def test_weights_grow_with_the_advantage_up_to_the_clip() -> None:
    weighting = Weighting(temperature=0.5, max_weight=8.0)

    # exp(-1 / .5) = .135335, exp(.5 / .5) = e, exp(1.5 / .5) = 20.1 clipped to 8.
    assert advantage_weights([-1.0, 0.5, 1.5], weighting) == pytest.approx([0.135335, math.e, 8.0], rel=1e-5)


def test_weights_of_a_tiny_temperature_do_not_overflow() -> None:
    assert advantage_weights([-9.0, 0.0, 9.0], Weighting(temperature=1e-6)) == [0.0, 1.0, 8.0]


def test_of_equal_drafts_the_first_is_best_and_worst() -> None:
    assert (best_of([0.5, 0.9, 0.9]), worst_of([0.9, 0.1, 0.1])) == (1, 1)


@pytest.mark.parametrize(
    ("rewards", "margin", "expected"),
    [
        ([0.3, 0.9, 0.1], 0.5, (1, 2)),
        ([0.3, 0.9, 0.5], 0.7, None),
        ([0.25, 0.75], 0.5, (1, 0)),
        ([0.4, 0.4], 0.0, None),
    ],
    ids=["wide", "too-close", "exactly-the-margin", "equal"],
)
def test_a_preference_pair_is_best_against_worst_with_a_margin(
    rewards: list[float], margin: float, expected: tuple[int, int] | None
) -> None:
    assert preference(rewards, Weighting(min_margin=margin)) == expected


def test_a_draft_at_the_mean_of_its_group_has_no_label() -> None:
    assert desirable(normalised_advantages([0.2, 0.4, 0.6])) == [False, None, True]
