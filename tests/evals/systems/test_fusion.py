"""Weights of a fusion: what earns, what does not, and for whom."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from limner.evals.dataset import FloatArray
from limner.evals.splits import Answers, Past, Problem, Queries
from limner.evals.systems.fusion import Fitting, Fusion, FusionOptions
from limner.evals.systems.popularity import RandomScores
from limner.evals.systems.seqknn import SeqKnn
from limner.records import Usage
from limner.tools.recommender.blending import z_scores
from limner.tools.recommender.seqknn import SeqKnnOptions

PastOf = Callable[..., Past]
QueriesOf = Callable[..., Queries]
AnswersOf = Callable[[Sequence[int]], Answers]

N_ITEMS = 60


class Table:
    """Scores the items by a table with a row for each user."""

    def __init__(self, name: str, rows: FloatArray) -> None:
        self.name = name
        self.rows = rows
        self.asked = 0
        self.usage = Usage(calls=1)

    def fit(self, past: Past) -> None:
        """Nothing to learn."""

    def score(self, queries: Queries) -> FloatArray:
        """Look the users up."""
        self.asked += len(queries)
        return self.rows[queries.user]


def _knowing(right: Sequence[int], users: Sequence[int], rng: np.random.Generator) -> FloatArray:
    """Noise, but for some users a high score of the right item."""
    rows = rng.normal(size=(len(right), N_ITEMS)).astype(np.float32)
    rows[users, np.array(right)[users]] += 6
    return rows


def test_scores_are_weighted_sums_of_z_scores(past_of: PastOf, queries_of: QueriesOf) -> None:
    one, two = (np.array([row], dtype=np.float32) for row in ([9, 0, 2, 4], [9, 3, 3, 0]))
    system = Fusion([Table("one", one), Table("two", two)])

    system.fit(past_of([[0]], n_items=4))

    # Item 0 is in the history. One: mean 2, deviation sqrt(8 / 3). Two: mean 2, deviation sqrt(2).
    expected = 0.5 * np.array([0 - 2, 0, 2]) / (8 / 3) ** 0.5 + 0.5 * np.array([1, 1, -2]) / 2**0.5
    np.testing.assert_allclose(system.score(queries_of([[0]]))[0, 1:], expected, rtol=1e-5)
    assert system.name == "one + two"


def test_constant_scores_become_zero_and_minus_infinity_the_lowest(queries_of: QueriesOf) -> None:
    scores = np.array([[7.1, 7.1, 7.1], [1, 3, -np.inf], [-np.inf] * 3], dtype=np.float32)

    queries = queries_of([[], [], []])

    unit = z_scores(scores, queries.history.item, queries.starts)

    # 1, 3, 1: mean 5/3, deviation sqrt(8) / 3.
    np.testing.assert_allclose(
        unit, [[0, 0, 0], [-(0.5**0.5), 2**0.5, -(0.5**0.5)], [0, 0, 0]], rtol=1e-5, atol=1e-6
    )
    assert np.isneginf(scores[1, 2])


def test_noise_gets_no_weight_and_is_not_asked_again(
    past_of: PastOf, queries_of: QueriesOf, answers_of: AnswersOf
) -> None:
    rng = np.random.default_rng(0)
    right = rng.integers(1, N_ITEMS, size=200).tolist()
    noise = Table("noise", rng.normal(size=(200, N_ITEMS)).astype(np.float32))
    system = Fusion([noise, Table("signal", _knowing(right, range(0, 200, 2), rng))])
    system.fit(past_of([[0]] * 200, n_items=N_ITEMS))
    queries = queries_of([[0]] * 200)

    system.tune(queries, answers_of(right))

    asked = noise.asked
    scores = system.score(queries)
    assert system.shares == {"all": {"noise": 0.0, "signal": 1.0}}
    assert noise.asked == asked
    assert scores.shape == (200, N_ITEMS) and scores.dtype == np.float32


def test_parts_that_know_different_users_share_the_weight(
    past_of: PastOf, queries_of: QueriesOf, answers_of: AnswersOf
) -> None:
    rng = np.random.default_rng(1)
    right = rng.integers(1, N_ITEMS, size=300).tolist()
    parts = [
        Table("even", _knowing(right, range(0, 300, 2), rng)),
        Table("odd", _knowing(right, range(1, 300, 2), rng)),
    ]
    system = Fusion(parts)
    system.fit(past_of([[0]] * 300, n_items=N_ITEMS))

    system.tune(queries_of([[0]] * 300), answers_of(right))

    assert all(0.3 <= weight <= 0.7 for weight in system.weights[0])
    assert system.weights[0].sum() == pytest.approx(1)


def test_weights_differ_by_history_where_that_pays(
    past_of: PastOf, queries_of: QueriesOf, answers_of: AnswersOf
) -> None:
    rng = np.random.default_rng(2)
    right = rng.integers(12, N_ITEMS, size=300).tolist()
    short, long = list(range(150)), list(range(150, 300))
    histories = [[0, 1]] * 150 + [list(range(12))] * 150
    parts = [Table("short", _knowing(right, short, rng)), Table("long", _knowing(right, long, rng))]
    by_history, plain = Fusion(parts, FusionOptions(by="history")), Fusion(parts)
    queries = queries_of(histories)

    for system in (by_history, plain):
        system.fit(past_of(histories, n_items=N_ITEMS))
        system.tune(queries, answers_of(right))

    upto5, upto10, upto20, over20 = by_history.weights
    assert upto5[0] > 0.8 and upto20[1] > 0.8
    # Nobody has 6 to 10 or more than 20: the weights of all.
    np.testing.assert_array_equal(upto10, plain.weights[0])
    np.testing.assert_array_equal(over20, plain.weights[0])
    assert by_history.name == "fusion:by=history + short + long"
    picks = by_history.score(queries).argmax(axis=1)
    assert np.mean(picks == right) > np.mean(plain.score(queries).argmax(axis=1) == right)


def test_blocks_change_nothing(
    past_of: PastOf, queries_of: QueriesOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = Fusion([RandomScores(), SeqKnn(SeqKnnOptions(attributes="none"))])
    system.fit(past_of([[0, 1, 2], [1, 2, 3]], n_items=5))
    queries = queries_of([[0], [1, 2], [], [3], [2]])
    whole = system.score(queries)

    monkeypatch.setattr("limner.evals.systems.fusion.BLOCK", 2)

    np.testing.assert_allclose(system.score(queries), whole, rtol=1e-5, atol=1e-6)


def test_parts_are_fitted_and_tuned(past_of: PastOf, queries_of: QueriesOf, answers_of: AnswersOf) -> None:
    rng = np.random.default_rng(5)
    sequences = [[n, *rng.integers(20, 40, size=6).tolist(), n + 10] for n in range(10)] * 3
    neighbours = SeqKnn(SeqKnnOptions(attributes="none"))
    system = Fusion([neighbours, RandomScores()])
    system.fit(past_of(sequences, n_items=40))

    system.tune(queries_of([[n] for n in range(10)]), answers_of(range(10, 20)))

    assert neighbours.chosen["window"] == 10
    assert system.chosen[neighbours.name] == neighbours.chosen


def test_the_bill_is_that_of_the_parts() -> None:
    rows = np.zeros((1, 2), dtype=np.float32)

    system = Fusion([Table("one", rows), Table("two", rows), RandomScores()])

    assert system.usage == Usage(calls=2)


def test_fewer_users_decide_where_scores_would_not_fit(
    past_of: PastOf, queries_of: QueriesOf, answers_of: AnswersOf
) -> None:
    rng = np.random.default_rng(0)
    parts = [Table(name, rng.normal(size=(50, N_ITEMS)).astype(np.float32)) for name in ("one", "two")]
    system = Fusion(parts, FusionOptions(cells=20 * N_ITEMS))
    system.fit(past_of([[0]] * 50, n_items=N_ITEMS))

    system.tune(queries_of([[0]] * 50), answers_of([1] * 50))

    # 20 rows of cells are 10 users of two parts; one more is asked for the size of the catalogue.
    assert [part.asked for part in parts] == [11, 10]


def test_ties_are_worth_the_mean_of_the_places_they_may_take(
    queries_of: QueriesOf, answers_of: AnswersOf
) -> None:
    problem = Problem(queries=queries_of([[], [0]]), answers=answers_of([2, 3]))
    scores = np.array([[[0, 0, 0, 0], [0, 1, 0, 0]]], dtype=np.float32)

    values = Fitting(scores, problem, deep=0.5).value(np.array([1.0]))

    # First user: places 1 to 4 of 4; second: places 2 and 3 of the 3 items that are new.
    logs = [np.log([1, 2, 3, 4]).mean() / np.log(4), np.log([2, 3]).mean() / np.log(3)]
    gains = [np.mean(1 / np.log2([2, 3, 4, 5])), np.mean(1 / np.log2([3, 4]))]
    np.testing.assert_allclose(values, np.array(gains) + 0.5 * (1 - np.array(logs)), rtol=1e-9)


def test_no_system_is_refused() -> None:
    with pytest.raises(ValueError, match="`systems` is empty"):
        Fusion([])
