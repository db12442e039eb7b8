"""Collaborative filters against their equations."""

from collections.abc import Callable

import numpy as np
import pytest

from limner.evals.splits import Past, Queries
from limner.evals.system import System
from limner.evals.systems.collaborative import Als, AlsOptions, Bpr, BprOptions, ItemKnn, ItemKnnOptions

pytest.importorskip("implicit")

PastOf = Callable[..., Past]
QueriesOf = Callable[..., Queries]

# Items 0-4 are chosen by one half of the users, 5-9 by the other.
CAMPS = [[(user + step) % 5 + 5 * (user % 2) for step in range(3)] for user in range(40)]


def _als(**changed: float) -> Als:
    return Als(AlsOptions.model_validate({"factors": 2, "iterations": 5} | changed))


def _bpr(**changed: object) -> Bpr:
    return Bpr(BprOptions.model_validate({"factors": 8, "iterations": 100} | changed))


@pytest.mark.parametrize("make", [ItemKnn, _als, _bpr, lambda: _bpr(users="learned")])
def test_items_of_the_own_camp_come_first(
    make: Callable[[], System], past_of: PastOf, queries_of: QueriesOf
) -> None:
    system = make()

    system.fit(past_of(CAMPS, n_items=10))

    scores = system.score(queries_of(CAMPS[:2]))
    assert scores.dtype == np.float32
    assert [set(np.argsort(-row)[:5].tolist()) for row in scores] == [{0, 1, 2, 3, 4}, {5, 6, 7, 8, 9}]


def test_item_neighbours_have_the_cosine_of_their_users(past_of: PastOf, queries_of: QueriesOf) -> None:
    system = ItemKnn(ItemKnnOptions(weighting="cosine"))

    # Users of 0: a, b; of 1: a, b, c; of 2: c. A repeated choice counts once.
    system.fit(past_of([[0, 1, 1], [0, 1], [1, 2]], n_items=4))

    # cos(0, 1) = 2 / sqrt(2 * 3), cos(1, 2) = 1 / sqrt(3 * 1); the newest item has no louder voice.
    scores = system.score(queries_of([[2, 0], [0, 2, 2]]))
    np.testing.assert_allclose(scores[:, 1], [0.8165 + 0.5774] * 2, atol=1e-4)
    assert scores[:, 3].tolist() == [0, 0]


def test_als_solves_the_users_equation_for_the_history_at_hand(
    past_of: PastOf, queries_of: QueriesOf
) -> None:
    system = _als(regularization=0.5, alpha=4.0)

    system.fit(past_of(CAMPS, n_items=10))

    # Hu, Koren & Volinsky 2008, eq. 4: (Y'Y + Y'(C - I)Y + reg I) x = Y'C p, with confidence alpha where chosen.
    vectors = system.item_vectors.astype(np.float64)
    chosen = vectors[[1, 7]]
    left = vectors.T @ vectors + (4.0 - 1) * chosen.T @ chosen + 0.5 * np.eye(2)
    user = np.linalg.inv(left) @ (4.0 * chosen.sum(axis=0))
    np.testing.assert_allclose(system.score(queries_of([[1, 7]]))[0], vectors @ user, rtol=1e-3, atol=1e-4)


def test_als_ties_everything_without_a_history(past_of: PastOf, queries_of: QueriesOf) -> None:
    system = _als()

    system.fit(past_of(CAMPS, n_items=10))

    assert system.score(queries_of([[]])).tolist() == [[0] * 10]


def test_bpr_knows_unseen_users_by_their_history(past_of: PastOf, queries_of: QueriesOf) -> None:
    system = _bpr(users="learned")
    system.fit(past_of(CAMPS, n_items=10))
    newcomers = queries_of([*CAMPS, [0, 1], [5, 6], []]).take(np.array([40, 41, 42]))

    scores = system.score(newcomers)

    scores[0, [0, 1]] = scores[1, [5, 6]] = -np.inf
    assert [int(np.argmax(row)) // 5 for row in scores[:2]] == [0, 1]
    np.testing.assert_allclose(scores[2], system.biases, rtol=1e-6)


@pytest.mark.parametrize("make", [_als, _bpr])
def test_the_same_seed_gives_the_same_scores(
    make: Callable[[], System], past_of: PastOf, queries_of: QueriesOf
) -> None:
    def scores(seed: int) -> list[float]:
        system = make()
        system.fit(past_of(CAMPS, n_items=10, seed=seed))
        found: list[float] = system.score(queries_of(CAMPS[:1]))[0].tolist()
        return found

    assert scores(1) == scores(1)
    assert scores(1) != scores(2)
