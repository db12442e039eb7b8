"""What reads people's words: the screen, stances and requests, chat turns, tokens, and contexts made of them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ...agents.context.place_context import last_question, place_context
from ...agents.context.room import Room
from ...agents.listening.forget_requests import requests_in
from ...agents.listening.gate import states_anything, telling
from ...agents.pairing.pair_form import sentences
from ...agents.stances import stances_of
from ...contexts import Context
from ...errors import InputError
from ...records import Item, whole
from ...tools.conversations import own_turns
from ...tools.language import detect_language
from ...tools.leaks import leak_penalty
from ...tools.privacy.screen import Screen
from ...tools.tokens import EstimatedTokens
from ...tools.verdicts import verdict_in
from .odd import Odd
from .staged import events, staged
from .watched import Feed, Target

_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "ru", "zh", "ja", "pl", "tr", "xx", "")


@asynccontextmanager
async def _screened(folder: Path) -> AsyncGenerator[Feed]:
    """Screen a text as a person's, as a publisher's and as a sentence to be kept; what passed passes again."""
    screen, event = Screen(), events()[0]

    async def feed(odd: Odd) -> bool:
        text = odd.text(20)
        shown = screen.words(text)
        screen.published(text)
        screen.allows(text)
        screen.event(event.model_copy(update={"text": text}))
        screen.item(Item(item_id="i", title=whole(text[:60]), tags=(whole(text[:40]),)))
        return shown != text

    yield feed


@asynccontextmanager
async def _understood(folder: Path) -> AsyncGenerator[Feed]:
    """Look for what a text tells: language, statements, stances, requests to forget, verdicts, titles."""
    event = events()[0]

    async def feed(odd: Odd) -> bool:
        text, language = odd.text(20), odd.random.choice(_LANGUAGES)
        detect_language([text], [odd.text(2)])
        told = telling(text, language)
        states_anything(text)
        stances_of(event.model_copy(update={"text": text}), language)
        requests_in(text, language)
        verdict_in(text, odd.text(1))
        leak_penalty(text, [odd.text(1), "Thing"], text[:50], verdicts=True)
        sentences(text)
        return not told

    yield feed


@asynccontextmanager
async def _turns(folder: Path) -> AsyncGenerator[Feed]:
    """Read messages as a client hands them over, and put a context among them."""
    at = events()[-1].at
    counter = EstimatedTokens()

    async def feed(odd: Odd) -> bool:
        messages: Any = [_message(odd) for _ in range(odd.random.randrange(6))]
        said = odd.text(3)
        context = Context(
            user_id="u",
            stable=said,
            volatile=odd.text(1),
            known=True,
            language="en",
            tokens=counter.count(said),
            stable_tokens=1,
            version=1,
            evidence=(),
        )
        room = Room(counter, odd.random.randrange(40))
        room.take_listed(said, odd.text(1))
        placed = place_context(messages, context)
        last_question(messages)
        assert len(placed) == len(messages) + bool(context.stable) + bool(context.volatile), "each part once"
        own_turns("u", messages, conversation_id=odd.random.choice((None, "c")), at=at)
        return False

    yield feed


@asynccontextmanager
async def _contexts(folder: Path) -> AsyncGenerator[Feed]:
    """Ask for contexts, personalise messages and listen to them; no context is longer than it may be."""
    async with staged(folder) as limner:
        for user_id in ("user-0", "user-1"):
            await limner.profile(user_id)

        async def feed(odd: Odd) -> bool:
            draw = odd.random
            user_id = draw.choice(("user-0", "user-1", "user-2", "nobody", odd.text(1)))
            most = draw.choice((1, 40, 41, 90, 400, 3000))
            kind = draw.randrange(10)
            if kind < 6:
                told = await limner.context(
                    user_id, odd.text(6) if odd.chance(0.8) else None, max_tokens=most
                )
                assert told.tokens <= most, f"{told.tokens} tokens, {most} were allowed"
            elif kind < 9:
                await limner.personalise(
                    [_plain(odd) for _ in range(draw.randrange(4))], user_id=user_id, max_tokens=most
                )
            else:
                await limner.listen(f"u{draw.randrange(50)}", [_plain(odd) for _ in range(draw.randrange(4))])
            return False

        yield feed


def _plain(odd: Odd) -> dict[str, Any]:
    return {"role": odd.random.choice(("user", "assistant", "system", "tool")), "content": odd.text(6)}


def _message(odd: Odd) -> Any:
    parts = [{"type": "text", "text": odd.text(2)}, odd.value(1)]
    whole = {
        "role": odd.random.choice(("user", "assistant", "system")),
        "content": odd.text(5) if odd.chance(0.7) else parts,
    }
    return odd.spoilt(whole, 0.1) if odd.chance(0.3) else whole


TARGETS = (
    Target(name="the screen", share=4, open=_screened, refusals=()),
    Target(name="what people say", share=4, open=_understood, refusals=()),
    Target(name="chat turns", share=6, open=_turns, refusals=(InputError,)),
    Target(name="contexts", share=0.5, open=_contexts),
)
