"""Budgets hold in one run and over a batch, and what was spent is told."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from limner.agents.drawing import Drawing
from limner.errors import BudgetExceededError
from limner.records import Usage
from limner.sections import BudgetSettings
from limner.tools.budget import Budget
from limner.tools.scripted import Script, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]


@pytest.mark.parametrize("calls", [1, 2, 3, 5])
async def test_a_run_never_makes_more_calls_than_allowed_and_still_gives_a_portrait(
    open_drawing: Open, paint: Script, later: datetime, calls: int
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat)

    profile = await drawing.profile("ada", as_of=later, budget=Budget(BudgetSettings(calls=calls)))

    assert len(chat.requests) == calls
    assert profile.usage.calls == calls
    assert profile.claims
    assert any(f"budget of {calls} calls" in note for note in profile.notes)
    assert profile.fingerprint.startswith("incomplete:")


@pytest.mark.parametrize("tokens", [50, 700, 1500, 4000])
async def test_a_run_never_uses_more_tokens_than_allowed(
    open_drawing: Open, paint: Script, later: datetime, tokens: int
) -> None:
    budget = Budget(BudgetSettings(tokens=tokens))
    drawing = await open_drawing(ScriptedChat(paint))

    profile = await drawing.profile("ada", as_of=later, budget=budget)

    assert profile.usage == budget.spent
    assert profile.usage.tokens <= tokens
    assert profile.claims


async def test_runs_that_share_a_budget_stay_within_it_together(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat, budget = ScriptedChat(paint), Budget(BudgetSettings(calls=3))
    drawing = await open_drawing(chat)

    first = await drawing.profile("ada", as_of=later, budget=budget)
    second = await drawing.profile("bo", as_of=later, budget=budget)

    assert len(chat.requests) == 3
    assert Usage.total([first.usage, second.usage]) == budget.spent
    assert second.source == "extractive" and second.usage.calls == 0
    with pytest.raises(BudgetExceededError, match="budget of 3 calls"):
        budget.check()


async def test_what_a_small_budget_left_out_is_drawn_with_the_next_without_paying_twice(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, drafting={"rounds": 0})
    poor = await drawing.profile("ada", as_of=later, budget=Budget(BudgetSettings(calls=4)))

    rich = await drawing.profile("ada", as_of=later, budget=Budget())

    # Two batches of notes and four drafts in all; the first run made two of the drafts.
    assert poor.usage.calls == 4
    assert (rich.usage.calls, rich.usage.cached_calls) == (2, 2)
    assert len(chat.requests) == 6
    assert not rich.fingerprint.startswith("incomplete:")


async def test_the_price_of_the_next_item_question_is_on_the_profile(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat, budget = ScriptedChat(paint), Budget()
    drawing = await open_drawing(chat, reward={"text": 1.0}, drafting={"rounds": 0})

    profile = await drawing.profile("ada", as_of=later, budget=budget)

    assert {request.purpose for request in chat.requests} >= {"choose_next"}
    assert profile.usage.calls == budget.spent.calls == len(chat.requests)
    assert profile.usage.tokens == budget.spent.tokens
