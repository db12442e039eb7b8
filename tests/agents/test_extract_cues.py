"""Cues are extracted once: a redraw asks about what became visible since, and about nothing else."""

import json
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from limner.agents.drawing import Drawing
from limner.errors import ModelUnavailableError
from limner.models import Cue
from limner.records import Interaction, Usage
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Script, Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]
CuesOf = Callable[[Drawing, str], Awaitable[list[Cue]]]


def entries_asked_about(chat: ScriptedChat) -> list[list[str]]:
    """The entries of each cue request, by their short names."""
    return [
        re.findall(r"^(e\d+):", request.messages[-1].content, re.MULTILINE)
        for request in chat.requests
        if request.purpose == "extract_cues"
    ]


def next_event(events: list[Interaction], later: datetime) -> Interaction:
    return events[0].model_copy(
        update={"event_id": "ada-new", "item_id": "chess-0", "at": later - timedelta(days=1)}
    )


async def test_the_first_drawing_notes_every_visible_entry_in_batches(
    open_drawing: Open, cues_of: CuesOf, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat)

    await drawing.profile("ada", as_of=later, budget=Budget())

    # Twelve events less the three held back, eight a call.
    assert entries_asked_about(chat) == [["e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"], ["e9"]]
    cues = await cues_of(drawing, "user:ada")
    assert {event_id for cue in cues for event_id in cue.evidence} == {f"ada-0{day}" for day in range(9)}
    assert {cue.polarity for cue in cues if cue.evidence == ("ada-03",)} == {"dislike"}  # rated 1 of 5


async def test_one_new_event_asks_about_the_one_that_became_visible(
    open_drawing: Open, paint: Script, events: list[Interaction], later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat)
    first = await drawing.profile("ada", as_of=later, budget=Budget())
    chat.requests.clear()

    await drawing.deps.store.record([next_event(events, later)])
    second = await drawing.profile("ada", as_of=later, budget=Budget())

    # The new event is held back; what was the first of the held-back ones is shown: e10.
    assert entries_asked_about(chat) == [["e10"]]
    assert (second.version, second.parent_version) == (first.version + 1, first.version)
    assert second.recent[0].event_id == "ada-new"


async def test_nothing_new_costs_no_call_and_keeps_the_version(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat)
    first = await drawing.profile("ada", as_of=later, budget=Budget())
    asked = len(chat.requests)

    again = await drawing.profile("ada", as_of=later + timedelta(days=3), budget=Budget())

    assert again == first
    assert len(chat.requests) == asked
    assert await drawing.deps.store.profile_versions("ada") == [first]


