"""Questions about portraits to a chat model, several at once and each only once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ...agents.calling import Answer
from ...agents.state import Deps
from ...errors import ModelUnavailableError, SettingsError
from .reading import Reading

T = TypeVar("T")

Ask = Callable[[Reading], Awaitable[Answer[T]]]
"""Asks about one portrait."""


def need_model(deps: Deps, reward: str) -> None:
    """Refuse a reward whose grader is missing.

    Raises:
        SettingsError: No chat model is configured.
    """
    if deps.chat is None:
        reason = f"is `none`, and the reward `{reward}` is graded by a chat model; name one"
        raise SettingsError("model", reason)


async def ask_each(deps: Deps, readings: Sequence[Reading], ask: Ask[T], *, at_once: int) -> list[T | None]:
    """Ask about every portrait; equal portraits of one exercise share an answer.

    Args:
        deps: With the chat model.
        readings: Whom the portraits are of, and what they say.
        ask: The question.
        at_once: Questions in flight.

    Returns:
        The answers, `None` where the model gave none.

    Raises:
        ModelUnavailableError: The model answered nothing at all, so that nothing can be learned from the batch.
    """
    slots = asyncio.Semaphore(at_once)

    async def one(reading: Reading) -> Answer[T]:
        async with slots:
            return await ask(reading)

    keys = [(reading.exercise.key, reading.text) for reading in readings]
    distinct = dict(zip(keys, readings, strict=True))
    found = dict(zip(distinct, await asyncio.gather(*map(one, distinct.values())), strict=True))
    notes = [answer.note for answer in found.values() if answer.note]
    if notes and len(notes) == len(found) and deps.chat is not None:
        raise ModelUnavailableError(deps.chat.name, len(found), notes[-1])
    return [found[key].value for key in keys]
