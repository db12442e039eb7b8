"""seqKNN on plain arrays, against numbers worked out by hand."""

import numpy as np
import pytest

from limner.records import Item
from limner.tools.recommender.seqknn import (
    GRID,
    Neighbours,
    SeqKnnOptions,
    attribute_vectors,
    choose,
    pair_matrix,
)

PLAIN = SeqKnnOptions(window=2, delta=0.5, row_power=0.0, column_power=0.0, decay=0.1, attributes="none")


def test_pairs_weigh_by_distance_and_direction() -> None:
    pairs = pair_matrix(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1]), 4, PLAIN)

    # Forward 0->1 twice, 1->2 once, 0->2 at distance 2 for a half; backward half of that.
    expected = np.array([[0, 2, 0.5, 0], [1, 0, 1, 0], [0.25, 0.5, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(pairs.toarray(), expected)


def test_pairs_never_reach_across_users() -> None:
    pairs = pair_matrix(np.array([0, 1]), np.array([0, 1]), 2, PLAIN)

    assert pairs.nnz == 0


def test_votes_of_several_histories_do_not_mix() -> None:
    pairs = pair_matrix(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1]), 4, PLAIN)

    votes = Neighbours.of(pairs, None, PLAIN).vote(np.array([0, 0, 1]), np.array([0, 1, 3, 3]))

    # After [0]; after [0, 1], where 0 has a tenth; after nothing.
    expected = np.array([[0, 2, 0.5, 0], [1, 0.2, 1.05, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(votes, expected, rtol=1e-6)


def test_attributes_add_their_cosine() -> None:
    items = [Item(item_id=str(number), title=title) for number, title in enumerate(["red", "red", "blue"])]
    options = PLAIN.model_copy(update={"attributes": "words", "attribute_weight": 0.5})
    pairs = pair_matrix(np.array([0]), np.array([2]), 3, options)

    votes = Neighbours.of(pairs, attribute_vectors(items), options).vote(np.array([0]), np.array([0, 1]))

    np.testing.assert_allclose(votes, [[0.5, 0.5, 0]], rtol=1e-6)


def test_settings_are_chosen_one_after_the_other_and_each_is_tried_once() -> None:
    tried: list[SeqKnnOptions] = []

    def value(options: SeqKnnOptions) -> float:
        tried.append(options)
        return -abs(options.window - 10) - abs(options.decay - 0.9)

    best = choose(SeqKnnOptions(), ("window", "decay"), value)

    assert (best.window, best.decay) == (10, 0.9)
    assert len(tried) == len({str(options) for options in tried})
    assert best.delta == SeqKnnOptions().delta and set(GRID) > {"window", "decay"}


def test_nothing_to_choose_asks_nobody() -> None:
    def refuse(options: SeqKnnOptions) -> float:
        pytest.fail(f"asked for {options}")

    assert choose(SeqKnnOptions(), (), refuse) == SeqKnnOptions()
