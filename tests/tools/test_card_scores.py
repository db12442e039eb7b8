"""Scores of cards for users: attraction less refusal."""

from datetime import UTC, datetime

import numpy as np
import pytest

from limner.cards import ItemCard
from limner.records import content_hash
from limner.tools.card_scores import (
    CardVectors,
    InterestVectors,
    MatchWeights,
    card_scores,
    card_text,
    card_vectors,
)
from limner.tools.embedder import FloatArray, HashingEmbedder
from limner.tools.late_interaction import score_items

EYE = np.eye(4, dtype=np.float32)


def unit(*values: float) -> FloatArray:
    row = np.array(values, dtype=np.float32)
    found: FloatArray = (row / np.linalg.norm(row)).astype(np.float32)
    return found


def card(item_id: str, liked_by: str = "Suits lovers of maps.", feature: str = "A map.") -> ItemCard:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return ItemCard(
        item_id=item_id,
        liked_by=liked_by,
        disliked_by="Not for sailors.",
        feature=feature,
        as_of=moment,
        language="en",
        source="extractive",
        fingerprint=content_hash(item_id),
        created_at=moment,
    )


def test_attraction_mixes_whom_it_suits_and_what_it_is() -> None:
    cards = CardVectors(liked_by=EYE[:1], disliked_by=EYE[3:], feature=unit(0.6, 0.8, 0, 0)[None])
    user = InterestVectors(likes=EYE[:1], dislikes=EYE[:0])

    # One like: the late interaction is the cosine itself. ¾ · 1 + ¼ · .6 = .9
    scores = card_scores([user], cards, temperature=0.05, weights=MatchWeights(suits=0.75))

    assert scores.shape == (1, 1) and scores[0, 0] == pytest.approx(0.9)


def test_several_likes_interact_late() -> None:
    rng = np.random.default_rng(0)
    likes = np.stack([unit(*row) for row in rng.normal(size=(3, 4))])
    vectors = np.stack([unit(*row) for row in rng.normal(size=(5, 4))])
    cards = CardVectors(liked_by=vectors, disliked_by=vectors, feature=vectors)
    user = InterestVectors(likes=likes, dislikes=EYE[:0])

    scores = card_scores([user, user], cards, temperature=0.1)

    np.testing.assert_allclose(scores[1], score_items(likes, vectors, temperature=0.1), rtol=1e-5)


def test_a_dislike_counts_against_whom_it_would_put_off_and_against_what_it_is() -> None:
    cards = CardVectors(
        liked_by=EYE[[3, 3, 3]],
        disliked_by=np.stack([EYE[1], EYE[2], unit(0, -1, 0, 0)]),
        feature=np.stack([EYE[0], unit(0, 0.6, 0.8, 0), unit(0, -1, 0, 0)]),
    )
    user = InterestVectors(likes=EYE[:0], dislikes=EYE[[1]])

    # Card 0: its `disliked_by` is the dislike: 1. Card 1: its feature, .6. Card 2: opposite, so nothing is refused.
    scores = card_scores([user], cards, temperature=0.05, weights=MatchWeights(refusal=0.5))

    np.testing.assert_allclose(scores, [[-0.5, -0.3, 0.0]], atol=1e-6)


def test_users_without_anything_score_nothing() -> None:
    cards = CardVectors(EYE[:2], EYE[:2], EYE[:2])

    assert card_scores([InterestVectors(EYE[:0], EYE[:0])], cards, temperature=0.05).tolist() == [[0.0, 0.0]]
    assert card_scores([], cards, temperature=0.05).shape == (0, 2)


@pytest.mark.parametrize(
    ("cards", "temperature", "message"),
    [
        (CardVectors(EYE[:2], EYE[:1], EYE[:2]), 0.05, "three matrices of one shape"),
        (CardVectors(EYE, EYE, EYE), 0.0, "`temperature` must be > 0"),
    ],
)
def test_what_cannot_be_scored_is_an_error(cards: CardVectors, temperature: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        card_scores([], cards, temperature=temperature)


async def test_shared_cards_are_embedded_once_and_praise_leaves_dislikers_out() -> None:
    embedder = HashingEmbedder()
    shared = card("a")

    vectors = await card_vectors(
        embedder, [shared, shared.model_copy(update={"item_id": "b"}), card("c", "X y.")]
    )

    assert embedder.texts == ["Suits lovers of maps.", "Not for sailors.", "A map.", "X y."]
    np.testing.assert_array_equal(vectors.liked_by[0], vectors.liked_by[1])
    np.testing.assert_array_equal(vectors.feature, await embedder.embed(["A map."] * 3))
    assert card_text(shared) == "Suits lovers of maps. A map."
    assert (await card_vectors(embedder, [])).liked_by.shape == (0, embedder.dimension)
