"""Answers fall into the buckets that their item's frequency and their user's history say."""

from collections.abc import Callable

import numpy as np
import pytest

from limner.evals.buckets import Bucket, buckets
from limner.evals.dataset import Events
from limner.evals.splits import Answers, Past, Problem, Queries

FREQUENCY = (9, 7, 7, 4, 2, 1, 1, 1, 1, 1, 0)  # ten items were chosen, the last never


@pytest.fixture(scope="module")
def past(past_of_one: Callable[..., Past]) -> Past:
    return past_of_one([item for item, times in enumerate(FREQUENCY) for _ in range(times)], 11)


@pytest.fixture(scope="module")
def problem(chosen: Callable[..., Events]) -> Problem:
    """Three queries with histories of 0, 4 and 5 events and answers [0, 10], [2, 3], [5]."""
    starts = np.array([0, 0, 4, 9])
    queries = Queries(
        user=np.arange(3), as_of=np.ones(3, int), history=chosen([1] * 9, [0] * 9), starts=starts
    )
    answers = Answers(
        item=np.array([0, 10, 2, 3, 5]), rating=np.zeros(5, dtype=np.float32), starts=np.array([0, 2, 4, 5])
    )
    return Problem(queries=queries, answers=answers)


def named(past: Past, problem: Problem, *, head_share: float = 0.2) -> dict[str, Bucket]:
    return {bucket.name: bucket for bucket in buckets(past, problem, head_share=head_share)}


def test_items_are_sorted_by_how_often_they_were_chosen(past: Past, problem: Problem) -> None:
    found = named(past, problem)

    # The head is a fifth of ten items, 0 and 1; item 2 was chosen as often as 1.
    assert found["head-items"].answers.tolist() == [True, False, True, False, False]
    assert found["tail-items"].answers.tolist() == [False, True, False, True, True]
    assert found["cold-items"].answers.tolist() == [False, True, False, True, True]
    assert found["unseen-items"].answers.tolist() == [False, True, False, False, False]


def test_users_are_sorted_by_the_length_of_their_history(past: Past, problem: Problem) -> None:
    found = named(past, problem)

    assert found["cold-users"].answers.tolist() == [True, True, True, True, False]
    assert found["cold-users"].queries.tolist() == [0, 1]
    assert found["warm-users"].queries.tolist() == [2]


def test_a_query_is_in_the_bucket_of_each_of_its_answers(past: Past, problem: Problem) -> None:
    found = named(past, problem)

    assert found["head-items"].queries.tolist() == [0, 1]
    assert found["tail-items"].queries.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("share", "head"), [(0.0, 1), (0.1, 1), (0.31, 4), (1.0, 10)])
def test_the_head_is_a_share_of_the_chosen_items(
    past: Past, chosen: Callable[..., Events], share: float, head: int
) -> None:
    count = len(FREQUENCY)
    everything = Problem(
        queries=Queries(
            user=np.arange(count),
            as_of=np.ones(count, int),
            history=chosen([], []),
            starts=np.zeros(count + 1, int),
        ),
        answers=Answers(
            item=np.arange(count), rating=np.zeros(count, dtype=np.float32), starts=np.arange(count + 1)
        ),
    )

    found = named(past, everything, head_share=share)

    assert int(found["head-items"].answers.sum()) == head
