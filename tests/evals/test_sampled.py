"""Sampled ranking draws honest negatives and counts among them only."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from limner.errors import SettingsError
from limner.evals.dataset import Events
from limner.evals.metrics import measure
from limner.evals.places import ScoresError
from limner.evals.sampled import Sampled, place_among, sample_negatives
from limner.evals.splits import Answers, Past, Problem, Queries

ITEMS = 12

ProblemOf = Callable[[int], Problem]


@pytest.fixture
def problem_of(chosen: Callable[..., Events]) -> ProblemOf:
    """Make queries with the history [0, 1] and the answers [2, 3]."""

    def make(queries: int) -> Problem:
        users = np.arange(queries)
        history = chosen([0, 1] * queries, np.repeat(users, 2).tolist())
        starts = np.arange(queries + 1) * 2
        return Problem(
            queries=Queries(user=users, as_of=np.ones_like(users), history=history, starts=starts),
            answers=Answers(
                item=np.tile([2, 3], queries), rating=np.zeros(2 * queries, dtype=np.float32), starts=starts
            ),
        )

    return make


@pytest.fixture
def nobody_chose(past_of_one: Callable[..., Past]) -> Past:
    """Return a past without any event."""
    return past_of_one([], ITEMS)


def test_negatives_are_new_to_the_query_and_differ_from_each_other(
    problem_of: ProblemOf, nobody_chose: Past
) -> None:
    found = sample_negatives(problem_of(500), nobody_chose, count=5, seed=1).items

    assert found.shape == (500, 5)
    assert all(len(set(row)) == 5 for row in found.tolist())
    counts = Counter(found.ravel().tolist())
    assert set(counts) == set(range(4, ITEMS))
    # 2500 / 8 = 312 of each; five standard deviations are 54 (fewer without replacement).
    assert 258 < min(counts.values()) <= max(counts.values()) < 366


def test_popular_negatives_follow_popularity(problem_of: ProblemOf, past_of_one: Callable[..., Past]) -> None:
    past = past_of_one([4] * 6 + [5] * 3 + [6] * 1 + [0] * 50, ITEMS)

    found = sample_negatives(problem_of(4000), past, count=1, seed=1, sampling="popular").items

    shares = np.bincount(found[:, 0], minlength=ITEMS) / 4000
    assert shares[[4, 5, 6]] == pytest.approx([0.6, 0.3, 0.1], abs=0.04)
    assert shares[[0, 1, 2, 3, 7]].sum() == 0


def test_too_few_items_to_draw_from_is_an_error(problem_of: ProblemOf, nobody_chose: Past) -> None:
    with pytest.raises(
        SettingsError, match="must be at most 8, the items that one user can be offered; got 9"
    ):
        sample_negatives(problem_of(1), nobody_chose, count=9, seed=0)


def test_places_count_the_negatives_and_the_other_answers_only(problem_of: ProblemOf) -> None:
    scores = np.zeros((1, ITEMS), dtype=np.float32)
    scores[0, [2, 3, 4, 5, 6, 9]] = [0.5, 0.7, 0.5, 0.9, 0.6, 2.0]

    found = place_among(scores, problem_of(1), np.array([[4, 5, 7]]))

    # Item 2: 3 and 5 are better, 4 is tied. Item 3: 5 is better. Items 6 and 9 are not in it.
    assert (found.better.tolist(), found.tied.tolist()) == ([2, 1], [1, 0])
    assert found.candidates.tolist() == [5]
    assert measure(found, cutoffs=(2,))["recall@2"].tolist() == [0.5]


def test_nan_is_an_error_here_too(problem_of: ProblemOf) -> None:
    scores = np.full((1, ITEMS), np.nan, dtype=np.float32)

    with pytest.raises(ScoresError, match="NaN for item 0 of query 1"):
        place_among(scores, problem_of(2), np.array([[4], [4]]), first=1)


def test_sampled_metrics_say_so_in_their_names() -> None:
    uniform = Sampled(np.empty((1, 99), dtype=np.int64), "uniform")
    popular = Sampled(np.empty((1, 9), dtype=np.int64), "popular")

    assert list(uniform.label({"ndcg@10": 1.0, "mrr": 2.0})) == ["ndcg@10 sampled-99", "mrr sampled-99"]
    assert popular.label({"ndcg@10": 1.0}) == {"ndcg@10 sampled-9-popular": 1.0}
