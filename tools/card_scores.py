"""How well users match cards: what draws them to whom an item suits, less what they refuse in it.

Both directions of ISRF's reasoning, without a model call: from the item, whose interests does `liked_by` name; from
the user, which dislikes does `disliked_by` name. Encoders do not see negation, so a sentence about what somebody
avoids lies near what it names, and near the sentence about people whom that puts off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..cards import ItemCard
from .embedder import Embedder, FloatArray
from .late_interaction import score_by_each, stack_users


class CardVectors(NamedTuple):
    """The vectors of N cards."""

    liked_by: FloatArray
    """Unit-norm, shape `(N, D)`."""

    disliked_by: FloatArray
    """Unit-norm, shape `(N, D)`."""

    feature: FloatArray
    """Unit-norm, shape `(N, D)`."""


class InterestVectors(NamedTuple):
    """The vectors of what one user likes and dislikes."""

    likes: FloatArray
    """Unit-norm vectors of the user's like sentences, shape `(L, D)`; L may be 0."""

    dislikes: FloatArray
    """Unit-norm vectors of the user's dislike sentences, shape `(R, D)`; R may be 0."""


@dataclass(frozen=True, kw_only=True)
class MatchWeights:
    """What the directions count; fit them on validation users only."""

    suits: float = 0.5
    """Share of `liked_by` in the attraction; the rest is the feature's."""

    refusal: float = 0.5
    """How much the user's dislikes count against a card."""


def card_text(card: ItemCard) -> str:
    """Return what a card says for its item in one text: whom it suits and what sets it apart.

    Who would not like it is left out: an encoder would take that for praise.
    """
    return f"{card.liked_by} {card.feature}".strip()


def card_scores(
    users: Sequence[InterestVectors],
    cards: CardVectors,
    *,
    temperature: float,
    weights: MatchWeights | None = None,
) -> FloatArray:
    """Score cards for users.

    Attraction is the late interaction of the user's likes with `liked_by` and with the feature, mixed. Refusal is
    the highest cosine, above 0, of the user's dislikes with `disliked_by` or with the feature.

    Args:
        users: Q users.
        cards: N cards.
        temperature: Of the late interaction, in cosine units, > 0.
        weights: Mixture; `MatchWeights()` if absent.

    Returns:
        Scores in cosine units, shape `(Q, N)`; a user without likes is drawn to nothing (0), and one without
        dislikes refuses nothing.

    Raises:
        ValueError: The three matrices of the cards differ in shape, or `temperature` is not positive.

    Examples:
        >>> eye = np.eye(3, dtype=np.float32)
        >>> cards = CardVectors(liked_by=eye[:2], disliked_by=eye[1:], feature=eye[:2])
        >>> ada = InterestVectors(likes=eye[:1], dislikes=eye[:0])
        >>> bo = InterestVectors(likes=eye[:1], dislikes=eye[1:2])
        >>> card_scores([ada, bo], cards, temperature=0.05).tolist()  # card 0: 1 - ½·1; card 1: 0 - ½·1
        [[1.0, 0.0], [0.5, -0.5]]
    """
    if not cards.liked_by.shape == cards.disliked_by.shape == cards.feature.shape:
        shapes = ", ".join(str(part.shape) for part in cards)
        raise ValueError(f"`cards` must have three matrices of one shape, got {shapes}")
    if temperature <= 0:
        raise ValueError(f"`temperature` must be > 0, got {temperature!r}")
    mix = weights or MatchWeights()
    scores = np.zeros((len(users), len(cards.liked_by)), dtype=np.float32)
    drawn = [row for row, user in enumerate(users) if len(user.likes)]
    if drawn:
        stacked = stack_users([users[row].likes for row in drawn])
        scores[drawn] = mix.suits * score_by_each(stacked, cards.liked_by, temperature=temperature)
        scores[drawn] += (1 - mix.suits) * score_by_each(stacked, cards.feature, temperature=temperature)
    refusing = [row for row, user in enumerate(users) if len(user.dislikes)]
    if refusing:
        stacked = stack_users([users[row].dislikes for row in refusing])
        nearest = np.maximum(
            stacked.peaks(cards.disliked_by @ stacked.vectors.T),
            stacked.peaks(cards.feature @ stacked.vectors.T),
        )
        scores[refusing] -= mix.refusal * np.maximum(nearest, 0.0).T
    return scores


async def card_vectors(embedder: Embedder, cards: Sequence[ItemCard]) -> CardVectors:
    """Embed cards, each part by itself; near-duplicates that share a card are embedded once."""
    texts = [text for card in cards for text in (card.liked_by, card.disliked_by, card.feature)]
    distinct = list(dict.fromkeys(texts))
    rows = {text: row for row, text in enumerate(distinct)}
    vectors = await embedder.embed(distinct)
    places = np.array([rows[text] for text in texts], dtype=np.intp).reshape(-1, 3)
    return CardVectors(*(vectors[places[:, part]] for part in range(3)))