async def test_another_model_draws_a_new_version_from_notes_of_its_own(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    drawing = await open_drawing(ScriptedChat(paint, name="one"))
    first = await drawing.profile("ada", as_of=later, budget=Budget())
    other = ScriptedChat(paint, name="two")
    drawing = await open_drawing(other)

    second = await drawing.profile("ada", as_of=later, budget=Budget())

    assert (second.version, second.parent_version) == (2, 1)
    assert first.fingerprint != second.fingerprint
    assert len(entries_asked_about(other)) == 2


@pytest.mark.parametrize("changed", [{"drafting": {"drafts": 2}}, {"critic": {"max_words": 50}}])
async def test_another_setting_draws_a_new_version(
    open_drawing: Open, paint: Script, later: datetime, changed: dict[str, dict[str, int]]
) -> None:
    drawing = await open_drawing(ScriptedChat(paint))
    first = await drawing.profile("ada", as_of=later, budget=Budget())
    drawing = await open_drawing(ScriptedChat(paint), **changed)

    second = await drawing.profile("ada", as_of=later, budget=Budget())

    assert (first.version, second.version, second.parent_version) == (1, 2, 1)


async def test_a_note_on_an_entry_that_was_not_shown_is_dropped(
    open_drawing: Open, cues_of: CuesOf, paint: Script, later: datetime
) -> None:
    def inventive(request: ChatRequest) -> Scripted:
        if request.purpose != "extract_cues":
            return paint(request)
        note = {"theme": "Space  Travel", "polarity": "like", "note": "invented"}
        return {"cues": [{"ref": ref, **note} for ref in ("e77", "ada-00", "e2")]}

    drawing = await open_drawing(ScriptedChat(inventive))

    await drawing.profile("ada", as_of=later, budget=Budget())

    cues = await cues_of(drawing, "user:ada")
    invented = [(cue.facet, cue.evidence) for cue in cues if cue.text == "invented"]
    assert invented == [("space travel", ("ada-01",))]  # the second batch shows e9 alone
    cited = {event_id for cue in cues for event_id in cue.evidence}
    assert cited == {f"ada-0{day}" for day in range(9)}  # the rest is cued without the model


async def test_notes_that_cannot_be_read_are_asked_for_again_and_then_done_without(
    open_drawing: Open, cues_of: CuesOf, paint: Script, later: datetime
) -> None:
    def mumbling(request: ChatRequest) -> Scripted:
        return "no json here" if request.purpose == "extract_cues" else paint(request)

    chat = ScriptedChat(mumbling)
    drawing = await open_drawing(chat)

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert len(entries_asked_about(chat)) == 4  # two batches, each asked twice
    assert profile.source == "model" and profile.claims
    assert any(
        note.startswith("extract_cues: model='scripted' gave no usable answer") for note in profile.notes
    )
    assert await cues_of(drawing, "user:ada") == []
    assert profile.usage.calls == len(chat.requests)


async def test_notes_with_a_broken_end_are_repaired(
    open_drawing: Open, cues_of: CuesOf, paint: Script, later: datetime
) -> None:
    def hasty(request: ChatRequest) -> Scripted:
        answer = paint(request)
        return f"```json\n{json.dumps(answer)[:-1]}" if request.purpose == "extract_cues" else answer

    chat = ScriptedChat(hasty)
    drawing = await open_drawing(chat)

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert len(entries_asked_about(chat)) == 2
    assert profile.notes == ()
    assert {cue.text.split()[0] for cue in await cues_of(drawing, "user:ada")} == {"cares"}


async def test_a_model_that_fails_for_notes_still_draws_and_is_asked_again_with_the_next_drawing(
    open_drawing: Open, cues_of: CuesOf, paint: Script, events: list[Interaction], later: datetime
) -> None:
    ill = True

    def flaky(request: ChatRequest) -> Scripted:
        broken = ModelUnavailableError("scripted", 4, "refused")
        return broken if ill and request.purpose == "extract_cues" else paint(request)

    drawing = await open_drawing(ScriptedChat(flaky))

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert profile.source == "model"
    assert [note.partition(":")[0] for note in profile.notes] == ["extract_cues"]

    ill = False
    await drawing.deps.store.record([next_event(events, later)])
    await drawing.profile("ada", as_of=later, budget=Budget())
    cited = {event_id for cue in await cues_of(drawing, "user:ada") for event_id in cue.evidence}
    assert cited == {f"ada-{day:02}" for day in range(10)}


async def test_only_the_newest_entries_of_a_long_history_are_read_by_the_model(
    open_drawing: Open, cues_of: CuesOf, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, drafting={"cue_history": 4, "cue_batch": 2})

    await drawing.profile("ada", as_of=later, budget=Budget())

    assert entries_asked_about(chat) == [["e6", "e7"], ["e8", "e9"]]
    cues = await cues_of(drawing, "user:ada")
    assert {event_id for cue in cues for event_id in cue.evidence} == {f"ada-0{day}" for day in range(9)}


async def test_interactions_by_others_are_noted_once_for_all_pairs_of_an_item(
    open_drawing: Open, paint: Script, later: datetime, tmp_path: Path
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat)
    await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())
    chat.requests.clear()

    await drawing.pair("dan", "sailing-0", as_of=later, budget=Budget())

    subjects = [request.messages[0].content for request in chat.requests if request.purpose == "extract_cues"]
    assert len(subjects) == 2  # dan's own entries in two batches; bo's and cleo's are known
    assert all("a person's own entries" in subject for subject in subjects)


async def test_the_usage_of_a_profile_is_that_of_its_notes_and_its_drafts(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat, budget = ScriptedChat(paint), Budget()
    drawing = await open_drawing(chat)

    profile = await drawing.profile("ada", as_of=later, budget=budget)

    rollouts = [rollout async for batch in drawing.deps.store.rollouts() for rollout in batch]
    drafted = Usage.total(rollout.usage for rollout in rollouts)
    assert profile.usage == budget.spent
    assert profile.usage.calls == drafted.calls + 2  # two batches of notes
    assert profile.usage.tokens > drafted.tokens
