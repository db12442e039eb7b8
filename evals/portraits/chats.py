"""Portraits of people who only chatted: their own turns recorded as messages, then drawn by Limner.

What the other side of a chat said is left out: a portrait rests on what its user did.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ...agents.colophon import INCOMPLETE
from ...errors import LimnerError, ModelError
from ...face import Limner
from ...records import Interaction, Usage
from ...settings import Settings
from ...tools.budget import Budget

_BATCH = 200


class Turn(NamedTuple):
    """One message of the person."""

    at: datetime
    text: str

    answer: str = ""
    """What the other side said next; empty if nothing."""

    talk: str = ""
    """Id of the conversation it belongs to; the same for all turns of one, empty where there is a single one."""


@dataclass(frozen=True, kw_only=True)
class Chatter:
    """One person and what this person said."""

    user_id: str
    """Unique within one store."""

    turns: tuple[Turn, ...]
    """Oldest first; moments differ."""


@dataclass(frozen=True, kw_only=True)
class ChatPortrait:
    """What Limner drew of one person."""

    text: str
    """Empty if nothing could be drawn."""

    source: str = "none"
    """`model`, `extractive`, or `none`."""

    usage: Usage = Usage()  # noqa: RUF009  # frozen
    """What drawing it took in this run; nothing if it was in the store already."""

    note: str | None = None
    """Why there is none."""

    complete: bool = True
    """False if a model or the budget failed where it was wanted."""


async def draw_chats(
    settings: Settings,
    chatters: Sequence[Chatter],
    *,
    budget: Budget | None = None,
    notice: Callable[[str], None],
) -> list[ChatPortrait]:
    """Record what people said and draw each one's portrait, in the order given.

    Args:
        settings: Model, encoder and a store of these chats' own. What it holds is not drawn again.
        chatters: Who said what.
        budget: Limits of all portraits; those of the settings if absent.
        notice: Takes lines of progress.
    """
    async with Limner(settings) as limner:
        for first in range(0, len(chatters), _BATCH):
            await limner.record_many(
                event for chatter in chatters[first : first + _BATCH] for event in _events(chatter)
            )
        drawn = await draw_users(limner, [each.user_id for each in chatters], budget=budget, notice=notice)
    return [drawn[chatter.user_id] for chatter in chatters]


async def draw_users(
    limner: Limner,
    users: Sequence[str],
    *,
    budget: Budget | None = None,
    as_of: datetime | None = None,
    notice: Callable[[str], None],
) -> dict[str, ChatPortrait]:
    """Draw users whose messages are in a store already; see `draw_chats`.

    Args:
        limner: An open store.
        users: Who is drawn.
        budget: Limits of all portraits.
        as_of: Nothing at or after this moment is used; the present if absent.
        notice: Takes lines of progress.
    """
    drawn: dict[str, ChatPortrait] = {}
    async with aclosing(_outcomes(limner, users, budget, as_of)) as outcomes:
        async for user_id, portrait in outcomes:
            drawn[user_id] = portrait
            if len(drawn) % 10 == 0 or len(drawn) == len(users):
                notice(f"{len(drawn)}/{len(users)} portraits of chats")
    return drawn


async def _outcomes(
    limner: Limner, users: Sequence[str], budget: Budget | None, as_of: datetime | None
) -> AsyncGenerator[tuple[str, ChatPortrait]]:
    known = {user: await limner.stored_profile(user) for user in users}
    async with aclosing(limner.profiles(users, as_of=as_of, budget=budget)) as outcomes:
        async for outcome in outcomes:
            profile = outcome.profile
            if profile is None:
                note, failed = _reason(outcome.error), isinstance(outcome.error, ModelError)
                yield outcome.user_id, ChatPortrait(text="", note=note, complete=not failed)
                continue
            before = known[outcome.user_id]
            fresh = before is None or before.version != profile.version
            yield (
                outcome.user_id,
                ChatPortrait(
                    text=profile.text,
                    source=profile.source,
                    usage=profile.usage if fresh else Usage(),
                    complete=not profile.fingerprint.startswith(INCOMPLETE),
                ),
            )


def _reason(error: LimnerError | None) -> str:
    return "no portrait" if error is None else f"{error.code}: {error}"


def _events(chatter: Chatter) -> list[Interaction]:
    return [
        Interaction(user_id=chatter.user_id, kind="message", at=turn.at, text=turn.text)
        for turn in chatter.turns
        if turn.text.strip()
    ]
