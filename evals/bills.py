"""What a run would take, counted before a model is asked."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import LimnerError
from ..records import Message
from .questions.windows import Count
from .result_files import load_result, result_files

_TEMPLATE = 8
"""Tokens that a chat template adds to a message, about."""


class Bill(NamedTuple):
    """What measuring one system takes at most; answers that are kept already are not taken off."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    left_out: str = ""
    """What is not in it; empty if nothing."""

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: object) -> "Bill":
        """Add what two runs take."""
        if not isinstance(other, Bill):
            return NotImplemented
        return Bill(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.left_out or other.left_out,
        )


def bill_of(
    prompts: Iterable[Sequence[Message]], count: Count, *, beside: int = 0, answer: int, times: int = 1
) -> Bill:
    """Count requests.

    Args:
        prompts: What is asked.
        count: The tokens of a text.
        beside: Tokens that each prompt will have besides, such as a context that is not there yet.
        answer: Tokens of each answer at most.
        times: How often each is asked.
    """
    calls = read = 0
    for messages in prompts:
        calls += times
        read += times * (beside + sum(count(message.content) + _TEMPLATE for message in messages))
    return Bill(calls, read, calls * answer)


def seconds_a_token(folder: Path, chat_model: str) -> float | None:
    """Return what a token took in earlier results of the same model, on this machine; absent without any.

    Only results in which no answer was kept from before count, and of them the newest.
    """
    try:
        results = [load_result(path) for path in result_files(folder)]
    except LimnerError:
        return None
    found = [
        (result.started, sum(entry.cost.score_seconds for entry in paid) / tokens)
        for result in results
        if result.settings.get("chat_model") == chat_model
        and (paid := [entry for entry in result.cost if not entry.cost.usage.cached_calls])
        and (tokens := sum(entry.cost.usage.tokens for entry in paid))
    ]
    return max(found)[1] if found else None
