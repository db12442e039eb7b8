"""A model's preference between two cards of one item, beside what both were written from."""

from typing import Literal

from pydantic import BaseModel

from ...cards import ItemCard
from ...tools.chat import ChatRequest
from ...tools.prompt import load_prompt
from .card_material import CardMaterial

COMPARE = load_prompt("compare_cards")

_MOST_TOKENS = 40


class Preference(BaseModel):
    """Which of two descriptions is better."""

    better: Literal["first", "second", "tie"]
    """As they were shown; ask in both orders, since judges favour a place."""


def preference_request(material: CardMaterial, first: ItemCard, second: ItemCard) -> ChatRequest:
    """Build the request for a `Preference`."""
    return ChatRequest(
        messages=COMPARE.render(
            item=material.text, reviews=material.lines, first=_words(first), second=_words(second)
        ),
        purpose=COMPARE.id,
        max_tokens=_MOST_TOKENS,
        seed=0,
    )


def _words(card: ItemCard) -> str:
    return f"{card.liked_by} {card.disliked_by} {card.feature}"
