"""Scores of a catalogue by the vectors of many users."""

import numpy as np
import pytest

from limner.evals import pooling
from limner.evals.dataset import FloatArray
from limner.evals.pooling import score_late, share_late, standardise
from limner.tools.late_interaction import score_items

TEMPERATURE = 0.05


def unit(count: int, seed: int) -> FloatArray:
    vectors = np.random.default_rng(seed).normal(size=(count, 8))
    normed: FloatArray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return normed


@pytest.mark.parametrize("cells", [1, 21, 10_000])
def test_users_are_scored_as_one_by_one_whatever_fits_at_once(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling, "_CELLS", cells)
    items, users = unit(7, 1), [unit(count, count) for count in (3, 1, 0, 4)]

    scores = score_late(users, items, temperature=TEMPERATURE)

    assert scores.shape == (4, 7)
    for user in (0, 1, 3):
        alone = score_items(users[user], items, temperature=TEMPERATURE)
        assert np.allclose(scores[user], alone, atol=1e-6)
    assert scores[2].tolist() == [0.0] * 7  # nothing is known: no item is better than another


def test_two_sets_of_vectors_are_pooled_as_one_with_even_shares() -> None:
    one, two, items = unit(3, 1), unit(3, 2), unit(7, 3)

    shared = share_late(
        score_late([one], items, temperature=TEMPERATURE),
        score_late([two], items, temperature=TEMPERATURE),
        weight=0.5,
        temperature=TEMPERATURE,
    )

    # Three vectors each and equal shares: the soft maximum over all six.
    assert np.allclose(
        shared, score_late([np.concatenate([one, two])], items, temperature=TEMPERATURE), atol=1e-6
    )


def test_a_constant_row_is_standardised_to_nothing() -> None:
    assert standardise(np.array([[1, 3], [2, 2]], dtype=np.float32)).tolist() == [[-1.0, 1.0], [0.0, 0.0]]
