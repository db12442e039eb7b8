"""Off-policy estimates agree with obp and with what can be worked out by hand, and stay silent without overlap."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from limner.distill.judging.off_policy import (
    InsufficientOverlap,
    OffPolicy,
    OverlapGate,
    Round,
    evaluate,
)
from limner.errors import InputError

LENIENT = OverlapGate(share=0.001, rounds=1.0, drift=10.0)


def invented(rounds: int = 200, drafts: int = 4) -> list[Round]:
    """Rounds of a log with a seed; the same numbers were given to obp."""
    rng = np.random.default_rng(11)
    logged = rng.dirichlet(np.ones(drafts) * 2, size=rounds)
    target = rng.dirichlet(np.ones(drafts) * 2, size=rounds)
    predicted = rng.random((rounds, drafts))
    chosen = np.array([rng.choice(drafts, p=row) for row in logged])
    feedback = (rng.random(rounds) < 0.2 + 0.6 * predicted[np.arange(rounds), chosen]).astype(float)
    return [
        Round(
            user_id=f"u{place // 2}",
            logged=tuple(logged[place].tolist()),
            chosen=int(chosen[place]),
            feedback=float(feedback[place]),
            target=tuple(target[place].tolist()),
            predicted=tuple(predicted[place].tolist()),
        )
        for place in range(rounds)
    ]


def two_drafts(feedback: float, *, chosen: int = 0, user: str = "u", target: float = 0.8) -> Round:
    """A round between two drafts that the log published alike."""
    return Round(
        user_id=user,
        logged=(0.5, 0.5),
        chosen=chosen,
        feedback=feedback,
        target=(target, 1.0 - target),
        predicted=(0.5, 0.25),
    )


def estimated(rounds: list[Round], gate: OverlapGate = LENIENT) -> OffPolicy:
    found = evaluate(rounds, seed=0, gate=gate)
    assert isinstance(found, OffPolicy)
    return found


def test_values_equal_those_of_obp() -> None:
    # obp 0.5.7 (`pip install --no-deps --ignore-requires-python obp==0.5.7`) on `invented()`: each class's
    # `estimate_policy_value(reward=…, action=…, pscore=…, action_dist=target[:, :, None],
    # estimated_rewards_by_reg_model=predicted[:, :, None])`, from IPS (`InverseProbabilityWeighting`) to
    # `SelfNormalizedDoublyRobust`.
    theirs = {
        "ips": 0.5332678451452105,
        "snips": 0.5234563054161858,
        "dm": 0.4999361599708317,
        "dr": 0.5291022903813084,
        "sndr": 0.5285656657753631,
    }

    found = estimated(invented(), OverlapGate())

    assert {name: each.value for name, each in found.estimates.items()} == pytest.approx(theirs, rel=1e-12)
    assert found.overlap.effective == pytest.approx(110.88532481921463)
    assert found.overlap.users == 100


def test_values_are_those_worked_out_by_hand() -> None:
    # Weights: .8 / .5 = 1.6 and .2 / .5 = .4. Expected q: .8 * .5 + .2 * .25 = .45 in both rounds.
    found = estimated([two_drafts(1.0), two_drafts(0.5, chosen=1)])

    value = {name: each.value for name, each in found.estimates.items()}
    assert value["ips"] == pytest.approx((1.6 * 1.0 + 0.4 * 0.5) / 2)
    assert value["snips"] == pytest.approx((1.6 * 1.0 + 0.4 * 0.5) / 2.0)
    assert value["dm"] == pytest.approx(0.45)
    assert value["dr"] == pytest.approx(0.45 + (1.6 * 0.5 + 0.4 * 0.25) / 2)
    assert value["sndr"] == pytest.approx(0.45 + (1.6 * 0.5 + 0.4 * 0.25) / 2.0)
    assert found.logged == 0.75
    assert found.estimates["ips"].gain == pytest.approx(0.9 - 0.75)
    assert found.overlap.effective == pytest.approx(4.0 / (1.6**2 + 0.4**2))


def test_self_normalisation_divides_by_the_weights() -> None:
    found = estimated([two_drafts(1.0), two_drafts(0.0)])  # both weights 1.6

    assert found.estimates["ips"].value == pytest.approx(0.8)
    assert found.estimates["snips"].value == pytest.approx(0.5)


def test_without_predictions_there_is_no_model_based_estimate() -> None:
    bare = [Round(user_id="u", logged=(1.0,), chosen=0, feedback=1.0, target=(1.0,))] * 2

    assert list(estimated(bare).estimates) == ["ips", "snips"]


def test_intervals_draw_users_with_all_their_rounds() -> None:
    # Two users: resamples hold one of them or both, so snips is 1, 0 or 1/2, never in between.
    rounds = [two_drafts(1.0, user="a", target=0.5)] * 40 + [two_drafts(0.0, user="b", target=0.5)] * 40

    found = estimated(rounds).estimates["snips"]

    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)
    assert (found.gain, found.gain_low, found.gain_high) == (0.0, 0.0, 0.0)  # the same policy as the log's


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        chosen = rng.random(300) < 0.5
        feedback = rng.random(300) < np.where(chosen, 0.3, 0.7)  # draft 0 earns .7, draft 1 earns .3
        rounds = [
            two_drafts(float(won), chosen=int(place), user=f"u{number}")
            for number, (place, won) in enumerate(zip(chosen, feedback, strict=True))
        ]
        found = evaluate(rounds, seed=1, resamples=300)
        assert isinstance(found, OffPolicy)
        dr = found.estimates["dr"]
        held += dr.low <= 0.8 * 0.7 + 0.2 * 0.3 <= dr.high

    assert 52 <= held <= 60  # 57 expected; three standard errors of 60 trials at .95 are 5


@pytest.mark.parametrize(
    ("rounds", "complaint"),
    [
        # 39 weights of .02 and one of 1.98: (39 * .02 + 1.98)^2 / (39 * .02^2 + 1.98^2) = 1.93.
        (
            [two_drafts(1.0, chosen=1, target=0.99)] * 39 + [two_drafts(1.0, target=0.99)],
            "1.9 effective rounds",
        ),
        ([two_drafts(1.0, target=0.9)] * 40, "the mean weight is 1.800, not 1 ± 0.2"),
        ([two_drafts(1.0, target=0.5)] * 29, "29.0 effective rounds of 29 are fewer than 30.0"),
        (
            [Round(user_id="u", logged=(1.0, 0.0), chosen=0, feedback=1.0, target=(0.9, 0.1))] * 40,
            "10.0% of the policy's choices were never published",
        ),
    ],
)
def test_a_log_that_cannot_tell_gives_no_number(rounds: list[Round], complaint: str) -> None:
    found = evaluate(rounds, seed=0)

    assert isinstance(found, InsufficientOverlap)
    assert any(complaint in said for said in found.complaints), found.complaints
    assert not hasattr(found, "estimates")


def test_whole_text_weights_have_no_overlap() -> None:
    # Sixty tokens whose log-ratios have a standard deviation of .3; a draft against "any other text".
    ratios = np.exp(np.random.default_rng(0).normal(-0.045, 0.3, (4000, 60)).sum(axis=1))
    rounds = [
        Round(
            user_id=f"u{place}",
            logged=(1e-4, 1 - 1e-4),
            chosen=0,
            feedback=1.0,
            target=(1e-4 * w, 1 - 1e-4 * w),
        )
        for place, w in enumerate(ratios.tolist())
    ]

    found = evaluate(rounds, seed=0)

    assert isinstance(found, InsufficientOverlap)
    assert found.overlap.effective < 0.05 * 4000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"logged": (0.5, 0.6)}, "`logged` .* are no probabilities"),
        ({"target": (1.5, -0.5)}, "`target` .* are no probabilities"),
        ({"target": (1.0,)}, "must fit the 2 drafts"),
        ({"chosen": 2}, "must fit the 2 drafts"),
        ({"logged": (0.0, 1.0)}, "was published although `logged` gives it probability 0"),
        ({"feedback": float("nan")}, "leave rounds without feedback out"),
        ({"predicted": None}, "either all rounds have `predicted` or none"),
        ({"predicted": (1.0,)}, "`predicted` has 1 values for 2 drafts"),
    ],
)
def test_rounds_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=f"round 1 of user_id='u': .*{words}"):
        evaluate([two_drafts(1.0), replace(two_drafts(1.0), **changes)], seed=0)


def test_no_round_is_refused() -> None:
    with pytest.raises(InputError, match="no round to estimate from"):
        evaluate([], seed=0)
