"""The simplest systems, counted by hand."""

from collections.abc import Callable

import numpy as np

from limner.evals.splits import Past, Queries
from limner.evals.systems.popularity import Bigram, BigramOptions, Popularity, RandomScores

PastOf = Callable[..., Past]
QueriesOf = Callable[..., Queries]


def test_popularity_counts_events_of_the_past(past_of: PastOf, queries_of: QueriesOf) -> None:
    system = Popularity()

    system.fit(past_of([[0, 1], [1, 2], [1]], n_items=4))

    scores = system.score(queries_of([[3], []]))
    assert scores.tolist() == [[1, 3, 1, 0], [1, 3, 1, 0]]
    assert scores.dtype == np.float32


def test_bigram_counts_what_follows_the_last_item_within_a_user(
    past_of: PastOf, queries_of: QueriesOf
) -> None:
    system = Bigram(BigramOptions(popularity=0.1))

    # 0 -> 1 twice, 1 -> 2 once; 1 -> 0 stands only between two users and is none.
    system.fit(past_of([[0, 1], [0, 1, 2]], n_items=4))

    expected = [[0.2, 2.2, 0.1, 0.0], [0.2, 0.2, 1.1, 0.0], [0.2, 0.2, 0.1, 0.0]]
    np.testing.assert_allclose(system.score(queries_of([[3, 0], [0, 1], []])), expected, rtol=1e-6)


def test_popularity_decides_among_items_that_never_followed(past_of: PastOf, queries_of: QueriesOf) -> None:
    system = Bigram()

    system.fit(past_of([[0, 1], [2], [2], [3]], n_items=4))

    assert np.argsort(-system.score(queries_of([[0]]))[0]).tolist()[:2] == [1, 2]


def test_random_scores_depend_on_seed_user_and_moment_but_not_on_the_batch(
    past_of: PastOf, queries_of: QueriesOf
) -> None:
    queries = queries_of([[0], [1], [0, 1]])
    systems = [RandomScores(), RandomScores(), RandomScores()]
    for system, seed in zip(systems, (1, 1, 2), strict=True):
        system.fit(past_of([[0, 1]], n_items=50, seed=seed))

    whole = systems[0].score(queries)

    alone = systems[1].score(queries.take(np.array([2])))
    np.testing.assert_array_equal(whole[2:], alone)
    assert len(np.unique(whole)) == 150
    assert not np.any(whole == systems[2].score(queries))
