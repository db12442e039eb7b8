"""Metrics agree with ranx over every order of tied items, and with chance where a scorer knows nothing."""

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import comb, log2
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from limner.evals.metrics import Ties, measure, resolve_ties
from limner.evals.places import Places

pytestmark = [
    pytest.mark.filterwarnings("ignore:unsafe cast from uint64"),  # numba, about ranx's own code
    pytest.mark.timeout(400),  # the first use of ranx on a machine compiles it
]

CUTOFFS = (1, 2, 3, 5)
ITEMS = 7
RANX = {"recall": "recall", "ndcg": "ndcg", "mrr": "mrr", "hit": "hit_rate"}


def places_of(scores: NDArray[np.int64], answers: Sequence[Sequence[int]]) -> Places:
    """Return the places of answers among all items, with nothing masked."""
    right = [(query, item) for query, of in enumerate(answers) for item in of]
    better = [int((scores[query] > scores[query, item]).sum()) for query, item in right]
    tied = [int((scores[query] == scores[query, item]).sum()) - 1 for query, item in right]
    return Places(
        better=np.array(better),
        tied=np.array(tied),
        starts=np.concatenate([[0], np.cumsum([len(of) for of in answers])]),
        candidates=np.full(len(answers), scores.shape[1]),
    )


def orders(scores: NDArray[np.int64]) -> Iterator[tuple[int, ...]]:
    """Yield every order of the items that the scores allow."""
    groups = [np.flatnonzero(scores == score).tolist() for score in np.unique(scores)[::-1]]
    for parts in itertools.product(*(itertools.permutations(group) for group in groups)):
        yield tuple(itertools.chain.from_iterable(parts))


def ask_ranx(runs: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> dict[str, NDArray[Any]]:
    """Return ranx's value of every metric for every run; a run is a list of items, best first."""
    ranx = pytest.importorskip("ranx")
    qrels = ranx.Qrels({f"{at:06}": {f"i{item}": 1 for item in of} for at, of in enumerate(answers)})
    run = ranx.Run(
        {
            f"{at:06}": {f"i{item}": float(len(items) - place) for place, item in enumerate(items)}
            for at, items in enumerate(runs)
        }
    )
    names = {f"{ours}@{k}": f"{theirs}@{k}" for ours, theirs in RANX.items() for k in CUTOFFS}
    names |= {"ndcg": "ndcg", "mrr": "mrr"}
    found: dict[str, NDArray[Any]] = ranx.evaluate(qrels, run, list(names.values()), return_mean=False)
    return {ours: found[theirs] for ours, theirs in names.items()}


def some_runs(seed: int, count: int) -> tuple[NDArray[np.int64], list[list[int]]]:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, size=(count, ITEMS))
    return scores, [rng.permutation(ITEMS)[: 1 + query % 4].tolist() for query in range(count)]


def test_every_metric_is_the_mean_of_ranx_over_all_orders_of_tied_items() -> None:
    scores, answers = some_runs(seed=11, count=40)
    every = [(query, order) for query, row in enumerate(scores) for order in orders(row)]

    theirs = ask_ranx([order for _, order in every], [answers[query] for query, _ in every])
    ours = measure(places_of(scores, answers), cutoffs=CUTOFFS)

    query = np.array([of for of, _ in every])
    assert len(every) > 500  # there were ties to average
    for name, values in theirs.items():
        mean = np.bincount(query, weights=values) / np.bincount(query)
        assert ours[name] == pytest.approx(mean, abs=1e-12), name


@pytest.mark.parametrize("ties", ["optimistic", "pessimistic"])
def test_ties_can_be_won_or_lost_as_in_tables_of_others(ties: Ties) -> None:
    scores, answers = some_runs(seed=12, count=40)
    luck = 0.5 if ties == "optimistic" else -0.5
    lucky = [
        sorted(range(ITEMS), key=lambda item: -float(row[item]) - luck * (item in of))
        for row, of in zip(scores, answers, strict=True)
    ]

    theirs = ask_ranx(lucky, answers)
    ours = measure(places_of(scores, answers), cutoffs=CUTOFFS, ties=ties)

    for name, values in theirs.items():
        assert ours[name] == pytest.approx(values, abs=1e-12), name


