"""Whatever becomes of the model, a portrait is published and says what it is."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from limner.agents.drawing import Drawing
from limner.errors import ModelUnavailableError
from limner.models import Rollout
from limner.records import Interaction, Item
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Script, Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]


async def log_of(drawing: Drawing) -> list[Rollout]:
    return [rollout async for batch in drawing.deps.store.rollouts() for rollout in batch]


def down(request: ChatRequest) -> Scripted:
    return ModelUnavailableError("scripted", 4, "connection refused")


async def test_without_a_model_the_portrait_is_extractive_and_free(
    open_drawing: Open, later: datetime
) -> None:
    drawing = await open_drawing(None)

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert (profile.source, profile.model) == ("extractive", None)
    assert profile.notes == ("drawn without a language model",)
    assert profile.usage.calls == 0
    assert "gardening" in profile.text and "astronomy" in profile.text
    assert all(claim.evidence for claim in profile.claims)
    assert await drawing.profile("ada", as_of=later, budget=Budget()) == profile
    [floor] = await log_of(drawing)
    assert (floor.round, floor.selected, floor.backend) == (-1, True, "extractive")


async def test_the_same_history_gives_the_same_extractive_portrait(
    open_drawing: Open, later: datetime, tmp_path_factory: pytest.TempPathFactory
) -> None:
    texts = set[str]()
    for _ in range(2):
        drawing = await open_drawing(None, folder=tmp_path_factory.mktemp("store"))
        texts.add((await drawing.profile("bo", as_of=later, budget=Budget())).text)

    assert len(texts) == 1


async def test_a_model_that_always_fails_leaves_the_extractive_portrait_and_its_reason(
    open_drawing: Open, later: datetime
) -> None:
    drawing = await open_drawing(ScriptedChat(down))

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert profile.source == "extractive"
    assert profile.claims
    assert "draft_profile: model='scripted' failed 4 times, last: connection refused" in str(profile.notes)


async def test_after_a_failure_the_next_drawing_tries_again(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    ill = True

    def flaky(request: ChatRequest) -> Scripted:
        return down(request) if ill else paint(request)

    drawing = await open_drawing(ScriptedChat(flaky))
    first = await drawing.profile("ada", as_of=later, budget=Budget())
    assert first.fingerprint.startswith("incomplete:")

    ill = False
    second = await drawing.profile("ada", as_of=later, budget=Budget())

    assert (second.source, second.version, second.parent_version) == ("model", 2, 1)
    assert not second.fingerprint.startswith("incomplete:")
    assert await drawing.profile("ada", as_of=later, budget=Budget()) == second


async def test_each_attempt_logs_its_own_drafts_with_one_selected(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    ill = True

    def flaky(request: ChatRequest) -> Scripted:
        return down(request) if ill else paint(request)

    drawing = await open_drawing(ScriptedChat(flaky), drafting={"rounds": 0})
    await drawing.profile("ada", as_of=later, budget=Budget())
    ill = False
    await drawing.profile("ada", as_of=later, budget=Budget())

    runs: dict[str, list[Rollout]] = {}
    for rollout in await log_of(drawing):
        runs.setdefault(rollout.run_id, []).append(rollout)
    assert [len(run) for run in runs.values()] == [1, 5]  # the floor; then the floor and four drafts
    assert [sum(rollout.selected for rollout in run) for run in runs.values()] == [1, 1]


@pytest.mark.parametrize(
    "nonsense", ["", "I am a cat.", "[]", "{}", '{"likes": "yes"}', '{"likes": [{"a": 1}]}', "null", "{{{{"]
)
async def test_a_model_that_writes_nonsense_leaves_the_extractive_portrait_and_says_so(
    open_drawing: Open, later: datetime, nonsense: str
) -> None:
    drawing = await open_drawing(ScriptedChat(lambda _: nonsense), drafting={"drafts": 2})

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert profile.source == "extractive"
    assert "no model draft was usable; the extractive portrait is published" in profile.notes
    drafts = [rollout for rollout in await log_of(drawing) if rollout.round == 0]
    assert [(r.completion, r.rewards["total"]) for r in drafts] == [(nonsense, -1.0)] * 2


async def test_a_draft_in_a_fence_with_chatter_is_repaired(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    def chatty(request: ChatRequest) -> Scripted:
        return f"Sure! Here it is:\n```json\n{json.dumps(paint(request))}\n```\nAnything else?"

    drawing = await open_drawing(ScriptedChat(chatty), drafting={"rounds": 0})

    await drawing.profile("ada", as_of=later, budget=Budget())

    drafts = [rollout for rollout in await log_of(drawing) if rollout.round == 0]
    assert len(drafts) == 4
    assert all(rollout.facets for rollout in drafts)


async def test_a_worse_model_does_not_displace_the_extractive_portrait(
    open_drawing: Open, later: datetime
) -> None:
    """A draft that spells a rating is supported by its entry, and scores the floor of all rewards."""
    rating = {"evidence": ["e1"], "theme": "t", "sentence": "Enjoys gardening with roses, five stars."}

    def rate(request: ChatRequest) -> Scripted:
        return {"cues": []} if request.purpose == "extract_cues" else {"likes": [rating]}

    drawing = await open_drawing(ScriptedChat(rate))

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    rewards = {rollout.round: rollout.rewards["total"] for rollout in await log_of(drawing)}
    assert rewards[0] == -1.0 and rewards[-1] == profile.reward
    assert profile.source == "extractive"
    assert (
        "the critic grades the extractive portrait above every model draft; it is published" in profile.notes
    )
    assert not profile.fingerprint.startswith("incomplete:")  # the model had its say


async def test_one_message_without_any_known_word_still_gives_a_portrait(
    open_drawing: Open, later: datetime, items: list[Item]
) -> None:
    said = Interaction(
        event_id="m1", user_id="zoe", kind="message", at=later.replace(month=1), text="I adore marimba music."
    )
    drawing = await open_drawing(None, events=[said])

    profile = await drawing.profile("zoe", as_of=later, budget=Budget())

    assert "marimba" in profile.text
    assert [claim.evidence for claim in profile.claims] == [("m1",)]


async def test_a_sentence_about_dislikes_says_of_no_item_what_is_true_of_another(
    open_drawing: Open, events: list[Interaction], items: list[Item], later: datetime
) -> None:
    hated = [
        event.model_copy(update={"rating": 1.0, "event_id": f"hated-{item_id}", "item_id": item_id})
        for event, item_id in zip(
            [event for event in events if event.user_id == "ada"][:3],
            ("chess-0", "chess-1", "plain-0"),
            strict=True,
        )
    ]
    drawing = await open_drawing(None, events=[*events, *hated])

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    [told] = [claim for claim in profile.claims if claim.text in profile.dislikes]
    cited = {event_id.removeprefix("hated-") for event_id in told.evidence}
    assert "chess" in told.text and "lamp" not in told.text.casefold()
    assert cited == {"chess-0", "chess-1"}
