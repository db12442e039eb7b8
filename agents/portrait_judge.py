"""A model's verdict on a portrait beside the history it is drawn from (RLAIF)."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from ..tools.chat import ChatRequest
from ..tools.prompt import load_prompt

JUDGE = load_prompt("judge_profile")

_MOST_TOKENS = 80

Score = Literal[1, 2, 3, 4, 5]


class Verdict(BaseModel):
    """What a judge says of a description, each from 1 (poor) to 5 (excellent)."""

    coherence: Score
    """Reads as one clear description."""

    accuracy: Score
    """Follows from the entries."""

    coverage: Score
    """Names the interests that matter."""

    overall: Score
    """Helps to guess the next choice."""


def verdict_request(entries: Sequence[str], portrait: str) -> ChatRequest:
    """Build the request for a `Verdict`.

    Args:
        entries: The history, one line an interaction, oldest first; never what the user did next.
        portrait: What is judged.
    """
    return ChatRequest(
        messages=JUDGE.render(events=entries, profile=portrait),
        purpose=JUDGE.id,
        max_tokens=_MOST_TOKENS,
        seed=0,
    )
