"""What the product tells an assistant about people: chats go in through `listen`, contexts come out of `context`.

Nothing here helps it along: portraits are drawn by the product before the moment of the questions, and the words
that come back are what an assistant would have been given.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from ...contexts import Context
from ...face import Limner
from ...records import Usage
from ...settings import Settings
from ...streaming import bounded
from ...tools.budget import Budget
from .chats import ChatPortrait, Chatter, Turn, draw_users

_AT_ONCE = 4
_TOLD_EVERY = 50


class Asked(NamedTuple):
    """One question of an assistant: what is to be known of this user?"""

    user_id: str
    query: str
    """What the user says next."""

    as_of: datetime
    """The moment; nothing at or after it may be told."""

    tokens: int
    """Most tokens of the answer, as `model` counts them."""

    model: str
    """LiteLLM model string of who will read it."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the product told."""

    contexts: list[Context]
    """One a question, in their order."""

    portraits: Mapping[str, ChatPortrait] = field(default_factory=dict[str, ChatPortrait])
    """Of everybody who chatted, by user id."""

    usage: Usage = field(default_factory=Usage)
    """What listening and drawing took in this run."""


def moment_after(chatters: Sequence[Chatter]) -> datetime:
    """Return the midnight after the last turn of anybody: mostly the same for a part of the people.

    A moment of its own for each sample would draw portraits anew, and pay for answers again.
    """
    last = max(turn.at for chatter in chatters for turn in chatter.turns)
    return last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


async def hear_and_tell(
    settings: Settings,
    chatters: Sequence[Chatter],
    asked: Sequence[Asked],
    *,
    budget: Budget | None,
    notice: Callable[[str], None],
) -> Answered:
    """Listen to chats, draw portraits before the questions, and ask for contexts.

    Args:
        settings: Model, encoder and a store of these chats' own.
        chatters: Who said what.
        asked: One entry a question; all of one moment.
        budget: Limits of listening and drawing; those of the settings if absent.
        notice: Takes lines of progress.
    """
    async with Limner(settings) as limner:
        moment = min(each.as_of for each in asked)
        portraits, usage = await hear(limner, chatters, as_of=moment, budget=budget, notice=notice)
        return Answered(contexts=await tell(limner, asked), portraits=portraits, usage=usage)


async def tell(limner: Limner, asked: Sequence[Asked]) -> list[Context]:
    """Ask the product for one context a question, in their order."""
    found: dict[int, Context] = {}

    async def one(place: int) -> tuple[int, Context]:
        each = asked[place]
        return place, await limner.context(
            each.user_id, each.query or None, max_tokens=each.tokens, as_of=each.as_of, model=each.model
        )

    async with aclosing(bounded(range(len(asked)), one, _AT_ONCE)) as contexts:
        async for place, context in contexts:
            found[place] = context
    return [found[place] for place in range(len(asked))]


async def hear(
    limner: Limner,
    chatters: Sequence[Chatter],
    *,
    as_of: datetime,
    budget: Budget | None,
    notice: Callable[[str], None],
) -> tuple[Mapping[str, ChatPortrait], Usage]:
    """Listen to chats and draw portraits as of a moment; what a store holds already costs nothing again.

    Returns:
        Portraits by user id, and what listening and drawing took.
    """
    spent = Usage()
    for number, chatter in enumerate(chatters, start=1):
        for talk, turns in groupby(chatter.turns, key=lambda turn: turn.talk):
            spent += await _listen(limner, chatter.user_id, talk, list(turns), budget)
        if number % _TOLD_EVERY == 0 or number == len(chatters):
            notice(f"listened to {number}/{len(chatters)} people")
    users = [chatter.user_id for chatter in chatters]
    drawn = await draw_users(limner, users, budget=budget, as_of=as_of, notice=notice)
    return drawn, spent + Usage.total(portrait.usage for portrait in drawn.values())


async def _listen(
    limner: Limner, user_id: str, talk: str, turns: Sequence[Turn], budget: Budget | None
) -> Usage:
    messages = list(_messages(turns))
    if not messages:
        return Usage()
    heard = await limner.listen(
        user_id, messages, conversation_id=talk or None, at=turns[-1].at, budget=budget
    )
    return heard.usage


def _messages(turns: Sequence[Turn]) -> Iterator[dict[str, str]]:
    """Yield turns as an OpenAI message list."""
    for turn in turns:
        if turn.text.strip():
            yield {"role": "user", "content": turn.text}
        if turn.answer.strip():
            yield {"role": "assistant", "content": turn.answer}
