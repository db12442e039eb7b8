"""Drafting and revision: how many are asked for, when it stops, and what is kept of each draft."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime

from limner.agents.drawing import Drawing
from limner.models import Rollout
from limner.sections import BudgetSettings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest, ChatResult
from limner.tools.scripted import Script, Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]


async def log_of(drawing: Drawing) -> list[Rollout]:
    return [rollout async for batch in drawing.deps.store.rollouts() for rollout in batch]


def asked(chat: ScriptedChat) -> Counter[str]:
    return Counter(request.purpose for request in chat.requests)


class Together(ScriptedChat):
    """Answers drafts only when four of them are under way."""

    async def complete(self, request: ChatRequest, budget: Budget) -> ChatResult:
        """Wait for the others, then answer."""
        if request.purpose == "draft_profile":
            await self.barrier.wait()
        return await super().complete(request, budget)

    barrier = asyncio.Barrier(4)


async def test_all_first_drafts_are_under_way_at_once(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = Together(paint)
    drawing = await open_drawing(chat)

    async with asyncio.timeout(20):
        await drawing.profile("ada", as_of=later, budget=Budget())

    seeds = [request.seed for request in chat.requests if request.purpose == "draft_profile"]
    assert sorted(seed for seed in seeds if seed is not None) == [0, 1, 2, 3]


async def test_an_accepted_draft_is_not_revised(open_drawing: Open, paint: Script, later: datetime) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, drafting={"accept": 0.0, "rounds": 5})

    await drawing.profile("ada", as_of=later, budget=Budget())

    assert asked(chat) == {"extract_cues": 2, "draft_profile": 4}


async def test_revision_ends_with_the_rounds(open_drawing: Open, paint: Script, later: datetime) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, drafting={"accept": 2.0, "rounds": 2, "min_gain": 0.0})

    await drawing.profile("ada", as_of=later, budget=Budget())

    assert asked(chat) == {"extract_cues": 2, "draft_profile": 4, "revise_profile": 4}


async def test_revision_ends_with_the_first_round_that_gains_nothing(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    def stubborn(request: ChatRequest) -> Scripted:
        return "I will not." if request.purpose == "revise_profile" else paint(request)

    chat = ScriptedChat(stubborn)
    drawing = await open_drawing(chat, drafting={"accept": 2.0, "rounds": 9})

    await drawing.profile("ada", as_of=later, budget=Budget())

    assert asked(chat)["revise_profile"] == 2


async def test_revision_ends_with_the_budget_and_the_best_draft_is_published(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, drafting={"accept": 2.0, "rounds": 9, "min_gain": 0.0})

    profile = await drawing.profile("ada", as_of=later, budget=Budget(BudgetSettings(calls=7)))

    assert asked(chat) == {"extract_cues": 2, "draft_profile": 4, "revise_profile": 1}
    assert profile.text and profile.usage.calls == 7
    assert any("budget of 7 calls" in note for note in profile.notes)


async def test_no_rounds_publish_the_best_first_draft(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, drafting={"rounds": 0})

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    best = max(rollout.rewards["total"] for rollout in await log_of(drawing))
    assert asked(chat)["revise_profile"] == 0
    assert profile.reward == best


async def test_the_revision_prompt_shows_the_best_draft_and_the_critics_words(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, drafting={"accept": 2.0})

    await drawing.profile("ada", as_of=later, budget=Budget())

    [prompt] = {r.messages for r in chat.requests if r.purpose == "revise_profile"}
    first = [rollout for rollout in await log_of(drawing) if rollout.round == 0]
    best = max(first, key=lambda rollout: rollout.rewards["total"])
    assert all(f"- {facet.text}" in prompt[-1].content for facet in best.facets)
    assert "A critic says: " in prompt[-1].content


async def test_every_draft_is_logged_with_its_rewards_and_exactly_one_is_selected(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    def uneven(request: ChatRequest) -> Scripted:
        return "not a draft" if request.seed == 2 else paint(request)

    chat = ScriptedChat(uneven)
    drawing = await open_drawing(chat, drafting={"accept": 2.0})

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    rollouts = await log_of(drawing)
    places = [(rollout.round, rollout.draft_ix) for rollout in rollouts]
    assert sorted(places) == [(-1, 0), (0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    assert all(-1.0 <= rollout.rewards["total"] <= 1.0 for rollout in rollouts)
    [selected] = [rollout for rollout in rollouts if rollout.selected]
    assert (selected.profile_text, selected.rewards["total"]) == (profile.text, profile.reward)
    assert [rollout.selection_propensity for rollout in rollouts] == [
        float(rollout.selected) for rollout in rollouts
    ]
    assert len({rollout.rollout_id for rollout in rollouts}) == 7
    assert len({rollout.run_id for rollout in rollouts}) == 1


async def test_the_floor_has_no_prompt_and_the_others_have_theirs(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, drafting={"accept": 2.0})

    await drawing.profile("ada", as_of=later, budget=Budget())

    by_round = {rollout.round: rollout for rollout in await log_of(drawing)}
    assert {number: rollout.prompt_id for number, rollout in by_round.items()} == {
        -1: "extractive",
        0: "draft_profile",
        1: "revise_profile",
    }
    assert by_round[-1].messages == () and by_round[-1].usage.calls == 0
    sent = {request.messages for request in chat.requests}
    assert by_round[0].messages in sent and by_round[1].messages in sent


async def test_a_draft_that_cannot_be_read_keeps_its_words_and_scores_the_floor(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    def uneven(request: ChatRequest) -> Scripted:
        return "I like cats." if request.seed == 2 else paint(request)

    drawing = await open_drawing(ScriptedChat(uneven))

    await drawing.profile("ada", as_of=later, budget=Budget())

    [unread] = [r for r in await log_of(drawing) if (r.round, r.draft_ix) == (0, 2)]
    assert (unread.completion, unread.profile_text, unread.facets) == ("I like cats.", "", ())
    assert unread.rewards == {"malformed": 1.0, "total": -1.0}
    assert unread.usage.calls == 1


async def test_rewards_compare_within_a_round_and_not_across(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    drawing = await open_drawing(ScriptedChat(paint), drafting={"accept": 2.0})

    await drawing.profile("ada", as_of=later, budget=Budget())
    await drawing.profile("bo", as_of=later, budget=Budget())

    keys: dict[tuple[str, int], set[str]] = {}
    for rollout in await log_of(drawing):
        keys.setdefault((rollout.user_id, rollout.round), set()).add(rollout.group_key)
    assert sorted(keys) == [("ada", -1), ("ada", 0), ("ada", 1), ("bo", -1), ("bo", 0), ("bo", 1)]
    assert all(len(found) == 1 for found in keys.values())
    assert len(set[str]().union(*keys.values())) == 6


async def test_an_answer_that_was_cut_off_still_counts_if_sentences_are_whole(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    def cut(request: ChatRequest) -> Scripted:
        if request.purpose != "draft_profile":
            return paint(request)
        whole = '{"evidence": ["e1"], "theme": "roses", "sentence": "Enjoys gardening with roses."}'
        text = f'{{"likes": [{whole}, {{"evidence": ["e2"], "theme": "astro'
        return ChatResult(text=text, finish_reason="length", model="scripted", usage=chat_usage)

    chat_usage = (await open_drawing()).deps.budget.spent
    drawing = await open_drawing(ScriptedChat(cut), drafting={"rounds": 0})

    await drawing.profile("ada", as_of=later, budget=Budget())

    first = [rollout for rollout in await log_of(drawing) if rollout.round == 0]
    assert {rollout.finish_reason for rollout in first} == {"length"}
    assert {rollout.profile_text for rollout in first} == {"Enjoys gardening with roses."}
