"""Calibrated fusion: derivatives, what earns a weight, and for which items."""

from collections.abc import Sequence

import numpy as np
import pytest

from limner.tools.embedder import FloatArray
from limner.tools.recommender.calibration import Calibration, Form, calibrate, hats_of, knots_of, untaught
from limner.tools.recommender.calibration_exam import forms_of, hold_exam
from limner.tools.recommender.calibration_fit import DEEP, Exam, Slope, Theta, likelihood, smooth_gain
from limner.tools.spans import IntArray

USERS, ITEMS = 400, 60
NOBODY = np.zeros(USERS + 1, dtype=np.int64)
NOTHING = np.zeros(0, dtype=np.int64)


def floats(values: Sequence[object]) -> FloatArray:
    """Return an array."""
    return np.array(values, dtype=np.float32)


def exam_of(
    signals: dict[str, FloatArray],
    answers: IntArray,
    counts: FloatArray,
    forms: tuple[Form, ...],
    knots: FloatArray,
) -> Exam:
    return hold_exam(
        lambda rows: {name: scores[rows] for name, scores in signals.items()},
        NOTHING,
        NOBODY,
        answers,
        forms=forms,
        counts=counts,
        knots=knots,
        seed=0,
    )


def known(answers: IntArray, users: IntArray, rng: np.random.Generator) -> FloatArray:
    """Noise, but for some users a high score of the right item."""
    scores = rng.normal(size=(USERS, ITEMS)).astype(np.float32)
    scores[users, answers[users]] += 4
    return scores


@pytest.mark.parametrize("loss", [likelihood, smooth_gain(100)])
def test_slopes_are_those_of_small_steps(loss: Slope) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 5)).astype(np.float64)
    times = np.array([[0, 1, 1, 2.5, 0]] * 3)

    _, slope = loss(scores.astype(np.float32), times.astype(np.float32))

    for place in [(0, 0), (1, 3), (2, 4)]:
        values: list[float] = []
        for step in (-1e-2, 1e-2):
            moved = scores.copy()
            moved[place] += step
            values.append(loss(moved.astype(np.float32), times.astype(np.float32))[0])
        assert slope[place] == pytest.approx((values[1] - values[0]) / 2e-2, abs=2e-3)


def test_the_value_of_weights_is_ndcg_and_a_little_of_the_saved_log_rank() -> None:
    exam = Exam(
        columns=np.array([[[1.0, 2.0, 0.5, 3.0]]], dtype=np.float32),
        hats=np.ones((1, 4, 1), dtype=np.float32),
        times=np.array([[0, 1, 1, 4]], dtype=np.float32),
        lengths=np.array([1]),
        catalogue=10,
    )

    [value] = exam.value(Theta(np.ones((1, 1), dtype=np.float32), np.zeros(1, dtype=np.float32)))

    # One item and one that stands for four are better: place 6 of 10.
    assert value == pytest.approx(1 / np.log2(7) + DEEP * (1 - np.log(6) / np.log(10)))


def test_a_signal_of_noise_is_dropped() -> None:
    rng = np.random.default_rng(1)
    answers = rng.integers(0, ITEMS, USERS)
    signals = {
        "noise": rng.normal(size=(USERS, ITEMS)).astype(np.float32),
        "signal": known(answers, np.arange(USERS), rng),
    }
    forms = forms_of(signals, {"noise": "nearness", "signal": "nearness"})
    counts = np.ones(ITEMS, dtype=np.float32)

    knots = knots_of(counts)
    found = calibrate(exam_of(signals, answers, counts, forms, knots), forms, knots)

    assert [form.name for form in found.forms] == ["signal"]
    assert found.shares == {"all": {"signal": 1.0}}


def test_rare_items_lean_on_the_signal_that_knows_them() -> None:
    rng = np.random.default_rng(2)
    counts = np.where(np.arange(ITEMS) < ITEMS // 2, 1, 200).astype(np.float32)
    answers = rng.integers(0, ITEMS, USERS)
    rare = np.flatnonzero(counts[answers] == 1)
    often = np.flatnonzero(counts[answers] > 1)
    signals = {"text": known(answers, rare, rng), "sequence": known(answers, often, rng)}
    forms = forms_of(signals, {"text": "nearness", "sequence": "nearness"})
    knots = np.log1p(floats([1, 200]))

    found = calibrate(exam_of(signals, answers, counts, forms, knots), forms, knots)

    text, sequence = found.weights[0]
    assert text[0] > sequence[0] and sequence[-1] > text[-1]
    assert (found.weights >= 0).all()


def test_scores_are_the_sum_of_the_parts_and_the_bias() -> None:
    found = Calibration(
        forms=(Form("seq", "votes", 2.0), Form("text", "nearness")),
        knots=floats([0, 1]),
        edges=(1,),
        weights=floats([[[1, 1], [0, 0], [0, 0], [2, 0]], [[0, 0], [0, 0], [0, 0], [1, 1]]]),
        bias=floats([[0, 5], [0, 0]]),
    )
    counts = floats([0, np.e - 1])  # the first at the first knot, the second at the other
    signals = {"seq": floats([[0, 2], [0, 2]]), "text": floats([[1, 3], [1, 3]])}
    items, starts = np.array([], dtype=np.int64), np.array([0, 0, 0])

    scores = found.score(signals, items, starts, counts)

    # Votes of 2 in units of a tenth of 2 are log(1 + 10); the z-scores of text are -1 and 1.
    np.testing.assert_allclose(scores[0], [2 * -1, np.log(11) + 5], rtol=1e-5)
    parts = found.parts(signals, items, starts, counts)
    np.testing.assert_allclose(parts["text"][0] + parts["seq"][0] + [0, 5], scores[0], rtol=1e-5)


def test_histories_of_another_length_use_their_own_bucket() -> None:
    found = untaught((Form("text", "nearness"),), {"text": 1.0}, floats([1, 2]))

    assert found._replace(edges=(5, 10)).bucket_of(np.array([0, 5, 6, 11])).tolist() == [0, 0, 1, 2]


def test_knots_are_frequencies_of_what_was_chosen_each_once() -> None:
    # Nine tenths of all choices are of the item chosen 90 times.
    assert np.expm1(knots_of(floats([90, 5, 5, 0]))).round().tolist() == [5, 90]
    assert knots_of(np.zeros(3, dtype=np.float32)).tolist() == [0]


def test_weights_between_knots_are_linear() -> None:
    np.testing.assert_allclose(hats_of(floats([0.25]), floats([0, 1])), [[0.75, 0.25]])


def test_rivals_never_include_the_history_or_the_answer_twice() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(1, 8)).astype(np.float32)
    forms = (Form("text", "nearness"),)

    exam = hold_exam(
        lambda rows: {"text": scores[rows]},
        np.array([2, 3]),
        np.array([0, 2]),
        np.array([5]),
        forms=forms,
        counts=np.ones(8, dtype=np.float32),
        knots=np.zeros(1, dtype=np.float32),
        seed=0,
    )

    # The five others once each; what was drawn at random stands for nothing, because all are shown already.
    assert exam.times.sum() == 5
