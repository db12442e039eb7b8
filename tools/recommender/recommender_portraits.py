"""What portraits and cards say of the next item, as matrices of scores beside those of `tools.recommender.recommender_signals`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..card_scores import CardVectors, InterestVectors, card_scores
from ..embedder import FloatArray
from ..late_interaction import score_by_each, stack_users
from ..spans import IntArray
from .recommender_signals import Words


class Cards(NamedTuple):
    """The cards of some items of a catalogue."""

    items: IntArray
    """Numbers of the items that have a card, shape `(M,)`."""

    vectors: CardVectors
    """Of these cards, by the frozen encoder."""


class Portrayed(NamedTuple):
    """What a published portrait says, by the frozen encoder."""

    likes: FloatArray
    """Shape `(L, D)`; L may be 0."""

    dislikes: FloatArray
    """Shape `(R, D)`; R may be 0."""


def nobody(width: int) -> Portrayed:
    """Return a portrait that says nothing."""
    nothing = np.zeros((0, width), dtype=np.float32)
    return Portrayed(nothing, nothing)


def profile_scores(portraits: Sequence[Portrayed], words: Words, *, temperature: float) -> FloatArray:
    """Score the catalogue by the likes of portraits, late interaction; shape `(Q, N)`, zeros without a portrait.

    Args:
        portraits: One a query.
        words: The catalogue, and the space that sentences score it in.
        temperature: Of the late interaction; the space's own if it has one.
    """
    scores = np.zeros((len(portraits), len(words.had)), dtype=np.float32)
    told = [row for row, portrait in enumerate(portraits) if len(portrait.likes)]
    if told:
        stacked = stack_users([words.space.users(portraits[row].likes) for row in told])
        sharp = words.space.temperature or temperature
        scores[told] = score_by_each(stacked, words.ranked, temperature=sharp)
    return scores


def card_matrix(
    portraits: Sequence[Portrayed],
    items: IntArray,
    starts: IntArray,
    cards: Cards,
    words: Words,
    *,
    last: int,
    temperature: float,
) -> FloatArray:
    """Score the catalogue by its cards, shape `(Q, N)`; an item without a card gets the mean of its row.

    What a user had last stands for what draws this user; what puts a user off is in the portrait.

    Args:
        portraits: One a query.
        items: Histories one after the other, each oldest first.
        starts: Where each history begins, and their end, shape `(Q + 1,)`.
        cards: Of the catalogue.
        words: The catalogue.
        last: Newest items that count.
        temperature: Of the late interaction.
    """
    users = [
        InterestVectors(words.had[items[max(start, end - last) : end]], portrait.dislikes)
        for start, end, portrait in zip(starts[:-1].tolist(), starts[1:].tolist(), portraits, strict=True)
    ]
    found = card_scores(users, cards.vectors, temperature=temperature)
    scores = np.repeat(found.mean(axis=1, keepdims=True), len(words.had), axis=1)
    scores[:, cards.items] = found
    return scores
