"""Dealt drafts: grounded, graded, of one group, and the same for the same seed."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from limner.agents.drawing import Drawing
from limner.agents.exploring import WRITER, explore
from limner.distill.log.groups import group_drafts
from limner.records import Interaction
from limner.tools.budget import Budget
from limner.tools.scripted import ScriptedChat

Open = Callable[..., Awaitable[Drawing]]


async def test_drafts_are_graded_without_a_model_and_make_one_group(
    open_drawing: Open, later: datetime
) -> None:
    chat = ScriptedChat([])
    drawing = await open_drawing(chat)
    deps = replace(drawing.deps, budget=Budget())

    found = await explore(deps, "ada", as_of=later, drafts=8, seed=1)

    assert not chat.requests
    assert 2 <= len(found) <= 8
    assert len({rollout.completion for rollout in found}) == len(found)
    assert {rollout.backend for rollout in found} == {WRITER}
    assert {rollout.prompt_id for rollout in found} == {"draft_plain"}
    assert all({"rank", "emb", "ground", "total"} <= set(rollout.rewards) for rollout in found)
    [group] = group_drafts(found, found[0].critic_version)
    assert len(group.drafts) == len(found)
    best = max(found, key=lambda rollout: rollout.rewards["total"])
    assert [rollout.rollout_id for rollout in found if rollout.selected] == [best.rollout_id]


async def test_what_they_say_is_visible_history_and_never_what_is_held_back(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    """Ada's last three days, 9 to 11, are held back: tulips are day 10, meteors 9 and planets 11."""
    drawing = await open_drawing(None)
    held = {f"ada-{day:02}" for day in (9, 10, 11)}

    found = await explore(drawing.deps, "ada", as_of=later, drafts=12, seed=3)

    assert set(found[0].held) == held
    for rollout in found:
        text = f"{rollout.completion} {rollout.messages[1].content}".casefold()
        assert not any(word in text for word in ("tulips", "meteors", "planets"))
        assert all(claim.evidence and held.isdisjoint(claim.evidence) for claim in rollout.claims)
        sentences = json.loads(rollout.completion)
        assert [*sentences["likes"], *sentences.get("dislikes", [])] == [f.text for f in rollout.facets]


async def test_a_seed_gives_the_same_drafts_at_any_moment_after_the_history(
    open_drawing: Open, later: datetime
) -> None:
    drawing = await open_drawing(None)
    one, two, other = [
        [rollout.rollout_id for rollout in await explore(drawing.deps, "bo", as_of=at, drafts=6, seed=seed)]
        for at, seed in ((later, 1), (later + timedelta(days=1), 1), (later, 2))
    ]

    assert one == two
    assert set(one).isdisjoint(other)


async def test_a_history_too_short_to_hold_anything_back_gives_nothing(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    drawing = await open_drawing(None, events=[*events[:2], *events[12:]])

    assert await explore(drawing.deps, "ada", as_of=later, drafts=4, seed=1) == []
