"""Whole drawings by a model that answers anything: portraits, pairs, cards, recommendations."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from ...sections import BudgetSettings
from ...tools.budget import Budget
from ...tools.chat import ChatRequest
from ...tools.scripted import Scripted, ScriptedChat
from .odd import Odd
from .staged import USERS, staged
from .watched import Feed, Target

_CALLS = 6
_STYLES: tuple[Literal["free", "lexicon"], ...] = ("free", "lexicon")


class _AnyAnswer:
    """Answers a request: as its schema asks, spoilt, badly written, or not at all."""

    def __init__(self) -> None:
        self.odd = Odd(0, "", 0)

    def __call__(self, request: ChatRequest) -> Scripted:
        odd = self.odd
        asked: Mapping[str, Any] = request.json_schema or {"type": "string"}
        value = odd.spoilt(odd.filled(asked), 0.3)
        return odd.answer(odd.written(value)) if odd.chance(0.9) else odd.text()


@asynccontextmanager
async def _drawn(folder: Path) -> AsyncGenerator[Feed]:
    """Draw for somebody after one more event; budgets hold, and a portrait comes of it whatever the model says."""
    answers = _AnyAnswer()
    chat = ScriptedChat(answers, name="anything")
    async with (
        staged(folder / "free", chat=chat, drafting={"drafts": 1, "rounds": 1, "style": "free"}) as free,
        staged(
            folder / "lexicon", chat=chat, drafting={"drafts": 1, "rounds": 0, "style": "lexicon"}
        ) as lexicon,
    ):
        items = [item.item_id async for batch in free.doors.store.all_items() for item in batch]

        async def feed(odd: Odd) -> bool:
            draw = odd.random
            answers.odd = odd
            chat.requests.clear()
            limner, budget = draw.choice((free, lexicon)), Budget(BudgetSettings(calls=_CALLS))
            user_id, item_id = f"user-{draw.randrange(USERS)}", draw.choice(items)
            said = {"kind": "review", "item_id": item_id, "at": limner.now(), "text": odd.text(4) or None}
            await limner.record(user_id, [said])
            kind = draw.randrange(4)
            if kind < 2:
                told = await limner.profile(user_id, budget=budget)
                assert told.text, "a portrait says something"
            elif kind == 2:
                await limner.pair(user_id, item_id, budget=budget)
            else:
                _ = [one async for one in limner.cards([item_id, draw.choice(items)], budget=budget)]
            assert len(chat.requests) <= _CALLS, f"{len(chat.requests)} calls, {_CALLS} were allowed"
            return False

        yield feed


TARGETS = (Target(name="drawings", share=0.1, open=_drawn),)
