"""Multiple choice: places of right answers, turns of options."""

import numpy as np

from limner.evals.questions.choices import Choice, arrange


def asked(count: int) -> list[Choice]:
    return [Choice(id=f"q{ix}", options=("right", "w1", "w2", "w3"), right=0) for ix in range(count)]


def test_the_right_answer_stands_equally_often_in_each_place() -> None:
    places = [question.right for question in arrange(asked(40), seed=3)]

    assert np.bincount(places).tolist() == [10, 10, 10, 10]
    assert places[:8] != [0, 1, 2, 3, 0, 1, 2, 3]


def test_the_right_answer_is_still_the_right_text_and_none_is_lost() -> None:
    for question in arrange(asked(8), seed=3):
        assert question.options[question.right] == "right"
        assert sorted(question.options) == ["right", "w1", "w2", "w3"]


def test_more_questions_arrange_the_first_ones_alike_and_another_seed_does_not() -> None:
    few, many = list(arrange(asked(6), seed=3)), list(arrange(asked(40), seed=3))

    assert many[:6] == few
    assert list(arrange(asked(6), seed=4)) != few


def test_all_turns_put_the_right_answer_in_every_place() -> None:
    question = Choice(id="q", options=("a", "b", "c", "d"), right=2)

    turned = [question.rotated(by) for by in range(4)]

    assert sorted(turn.right for turn in turned) == [0, 1, 2, 3]
    assert {turn.options[turn.right] for turn in turned} == {"c"}