@pytest.mark.parametrize("right", [1, 3])
def test_a_constant_scorer_scores_exactly_chance(right: int) -> None:
    n, k = 1000, 10
    places = Places(
        better=np.zeros(right, dtype=np.int64),
        tied=np.full(right, n - 1),
        starts=np.array([0, right]),
        candidates=np.array([n]),
    )

    found = measure(places, cutoffs=(k,))

    # Each answer is among the first k with chance k / n; none of m is with chance C(n - k, m) / C(n, m).
    first = [Fraction(comb(n - j, right - 1), comb(n, right)) for j in range(1, n + 1)]
    gain = sum(1 / log2(1 + j) for j in range(1, k + 1)) / n * right
    assert found["recall@10"][0] == pytest.approx(k / n, rel=1e-12)
    assert found["hit@10"][0] == pytest.approx(1 - comb(n - k, right) / comb(n, right), rel=1e-12)
    assert found["ndcg@10"][0] == pytest.approx(gain / sum(1 / log2(1 + j) for j in range(1, right + 1)))
    reciprocal = [chance / j for j, chance in enumerate(first, start=1)]
    assert found["mrr@10"][0] == pytest.approx(float(sum(reciprocal[:k])), rel=1e-12)
    assert found["mrr"][0] == pytest.approx(float(sum(reciprocal)), rel=1e-12)
    assert found["rank"][0] == (n + 1) / 2
    assert found["percentile_rank"][0] == 0.5


def test_a_lone_answer_among_ties_gets_its_share_of_each_place() -> None:
    places = Places(
        better=np.array([1]), tied=np.array([2]), starts=np.array([0, 1]), candidates=np.array([9])
    )

    found = measure(places, cutoffs=(2, 3))

    # Places 2, 3 and 4 are equally likely.
    assert found["recall@2"][0] == pytest.approx(1 / 3)
    assert found["hit@2"][0] == pytest.approx(1 / 3)
    assert found["recall@3"][0] == pytest.approx(2 / 3)
    assert found["ndcg@2"][0] == pytest.approx(1 / log2(3) / 3)
    assert found["ndcg"][0] == pytest.approx((1 / log2(3) + 1 / log2(4) + 1 / log2(5)) / 3)
    assert found["mrr@2"][0] == pytest.approx(1 / 2 / 3)
    assert found["mrr"][0] == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)
    assert found["rank"][0] == 3.0
    assert found["percentile_rank"][0] == pytest.approx(2.5 / 9)


def test_the_rank_of_several_answers_is_the_mean_of_theirs() -> None:
    places = Places(
        better=np.array([0, 5]), tied=np.array([1, 0]), starts=np.array([0, 2]), candidates=np.array([10])
    )

    assert measure(places)["rank"].tolist() == [(1.5 + 6) / 2]


def test_a_cut_off_beyond_the_catalogue_sees_all_of_it() -> None:
    places = places_of(np.array([[3, 2, 2, 1]]), [[1, 3]])

    found = measure(places, cutoffs=(4, 100))

    for metric in ("recall", "ndcg", "mrr", "hit"):
        assert found[f"{metric}@100"] == pytest.approx(found[f"{metric}@4"])


def test_answers_tied_with_each_other_stand_one_after_the_other() -> None:
    places = places_of(np.array([[1, 1, 1, 1, 0]]), [[0, 2]])

    assert sorted(resolve_ties(places, "optimistic").better.tolist()) == [0, 1]
    assert sorted(resolve_ties(places, "pessimistic").better.tolist()) == [2, 3]


@pytest.mark.parametrize("ties", ["average", "optimistic", "pessimistic"])
def test_no_queries_give_no_values(ties: Ties) -> None:
    found = measure(Places.concatenate([]), ties=ties)

    assert {values.shape for values in found.values()} == {(0,)}
