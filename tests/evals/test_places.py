"""Who stands before and beside an answer, counted by hand and by sorting."""

import pickle
from collections.abc import Sequence

import numpy as np
import pytest

from limner.evals.dataset import Events, FloatArray
from limner.evals.places import Places, ScoresError, place
from limner.evals.splits import Answers, Problem, Queries


def problem_of(histories: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Problem:
    """Return a problem of users 100, 101, … with these histories and answers."""
    users = np.arange(len(histories)) + 100
    lengths = [len(history) for history in histories]
    taken = np.array([item for history in histories for item in history], dtype=np.int64)
    right = np.array([item for of in answers for item in of], dtype=np.int64)
    history = Events(
        user=np.repeat(users, lengths),
        item=taken,
        at=np.zeros(len(taken), dtype=np.int64),
        rating=np.full(len(taken), np.nan, dtype=np.float32),
    )
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    queries = Queries(user=users, as_of=np.ones(len(users), dtype=np.int64), history=history, starts=starts)
    ends = np.cumsum([len(of) for of in answers], dtype=np.int64)
    ratings = np.full(len(right), np.nan, dtype=np.float32)
    return Problem(
        queries=queries,
        answers=Answers(item=right, rating=ratings, starts=np.concatenate([[0], ends])),
    )


def as_lists(places: Places) -> tuple[list[int], list[int], list[int], list[int]]:
    return (
        places.better.tolist(),
        places.tied.tolist(),
        places.starts.tolist(),
        places.candidates.tolist(),
    )


def scores_of(*rows: Sequence[float]) -> FloatArray:
    return np.array(rows, dtype=np.float32)


def test_better_and_tied_items_are_counted_without_the_history() -> None:
    problem = problem_of([[1, 4], []], [[2], [0, 3]])
    scores = scores_of([0.9, 0.9, 0.5, 0.5, 0.5, 0.1], [0.3, 0.7, 0.7, 0.7, 0.3, 0.3])

    found = place(scores, problem)

    # First: item 0 is better and item 3 is tied; items 1 (better) and 4 (tied) are history.
    # Second: item 0 has 3 better and 2 tied; item 3 has 0 better and 2 tied.
    assert as_lists(found) == ([1, 3, 0], [1, 2, 2], [0, 1, 3], [4, 6])


def test_an_item_chosen_twice_is_masked_once() -> None:
    found = place(scores_of([0.9, 0.5, 0.5]), problem_of([[0, 0, 1]], [[2]]))

    assert as_lists(found) == ([0], [0], [0, 1], [1])


def test_an_answer_that_is_in_the_history_stays_a_candidate() -> None:
    found = place(scores_of([0.9, 0.5, 0.1]), problem_of([[0, 1]], [[1]]))

    assert as_lists(found) == ([0], [0], [0, 1], [2])  # item 0 is hidden; items 1 and 2 are ranked


def test_infinite_scores_rank_like_any_other() -> None:
    problem = problem_of([[0]], [[1, 2]])

    found = place(scores_of([-np.inf, -np.inf, np.inf, -np.inf]), problem)

    assert as_lists(found)[:2] == ([1, 0], [1, 0])


def test_placing_agrees_with_sorting_and_does_not_touch_the_scores() -> None:
    rng = np.random.default_rng(3)
    histories = [rng.integers(0, 30, size=rng.integers(0, 12)).tolist() for _ in range(40)]
    answers = [rng.permutation(30)[: rng.integers(1, 5)].tolist() for _ in range(40)]
    problem = problem_of(histories, answers)
    scores = rng.integers(0, 8, size=(40, 30)).astype(np.float32)
    kept = scores.copy()

    found = place(scores, problem)

    row = 0
    for query, right in enumerate(answers):
        ranked = sorted(set(range(30)) - (set(histories[query]) - set(right)))
        for answer in right:
            values = [float(scores[query, item]) for item in ranked]
            own = float(scores[query, answer])
            assert found.better[row] == sum(value > own for value in values)
            assert found.tied[row] == sum(value == own for value in values) - 1
            row += 1
        assert found.candidates[query] == len(ranked)
    assert np.array_equal(scores, kept)


def test_batches_joined_equal_the_whole() -> None:
    rng = np.random.default_rng(4)
    problem = problem_of([[1], [2, 3], [], [0], [4]], [[0], [1, 4], [2], [3, 2, 1], [0]])
    scores = rng.integers(0, 3, size=(5, 6)).astype(np.float32)

    parts = [place(scores[first : first + 2], problem, first=first) for first in (0, 2, 4)]

    assert as_lists(Places.concatenate(parts)) == as_lists(place(scores, problem))
    assert as_lists(Places.concatenate([])) == ([], [], [0], [])


def test_queries_and_answers_can_be_chosen() -> None:
    places = Places(
        better=np.array([5, 1, 2, 7]),
        tied=np.array([0, 1, 1, 0]),
        starts=np.array([0, 1, 3, 4]),
        candidates=np.array([9, 8, 7]),
    )

    assert as_lists(places.take(np.array([2, 1]))) == ([7, 1, 2], [0, 1, 1], [0, 1, 3], [7, 8])
    some = np.array([False, False, True, True])
    assert as_lists(places.only(some)) == ([2, 7], [1, 0], [0, 1, 2], [8, 7])
    assert places.query.tolist() == [0, 1, 1, 2]


def test_nan_names_the_system_the_query_and_the_item() -> None:
    problem = problem_of([[], [], []], [[0], [0], [0]])
    scores = scores_of([0.1, 0.2], [0.3, np.nan])

    with pytest.raises(ScoresError) as caught:
        place(scores, problem, first=1, system="mine")

    assert str(caught.value) == (
        "scores of system 'mine': NaN for item 1 of query 2 (user 102); "
        "give an item that cannot be scored the lowest score"
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, 4), r"shape \(3, 4\) for 2 queries"),
        ((4,), r"shape \(4,\) for 2 queries"),
        ((2, 3), "3 columns, but an item has number 3"),
    ],
)
def test_scores_that_do_not_fit_are_refused(shape: tuple[int, ...], said: str) -> None:
    problem = problem_of([[0], [3]], [[1], [2]])

    with pytest.raises(ScoresError, match=said):
        place(np.zeros(shape, dtype=np.float32), problem)
