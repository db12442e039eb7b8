"""Next-item questions: wrong options that are wrong."""

import numpy as np
import pytest

from limner.evals.dataset import Card, Events
from limner.evals.questions.next_item import NextItemQuestions
from limner.evals.splits import Answers, Past, Problem, Queries
from limner.records import Item

CARD = Card(name="t", source="s", terms="t", users=4, items=8, events=9, clock="order", text_by_model=False)


def events(rows: list[tuple[int, int]]) -> Events:
    """Return events of users and items, one moment after the other."""
    columns = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return Events(
        user=columns[:, 0],
        item=columns[:, 1],
        at=np.arange(len(rows)),
        rating=np.full(len(rows), np.nan, dtype=np.float32),
    )


def past(rows: list[tuple[int, int]], titles: list[str]) -> Past:
    items = tuple(Item(item_id=f"B00{ix}", title=title) for ix, title in enumerate(titles))
    users = 1 + max(user for user, _ in rows)
    return Past(
        card=CARD,
        items=items,
        user_ids=tuple(f"u{ix}" for ix in range(users)),
        events=events(rows),
        as_of=None,
        seed=0,
    )


def problem(history: list[int], answers: list[int], user: int = 0) -> Problem:
    told = events([(user, item) for item in history])
    return Problem(
        queries=Queries(
            user=np.array([user]), as_of=np.array([99]), history=told, starts=np.array([0, len(history)])
        ),
        answers=Answers(
            item=np.array(answers),
            rating=np.full(len(answers), np.nan, dtype=np.float32),
            starts=np.array([0, len(answers)]),
        ),
    )


TITLES = ["shovel", "rake", "hoe", "drum", "lute", "harp", "flute", "lyre"]
# User 1 and 2 had the shovel with the rake; everybody else made music.
ROWS = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (3, 3), (3, 4), (3, 5), (3, 6)]


def test_wrong_options_are_near_popular_and_random_and_never_the_users_own() -> None:
    made = NextItemQuestions(past(ROWS, TITLES), seed=5).make(problem([0], [2, 7]))

    [(place, question)] = list(made)
    assert place == 0
    assert question.options[question.right] == "hoe"
    assert "rake" in question.options  # the only item that others had beside the shovel
    assert not {"shovel", "lyre"} & set(question.options)  # had, and asked about too
    assert len(set(question.options)) == 4


def test_options_are_words_and_never_ids() -> None:
    [(_, question)] = list(NextItemQuestions(past(ROWS, TITLES), seed=5).make(problem([0], [2])))

    assert question.id == "u0"
    assert not any("B00" in text for text in question.options)


def test_an_item_with_the_text_of_another_option_or_none_is_never_one() -> None:
    titles = ["shovel", "hoe", "hoe", "drum", "lute", "", "flute", "hoe"]

    for seed in range(20):
        [(_, question)] = list(NextItemQuestions(past(ROWS, titles), seed=seed).make(problem([0], [2])))
        assert sorted(question.options) == ["drum", "flute", "hoe", "lute"]


def test_a_next_item_without_text_or_too_few_others_is_no_question() -> None:
    nameless = ["shovel", "rake", "", "drum", "lute", "harp", "flute", "lyre"]
    few = ["shovel", "rake", "hoe", "drum", "", "", "", ""]

    assert not list(NextItemQuestions(past(ROWS, nameless), seed=5).make(problem([0], [2])))
    assert not list(NextItemQuestions(past(ROWS, few), seed=5).make(problem([0], [2])))


def test_near_options_by_text_are_close_and_no_twins_of_the_right_one() -> None:
    # Angles on a circle: 0 had, 1 next to it, 2 the answer, 3 its twin, the others on the far side.
    angles = np.radians([0, 10, 90, 91, 170, 180, 190, 200])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    made = NextItemQuestions(past(ROWS, TITLES), seed=5, vectors=vectors, near=1)

    [(_, question)] = list(made.make(problem([0], [2])))

    assert "rake" in question.options
    assert "drum" not in question.options


@pytest.mark.parametrize("seed", range(3))
def test_one_seed_asks_the_same_every_time(seed: int) -> None:
    known = past(ROWS, TITLES)
    asked_twice = [list(NextItemQuestions(known, seed=seed).make(problem([0], [2]))) for _ in range(2)]

    assert asked_twice[0] == asked_twice[1]
