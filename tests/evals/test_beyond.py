"""Lists keep ties random and histories out; what is measured of them equals values worked out by hand."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pytest

from limner.evals.beyond import NOBODY, beyond_accuracy, category_vectors, self_information, top_items
from limner.evals.dataset import Events, FloatArray, IntArray
from limner.evals.places import ScoresError
from limner.evals.splits import Answers, Past, Problem, Queries
from limner.records import Item

ProblemOf = Callable[[Sequence[Sequence[int]]], Problem]
PastOfOne = Callable[[Sequence[int], int], Past]


@pytest.fixture
def problem_of(chosen: Callable[..., Events]) -> ProblemOf:
    """Make a problem of some histories whose answers are all item 0."""

    def make(histories: Sequence[Sequence[int]]) -> Problem:
        lengths = [len(history) for history in histories]
        users = np.arange(len(histories))
        history = chosen([item for of in histories for item in of], np.repeat(users, lengths).tolist())
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        answers = Answers(
            item=np.zeros_like(users),
            rating=np.full(len(users), np.nan, dtype=np.float32),
            starts=np.arange(len(users) + 1),
        )
        queries = Queries(user=users, as_of=np.ones_like(users), history=history, starts=starts)
        return Problem(queries=queries, answers=answers)

    return make


def best_first(row: FloatArray) -> list[int]:
    order: list[int] = np.argsort(-row).tolist()
    return order


def test_lists_are_best_first_and_without_the_history(problem_of: ProblemOf) -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.7], [0.4, 0.3, 0.2, 0.1]], dtype=np.float32)
    kept = scores.copy()

    found = top_items(scores, problem_of([[1], []]), k=2, seed=0)

    assert found.tolist() == [[3, 2], [0, 1]]
    assert np.array_equal(scores, kept)


def test_lists_of_many_items_equal_those_of_a_sort(problem_of: ProblemOf) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(30, 3000)).astype(np.float32)
    histories = [best_first(row)[:7] for row in scores]

    found = top_items(scores, problem_of(histories), k=20, seed=0)

    # The seven best are history, but item 0 would stay as the answer.
    for row, history, items in zip(scores, histories, found, strict=True):
        wanted = [item for item in best_first(row) if item not in history or item == 0]
        assert items.tolist() == wanted[:20]


def test_tied_items_have_the_same_chance_of_every_place(problem_of: ProblemOf) -> None:
    scores = np.zeros((2000, 40), dtype=np.float32)
    scores[:, 5] = 1.0

    found = top_items(scores, problem_of([[7]] * 2000), k=3, seed=1)

    assert set(found[:, 0].tolist()) == {5}
    for place in (1, 2):
        counts = Counter[int](found[:, place].tolist())
        assert set(counts) == set(range(40)) - {5, 7}
        # 2000 / 38 = 53 expected of each; five standard deviations are 36.
        assert 17 < min(counts.values()) <= max(counts.values()) < 89


def test_the_order_of_ties_depends_on_the_seed_and_not_on_the_batches(problem_of: ProblemOf) -> None:
    scores = np.zeros((4, 50), dtype=np.float32)
    problem = problem_of([list[int]()] * 4)

    whole = top_items(scores, problem, k=5, seed=1)
    halves = [top_items(scores[first : first + 2], problem, k=5, seed=1, first=first) for first in (0, 2)]

    assert np.array_equal(whole, np.concatenate(halves))
    assert not np.array_equal(whole, top_items(scores, problem, k=5, seed=2))


@pytest.mark.parametrize("n_items", [4, 100])
def test_hidden_items_never_fill_a_list_even_if_all_else_scores_lowest(
    problem_of: ProblemOf, n_items: int
) -> None:
    scores = np.full((1, n_items), -np.inf, dtype=np.float32)
    hidden = list(range(2, n_items))

    found = top_items(scores, problem_of([hidden]), k=4, seed=0)

    assert sorted(found[0].tolist()) == [NOBODY, NOBODY, 0, 1]


def test_nan_is_an_error_here_too(problem_of: ProblemOf) -> None:
    with pytest.raises(ScoresError, match="'mine': NaN for item 1 of query 0"):
        top_items(np.array([[0.0, np.nan]], dtype=np.float32), problem_of([[]]), k=1, seed=0, system="mine")


def test_coverage_is_the_share_of_the_catalogue_that_anybody_is_shown(past_of_one: PastOfOne) -> None:
    lists: IntArray = np.array([[0, 1], [1, 2], [2, NOBODY]])

    found = beyond_accuracy(lists, past_of_one([0], 8), cutoffs=(1, 2))

    assert (found["coverage@1"], found["coverage@2"]) == (3 / 8, 3 / 8)
    assert set(found) == {"coverage@1", "coverage@2", "novelty@1", "novelty@2"}


def test_novelty_is_the_mean_surprise_of_a_list(past_of_one: PastOfOne) -> None:
    past = past_of_one([0, 0, 0, 0, 1, 1, 2, 2], 4)

    found = beyond_accuracy(np.array([[0, 1], [2, 3], [3, NOBODY]]), past, cutoffs=(2,))

    # Shares of 8 events: 1/2, 1/4, 1/4; item 3 was never chosen and counts as once: 1/8.
    assert self_information(past).tolist() == [1.0, 2.0, 2.0, 3.0]
    assert np.asarray(found["novelty@2"]).tolist() == [1.5, 2.5, 3.0]


def test_diversity_is_the_mean_distance_of_all_pairs(past_of_one: PastOfOne) -> None:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(60, 5)).astype(np.float32)
    vectors[9] = 0.0  # nothing known: left out
    lists = np.stack([rng.permutation(60)[:6] for _ in range(1100)])
    lists[0] = [9, 1, 2, 3, 4, 5]
    lists[1] = [1, 2, NOBODY, NOBODY, NOBODY, NOBODY]
    lists[2] = [1, 9, NOBODY, NOBODY, NOBODY, NOBODY]

    found = np.asarray(
        beyond_accuracy(lists, past_of_one([0], 60), cutoffs=(6,), vectors=vectors)["diversity@6"]
    )

    for query in (0, 1, 3, 1099):
        known = [item for item in lists[query].tolist() if item not in (9, NOBODY)]
        units = [vectors[item] / np.linalg.norm(vectors[item]) for item in known]
        distances = [1.0 - float(a @ b) for a, b in combinations(units, 2)]
        assert found[query] == pytest.approx(np.mean(distances), abs=1e-5)
    assert np.isnan(found[2])


def test_items_are_alike_in_the_categories_and_tags_they_share() -> None:
    items = [
        Item(item_id="a", categories=("toys", "games"), tags=("red",)),
        Item(item_id="b", categories=("toys",)),
        Item(item_id="c"),
    ]

    vectors = category_vectors(items)

    # One of three words is shared by lists of three and one: 1 / sqrt(3 * 1).
    assert (vectors @ vectors.T).round(6).tolist() == pytest.approx(
        np.array([[1, 3**-0.5, 0], [3**-0.5, 1, 0], [0, 0, 0]]), abs=1e-6
    )
    assert vectors.shape == (3, 3)  # toys, games, red
