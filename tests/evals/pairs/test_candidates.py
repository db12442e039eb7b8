"""Few candidates a user: how they are drawn, and what a ranking among them scores."""

from collections.abc import Callable

import numpy as np
import pytest

from limner.errors import SettingsError
from limner.evals.dataset import Events, FloatArray
from limner.evals.pairs.candidates import (
    NOWHERE,
    Candidates,
    Near,
    Sampling,
    draw_beside,
    measure_among,
    place_in_list,
    take_retrieved,
)
from limner.evals.places import ScoresError
from limner.evals.splits import Answers, Past, Problem, Queries

ITEMS = 30
NAN = float("nan")

ProblemOf = Callable[[int], Problem]
PastOfOne = Callable[..., Past]


@pytest.fixture
def problem_of(chosen: Callable[..., Events]) -> ProblemOf:
    """Make queries with the history [0, 1] and the answer 2."""

    def make(queries: int) -> Problem:
        users = np.arange(queries)
        history = chosen([0, 1] * queries, np.repeat(users, 2).tolist())
        return Problem(
            queries=Queries(
                user=users, as_of=np.ones_like(users), history=history, starts=np.arange(queries + 1) * 2
            ),
            answers=Answers(
                item=np.full(queries, 2),
                rating=np.zeros(queries, dtype=np.float32),
                starts=np.arange(queries + 1),
            ),
        )

    return make


def on_a_circle() -> FloatArray:
    """Return a unit vector an item: the nearer two numbers, the nearer the vectors."""
    angles = np.arange(ITEMS) * (np.pi / ITEMS)
    vectors: FloatArray = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    return vectors


def constant_among(ten: int) -> Candidates:
    """Return candidates of a hundred queries, the answer at every place equally often."""
    items = np.tile(np.arange(ten), (100, 1))
    return Candidates(items=items, place=np.arange(100) % ten, label=f"sampled-{ten - 1}")


@pytest.mark.parametrize("sampling", ["random", "popular", "hard"])
def test_candidates_are_the_answer_and_others_that_the_user_never_had(
    problem_of: ProblemOf, past_of_one: PastOfOne, sampling: Sampling
) -> None:
    past = past_of_one(list(range(ITEMS)), ITEMS)
    near = Near(on_a_circle(), pool=15) if sampling == "hard" else None

    drawn = draw_beside(problem_of(200), past, count=9, seed=1, sampling=sampling, near=near)

    assert drawn.items.shape == (200, 10)
    assert (drawn.items[np.arange(200), drawn.place] == 2).all()
    for row in drawn.items.tolist():
        assert len(set(row)) == 10
        assert not {0, 1} & set(row)
    assert drawn.label == ("sampled-9" if sampling == "random" else f"sampled-9-{sampling}")


def test_the_place_of_the_answer_tells_nothing(problem_of: ProblemOf, past_of_one: PastOfOne) -> None:
    drawn = draw_beside(problem_of(2000), past_of_one([3], ITEMS), count=9, seed=1, sampling="random")

    # 2,000 answers over ten places are 200 each, with a standard deviation of sqrt(2000 * .1 * .9) = 13.4.
    assert np.abs(np.bincount(drawn.place, minlength=10) - 200).max() < 5 * 13.4
    assert place_in_list(drawn, dataset="invented").passed


def test_answers_that_always_come_first_fail_the_probe() -> None:
    leaking = Candidates(
        items=np.tile(np.arange(10), (50, 1)), place=np.zeros(50, dtype=np.int64), label="sampled-9"
    )

    probe = place_in_list(leaking, dataset="invented")

    # The first of ten places lies at .05 of the list, .45 from its middle.
    assert not probe.passed
    assert probe.value == pytest.approx(0.45)
    assert probe.limit == pytest.approx(4 * np.sqrt((1 - 1 / 100) / 12 / 50))


def test_hard_negatives_are_the_items_nearest_to_the_history(
    problem_of: ProblemOf, past_of_one: PastOfOne
) -> None:
    near = Near(on_a_circle(), pool=4)

    drawn = draw_beside(problem_of(50), past_of_one([3], ITEMS), count=4, seed=1, sampling="hard", near=near)

    # Numbers tell nearness; of those nearest to 0 and 1 on the circle, 2 is the answer and leaves 3 to 6.
    assert {tuple(sorted(row)) for row in drawn.items.tolist()} == {(2, 3, 4, 5, 6)}


def test_a_pool_of_hard_negatives_is_drawn_from_at_random(
    problem_of: ProblemOf, past_of_one: PastOfOne
) -> None:
    near = Near(on_a_circle(), pool=8)

    drawn = draw_beside(problem_of(200), past_of_one([3], ITEMS), count=4, seed=1, sampling="hard", near=near)

    counts = np.bincount(drawn.items.ravel(), minlength=ITEMS)
    assert np.flatnonzero(counts).tolist() == [2, *range(3, 11)]
    assert counts[3:11].min() > 60  # each of eight in half of 200 draws, with a deviation of 7


