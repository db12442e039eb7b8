"""How a portrait scores items."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from limner.tools.embedder import FloatArray
from limner.tools.late_interaction import mid_ranks, score_by_each, score_items, stack_users

EYE = np.eye(3, dtype=np.float32)


def unit(rows: FloatArray) -> FloatArray:
    rows = rows + np.float32(1e-3)
    found: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return found


def vectors(most: int = 5) -> st.SearchStrategy[FloatArray]:
    numbers = st.floats(0, 1, width=32)
    return (
        st.integers(1, most)
        .flatmap(lambda count: arrays(np.float32, (count, 4), elements=numbers))
        .map(lambda rows: unit(rows))
    )


def test_two_facets_pool_by_a_soft_maximum() -> None:
    # Cosines 1 and 0 at temperature 0.5: 0.5 * log((e^2 + 1) / 2).
    scores = score_items(EYE[:2], EYE[:1], temperature=0.5)

    assert scores.tolist() == pytest.approx([0.5 * math.log((math.e**2 + 1) / 2)])


def test_a_low_temperature_is_the_maximum_and_a_high_one_the_mean() -> None:
    facets, item = EYE[:2], EYE[:1]

    assert score_items(facets, item, temperature=1e-4)[0] == pytest.approx(1.0, abs=1e-3)
    assert score_items(facets, item, temperature=1e3)[0] == pytest.approx(0.5, abs=1e-3)


def test_no_items_have_no_scores() -> None:
    assert score_items(EYE, EYE[:0], temperature=0.05).shape == (0,)


def test_a_portrait_without_sentences_scores_nothing() -> None:
    with pytest.raises(ValueError, match="`facets` must have at least one row"):
        score_items(EYE[:0], EYE, temperature=0.05)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_the_temperature_must_be_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="`temperature` must be > 0"):
        score_items(EYE, EYE, temperature=temperature)


@given(facets=vectors(), items=vectors(), temperature=st.floats(0.01, 10))
def test_a_score_lies_between_the_mean_and_the_maximum_cosine(
    facets: FloatArray, items: FloatArray, temperature: float
) -> None:
    cosines = facets @ items.T
    scores = score_items(facets, items, temperature=temperature)

    assert (scores <= cosines.max(axis=0) + 1e-4).all()
    assert (scores >= cosines.mean(axis=0) - 1e-4).all()


@given(users=st.lists(vectors(), min_size=1, max_size=4), items=vectors(), temperature=st.floats(0.02, 2))
def test_scoring_many_users_at_once_equals_scoring_each(
    users: list[FloatArray], items: FloatArray, temperature: float
) -> None:
    each = np.stack([score_items(user, items, temperature=temperature) for user in users])

    together = score_by_each(stack_users(users), items, temperature=temperature)

    np.testing.assert_allclose(together, each, atol=1e-5)


@given(users=st.lists(vectors(), min_size=1, max_size=4))
def test_stacked_users_keep_their_own_means_and_peaks(users: list[FloatArray]) -> None:
    stacked = stack_users(users)
    scores = stacked.vectors[:, 0]

    np.testing.assert_allclose(stacked.means(scores), [user[:, 0].mean() for user in users], atol=1e-6)
    np.testing.assert_array_equal(stacked.peaks(scores), [user[:, 0].max() for user in users])


def test_mid_ranks_count_ties_half() -> None:
    negatives = np.asarray([0.9, 0.5, 0.5, 0.1], dtype=np.float32)
    positives = np.asarray([1.0, 0.9, 0.5, 0.3, 0.0], dtype=np.float32)

    # Above all; tied with one; below one and tied with two; below three; below all.
    assert mid_ranks(positives, negatives).tolist() == [1.0, 1.5, 3.0, 4.0, 5.0]


@given(count=st.integers(1, 50))
def test_a_constant_scorer_ranks_in_the_middle(count: int) -> None:
    same = np.zeros(count, dtype=np.float32)

    assert mid_ranks(same[:1], same).tolist() == [1.0 + count / 2]
