"""The dry run of cards: what it says, and that it neither asks nor writes."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import pytest

from limner.agents.cards.card_estimate import estimate_cards
from limner.agents.cards.describe_items import Describing
from limner.agents.drawing import Drawing
from limner.records import Item
from limner.streaming import bounded
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]


def describe_plainly(request: ChatRequest) -> Scripted:
    """Answer either form."""
    parts = {
        "liked_by": "All about gardening.",
        "disliked_by": "All about sailing.",
        "reasoning": "Complete.",
        "feature": "Complete handbook.",
    }
    if request.purpose != "describe_items":
        return parts
    assert request.json_schema is not None
    return dict.fromkeys(request.json_schema["properties"], parts)


@pytest.mark.parametrize(("form", "calls"), [("batched", 6), ("chain", 123)])
async def test_the_estimate_counts_the_calls_that_are_made(
    open_drawing: Open, items: list[Item], later: datetime, form: str, calls: int
) -> None:
    twins = [
        Item(item_id=f"zz{number}", title="Rose soap", categories=("soap",), description="Soft rose soap.")
        for number in range(3)
    ]
    catalogue = [*items, *twins, Item(item_id="zzz")]
    chat = ScriptedChat(describe_plainly)
    drawing = await open_drawing(chat, items=catalogue, cards={"form": form})
    deps = replace(drawing.deps, budget=Budget())
    ids = [*(item.item_id for item in catalogue), "nobody"]

    before = await estimate_cards(deps, ids, as_of=later, price=lambda read, written: read + written)

    # 40 items and one card for three soaps: ⌈41 / 8⌉ = 6 calls, or 3 · 41; one has no text, one is unknown.
    assert chat.requests == [] and await deps.store.item_cards(ids, as_of=later) == {}
    describing = Describing(deps, later)
    async for _ in bounded(describing.jobs(ids), describing.work, 2):
        pass
    after = await estimate_cards(deps, ids, as_of=later, price=None)

    assert before.calls == len(chat.requests) == calls
    assert (before.items, before.shared, before.skipped, before.up_to_date) == (41, 2, 2, 0)
    assert before.cost == before.prompt_tokens + before.completion_tokens > 0
    assert (after.items, after.calls, after.up_to_date, after.cost) == (0, 0, 43, None)


async def test_without_a_model_cards_cost_no_call(
    open_drawing: Open, items: list[Item], later: datetime
) -> None:
    drawing = await open_drawing(None)

    estimate = await estimate_cards(drawing.deps, [item.item_id for item in items], as_of=later, price=None)

    assert (estimate.items, estimate.calls, estimate.prompt_tokens) == (len(items), 0, 0)