def test_a_user_without_a_history_has_random_negatives_for_hard_ones(past_of_one: PastOfOne) -> None:
    none = np.empty(0, dtype=np.int64)
    nothing = Events(user=none, item=none, at=none, rating=np.empty(0, dtype=np.float32))
    problem = Problem(
        queries=Queries(user=np.array([0]), as_of=np.array([1]), history=nothing, starts=np.array([0, 0])),
        answers=Answers(item=np.array([2]), rating=np.zeros(1, dtype=np.float32), starts=np.array([0, 1])),
    )

    drawn = draw_beside(
        problem, past_of_one([3], ITEMS), count=9, seed=1, sampling="hard", near=Near(on_a_circle(), pool=9)
    )

    assert len(set(drawn.items[0].tolist())) == 10


def test_the_same_seed_draws_the_same_candidates(problem_of: ProblemOf, past_of_one: PastOfOne) -> None:
    def drawn(seed: int) -> str:
        return draw_beside(
            problem_of(20), past_of_one([3], ITEMS), count=9, seed=seed, sampling="random"
        ).digest

    assert drawn(1) == drawn(1) != drawn(2)


def test_more_candidates_than_there_are_items_are_refused(
    problem_of: ProblemOf, past_of_one: PastOfOne
) -> None:
    with pytest.raises(SettingsError, match=r"--set:candidates.* at most 28, .*; got 29"):
        draw_beside(problem_of(1), past_of_one([3], ITEMS), count=28, seed=1, sampling="random")


def test_what_was_not_retrieved_is_nowhere(problem_of: ProblemOf) -> None:
    lists = np.array([[5, 2, 7], [9, 8, 7], [2, 4, -1]])

    taken = take_retrieved(lists, problem_of(3), label="seqknn", seed=1)

    # The shortest list has two, so that all have two: the second of the first is the answer 2, and so is the
    # first of the third.
    assert taken.label == "top-2 seqknn"
    assert [set(row) for row in taken.items.tolist()] == [{5, 2}, {9, 8}, {2, 4}]
    assert taken.place[1] == NOWHERE
    assert taken.items[[0, 2], taken.place[[0, 2]]].tolist() == [2, 2]
    assert taken.found.tolist() == [0, 2]


def test_an_answer_that_was_not_retrieved_scores_nothing() -> None:
    candidates = Candidates(
        items=np.array([[1, 2, 3], [1, 2, 3]]), place=np.array([1, NOWHERE]), label="top-3 seqknn"
    )

    found = measure_among(
        np.array([[0.1, 0.9, 0.2], [0.1, 0.9, 0.2]], dtype=np.float32), candidates, cutoffs=(1, 2)
    )

    assert found["hit@1"].tolist() == found["ndcg@2"].tolist() == found["mrr"].tolist() == [1.0, 0.0]
    assert found["rank"][0] == 1.0
    assert np.isnan(found["rank"][1])


def test_a_constant_scorer_scores_chance() -> None:
    found = measure_among(np.zeros((100, 10), dtype=np.float32), constant_among(10), cutoffs=(1, 3, 10))

    # One of ten places each: hit@1 is 1/10, ndcg@3 is (1 + 1/log2(3) + 1/2) / 10 = .21309, ndcg@10 is the mean of
    # all ten discounts, .45436, mrr is H(10)/10 = .29290, and the mid-rank is 5.5.
    assert np.allclose(found["hit@1"], 0.1)
    assert np.allclose(found["ndcg@3"], 0.21309298, atol=1e-6)
    assert np.allclose(found["ndcg@10"], np.mean(1 / np.log2(np.arange(2, 12))))
    assert found["ndcg@10"][0] == pytest.approx(0.45436, abs=1e-5)
    assert np.allclose(found["mrr"], 0.2928968)
    assert (found["rank"] == 5.5).all()


def test_letting_the_answer_win_ties_makes_a_constant_scorer_perfect() -> None:
    constant = np.zeros((100, 10), dtype=np.float32)

    lucky = measure_among(constant, constant_among(10), cutoffs=(1, 10), ties="optimistic")

    assert (lucky["hit@1"] == 1.0).all()
    assert (lucky["ndcg@10"] == 1.0).all()


def test_coarse_ratings_share_their_places() -> None:
    # The answer has a 4, as have two others; one has a 5. It stands at places 2, 3 or 4, each with a third.
    candidates = Candidates(items=np.arange(5)[None], place=np.array([3]), label="sampled-4")

    found = measure_among(np.array([[4, 5, 4, 4, 1]], dtype=np.float32), candidates, cutoffs=(1, 3))

    assert found["hit@1"][0] == 0.0
    assert found["hit@3"][0] == pytest.approx(2 / 3)
    assert found["ndcg@3"][0] == pytest.approx((1 / np.log2(3) + 1 / 2) / 3)
    assert found["mrr"][0] == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)
    assert found["rank"][0] == 3.0


def test_metrics_say_among_what_they_are() -> None:
    named = constant_among(10).labelled({"ndcg@10": 1, "ndcg@10 | cold-users": 2})

    assert named == {"ndcg@10 sampled-9": 1, "ndcg@10 sampled-9 | cold-users": 2}


@pytest.mark.parametrize(
    "scores, complaint",
    [
        (np.zeros((100, 9)), r"shape \(100, 9\), wanted \(100, 10\)"),
        (np.full((100, 10), NAN), "NaN for item 0"),
    ],
)
def test_scores_that_cannot_be_ranked_are_refused(scores: FloatArray, complaint: str) -> None:
    with pytest.raises(ScoresError, match=complaint):
        measure_among(scores, constant_among(10), cutoffs=(1,), system="mine")
