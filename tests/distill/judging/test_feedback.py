"""Rounds are read from the log of drafts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from limner.distill.judging.feedback import by_softmax, rounds_of, with_predictions
from limner.distill.judging.off_policy import InsufficientOverlap, OffPolicy, Round, evaluate
from limner.errors import InputError
from limner.models import Rollout
from limner.records import Usage

MOMENT = datetime(2026, 3, 1, tzinfo=UTC)
Draft = Callable[..., Rollout]


@pytest.fixture
def draft() -> Draft:
    """Make a draft of a run with a propensity and a total reward."""

    def make(run: str, propensity: float, total: float | None, *, selected: bool = False) -> Rollout:
        fields: dict[str, Any] = {
            "rollout_id": f"{run}-{total}",
            "run_id": run,
            "user_id": f"user-of-{run}",
            "round": 0,
            "draft_ix": 0,
            "group_key": "g",
            "messages": (),
            "completion": "",
            "profile_text": "",
            "finish_reason": "stop",
            "backend": "scripted",
            "model_rev": "1",
            "temperature": 0.9,
            "top_p": 0.95,
            "selected": selected,
            "selection_propensity": propensity,
            "rewards": {} if total is None else {"total": total},
            "critic_version": "c1",
            "as_of": MOMENT,
            "held": (),
            "neg_seed": 1,
            "prompt_id": "draft_profile",
            "prompt_version": 1,
            "usage": Usage(),
            "at": MOMENT,
        }
        return Rollout(**fields)

    return make


def test_a_round_is_a_run_with_feedback(draft: Draft) -> None:
    log = [
        draft("a", 0.25, 0.0),
        draft("b", 1.0, 0.5, selected=True),
        draft("a", 0.75, float(np.log(3.0)), selected=True),
    ]

    [found] = rounds_of(log, {"a": 4.0}, by_softmax(1.0))

    assert (found.user_id, found.logged, found.chosen, found.feedback) == ("user-of-a", (0.25, 0.75), 1, 4.0)
    assert found.target == pytest.approx((0.25, 0.75))  # exp(0) against exp(log 3)


def test_a_colder_softmax_is_nearer_to_the_best_draft(draft: Draft) -> None:
    drafts = [draft("a", 0.5, 0.1), draft("a", 0.5, 0.2), draft("a", 0.0, None)]

    assert by_softmax(0.001)(drafts) == pytest.approx([0.0, 1.0, 0.0])
    assert by_softmax(0.5)(drafts[2:]) == [1.0]
    with pytest.raises(ValueError, match="`temperature` must be > 0"):
        by_softmax(0.0)


def test_a_log_whose_best_draft_was_always_published_cannot_judge_another_choice(draft: Draft) -> None:
    log = [
        made
        for number in range(50)
        for made in (draft(f"r{number}", 0.0, 0.1), draft(f"r{number}", 1.0, 0.9, selected=True))
    ]

    found = evaluate(rounds_of(log, {f"r{n}": 1.0 for n in range(50)}, by_softmax(1.0)), seed=0)

    assert isinstance(found, InsufficientOverlap)
    assert any("never published" in said for said in found.complaints)


def test_a_run_that_is_not_whole_is_refused(draft: Draft) -> None:
    with pytest.raises(InputError, match="run_id='a' has 0 published drafts, not 1"):
        rounds_of([draft("a", 1.0, 0.5)], {"a": 1.0}, by_softmax(1.0))


def linear_log(users: int) -> tuple[list[Round], list[Any]]:
    """Feedback is exactly 2 + 3 x for a draft with the feature x."""
    rng = np.random.default_rng(2)
    rounds, features = list[Round](), list[Any]()
    for number in range(users):
        values = rng.random((3, 1))
        chosen = int(rng.integers(3))
        rounds.append(
            Round(
                user_id=f"u{number}",
                logged=(1 / 3,) * 3,
                chosen=chosen,
                feedback=2.0 + 3.0 * float(values[chosen, 0]),
                target=(0.5, 0.25, 0.25),
            )
        )
        features.append(values)
    return rounds, features


def test_predictions_find_a_linear_truth_and_make_the_estimate_exact() -> None:
    rounds, features = linear_log(100)

    told = with_predictions(rounds, features, ridge=1e-9)

    for each, values in zip(told, features, strict=True):
        assert each.predicted == pytest.approx((2.0 + 3.0 * values[:, 0]).tolist())
    found = evaluate(told, seed=0)
    assert isinstance(found, OffPolicy)
    truth = np.mean(
        [np.dot(each.target, 2.0 + 3.0 * values[:, 0]) for each, values in zip(rounds, features, strict=True)]
    )
    assert found.estimates["dr"].value == pytest.approx(truth)


def test_no_user_is_predicted_from_own_feedback() -> None:
    rounds, features = linear_log(10)
    other = [replace(each, feedback=1000.0) if each.user_id == "u3" else each for each in rounds]

    before, after = with_predictions(rounds, features), with_predictions(other, features)

    same = [one.user_id for one, two in zip(before, after, strict=True) if one.predicted == two.predicted]
    assert "u3" in same
    assert len(same) == 2  # with five folds of two users, the one beside it is predicted without it as well


def test_what_cannot_be_fitted_is_refused() -> None:
    rounds, features = linear_log(4)

    with pytest.raises(InputError, match="4 users cannot be split into 5 folds"):
        with_predictions(rounds, features)
    with pytest.raises(InputError, match="one row a draft"):
        with_predictions(rounds, features[:3], folds=2)
