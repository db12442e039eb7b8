"""Pairs: a user profile and an item profile written for each other by the same graph."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from limner.agents.drawing import Drawing
from limner.agents.pairing.pair_form import PairDraft
from limner.models import Rollout
from limner.records import Interaction, Item
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Script, Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]

SPANS = [
    "user_cue",
    "user_instruction",
    "user_profile",
    "item_cue",
    "item_instruction",
    "item_profile",
]


async def log_of(drawing: Drawing) -> list[Rollout]:
    return [rollout async for batch in drawing.deps.store.rollouts() for rollout in batch]


def mute(request: ChatRequest) -> Scripted:
    """Write nothing that can be used."""
    return "{}"


def spans(**changes: str) -> Callable[[ChatRequest], Scripted]:
    """A model that notes nothing and writes these spans."""
    written = {
        "user_cue": "roses",
        "user_instruction": "Say what roses mean to the person.",
        "user_profile": "Enjoys gardening with roses. Enjoys gardening with compost.",
        "item_cue": "dinghies",
        "item_instruction": "Say whom dinghies suit.",
        "item_profile": "Suits lovers of dinghies. Is made for sailing.",
        **changes,
    }

    def answer(request: ChatRequest) -> Scripted:
        return {"cues": []} if request.purpose == "extract_cues" else written

    return answer


def test_the_user_side_comes_first() -> None:
    assert list(PairDraft.model_fields) == SPANS


@pytest.mark.parametrize("style", ["free", "lexicon"])
async def test_six_spans_are_asked_for_in_one_completion(
    open_drawing: Open, later: datetime, style: str
) -> None:
    chat = ScriptedChat(spans())
    drawing = await open_drawing(chat, style=style, drafting={"rounds": 0})

    await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    schemas = [r.json_schema for r in chat.requests if r.purpose == "draft_pair"]
    assert len(schemas) == 4
    for schema in schemas:
        assert schema is not None
        assert list(schema["properties"]) == schema["required"] == SPANS


async def test_a_pair_says_what_the_model_wrote_and_why_with_evidence_on_both_sides(
    open_drawing: Open, later: datetime
) -> None:
    drawing = await open_drawing(ScriptedChat(spans()), drafting={"rounds": 0})

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    if pair.source == "model":
        assert pair.user.profile == "Enjoys gardening with roses. Enjoys gardening with compost."
        assert (pair.user.cue, pair.item.cue) == ("roses", "dinghies")
    assert pair.reasons
    mine = {f"ada-0{day}" for day in range(9)}
    for reason in pair.reasons:
        assert reason.user_evidence and set(reason.user_evidence) <= mine
        assert reason.item_evidence and set(reason.item_evidence) <= {"bo-01", "cleo-00"}
    assert -1.0 <= pair.affinity <= 1.0
    assert await drawing.deps.store.pair("ada", "sailing-0") == pair


async def test_the_expected_rating_is_the_damped_mean_of_both_sides(
    open_drawing: Open, later: datetime
) -> None:
    drawing = await open_drawing(None)

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    # Everybody gave ten fives and two ones: mean 52 / 12, ada's own is the same. bo and cleo gave the item
    # two fives: 2 / (2 + 5) of their distance to the mean.
    assert pair.expected_rating == pytest.approx(52 / 12 + (5 - 52 / 12) * 2 / 7)


async def test_a_user_profile_that_spells_the_items_title_scores_the_floor(
    open_drawing: Open, later: datetime
) -> None:
    leaky = "Enjoys gardening with roses. Will love the Complete Dinghies Handbook of gardening with roses."
    drawing = await open_drawing(ScriptedChat(spans(user_profile=leaky)), drafting={"rounds": 0})

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    drafts = {r.round: r.rewards["total"] for r in await log_of(drawing)}
    assert drafts[0] == -1.0
    assert pair.source == "extractive"
    assert "Dinghies Handbook" not in pair.user.profile


async def test_what_the_user_thinks_of_the_item_reaches_no_draft_of_the_pair(
    open_drawing: Open, paint: Script, events: list[Interaction], later: datetime
) -> None:
    told = events[0].model_copy(update={"text": "The canaryreview of my roses handbook."})
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, events=[told, *events[1:]])

    pair = await drawing.pair("ada", "gardening-0", as_of=later, budget=Budget())

    assert chat.requests
    assert not any("canary" in message.content for r in chat.requests for message in r.messages)
    cited = {event_id for r in pair.reasons for event_id in (*r.user_evidence, *r.item_evidence)}
    assert cited and "ada-00" not in cited


@pytest.mark.parametrize("style", ["free", "lexicon"])
async def test_an_item_that_nobody_used_is_paired_without_item_evidence(
    open_drawing: Open, paint: Script, later: datetime, style: str
) -> None:
    drawing = await open_drawing(ScriptedChat(paint if style == "free" else mute), style=style)

    pair = await drawing.pair("ada", "plain-0", as_of=later, budget=Budget())

    assert pair.user.profile and pair.item.profile
    assert all(reason.user_evidence and reason.item_evidence == () for reason in pair.reasons)
    assert "item_rank" not in pair.reward_terms


async def test_without_a_model_both_sides_are_extractive(open_drawing: Open, later: datetime) -> None:
    drawing = await open_drawing(None)

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert (pair.source, pair.model, pair.usage.calls) == ("extractive", None, 0)
    assert pair.notes == ("drawn without a language model",)
    assert "dinghies" in pair.item.profile and "dinghies" not in pair.user.profile
    assert pair.reasons and all(reason.user_evidence for reason in pair.reasons)


async def test_an_empty_span_makes_the_draft_unreadable(open_drawing: Open, later: datetime) -> None:
    drawing = await open_drawing(ScriptedChat(spans(item_instruction="  ")), drafting={"rounds": 0})

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert pair.source == "extractive"
    drafts = [r for r in await log_of(drawing) if r.round == 0]
    assert {r.rewards["total"] for r in drafts} == {-1.0}


async def test_a_sentence_without_support_is_left_out_on_both_sides(
    open_drawing: Open, later: datetime
) -> None:
    mixed = spans(
        user_profile="Enjoys gardening with roses. Owns forty submarines.",
        item_profile="Suits lovers of dinghies. Needs unicorn saddles.",
    )
    blind = {"rank": 0.0, "emb": 0.0, "ground": 0.0, "length": 0.0, "boiler": 0.0}
    drawing = await open_drawing(ScriptedChat(mixed), drafting={"rounds": 0}, reward=blind)

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert pair.source == "model"
    assert pair.user.profile == "Enjoys gardening with roses."
    assert pair.item.profile == "Suits lovers of dinghies."
    assert not any("submarines" in reason.text or "unicorn" in reason.text for reason in pair.reasons)


async def test_revisions_of_a_pair_see_the_earlier_attempt_and_the_advice(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, drafting={"accept": 2.0})

    await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    prompts = [r.messages[-1].content for r in chat.requests if r.purpose == "draft_pair"]
    assert len(prompts) == 6
    assert sum("A critic says: " in prompt for prompt in prompts) == 2
    assert {(r.round, r.item_id) for r in await log_of(drawing)} == {(n, "sailing-0") for n in (-1, 0, 1)}


async def test_the_users_own_words_about_the_item_are_not_evidence_of_its_side(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat)

    pair = await drawing.pair("bo", "sailing-0", as_of=later, budget=Budget())

    cited = {event_id for reason in pair.reasons for event_id in reason.item_evidence}
    assert cited == {"cleo-00"}


async def test_held_back_fans_of_an_item_grade_its_side(
    open_drawing: Open, paint: Script, events: list[Interaction], items: list[Item], later: datetime
) -> None:
    fans = [
        Interaction(user_id=user, item_id="plain-0", kind="click", at=later - timedelta(days=9 - place))
        for place, user in enumerate(("bo", "cleo", "dan"))
    ]
    drawing = await open_drawing(ScriptedChat(paint), events=[*events, *fans])

    pair = await drawing.pair("ada", "plain-0", as_of=later, budget=Budget())

    assert 0.0 < pair.reward_terms["item_rank"] <= 1.0  # dan, the last of three, is held back


PLANTED = {
    "rating": "Would give it 4.5 out of 5.",
    "title": "Owns the Complete Dinghies Handbook.",
    "verdict": "Will probably love it.",
    "kind refusal": "It is not for this person.",
}


@pytest.mark.parametrize("side", ["user_profile", "item_profile", "user_cue", "item_instruction"])
@pytest.mark.parametrize("planted", PLANTED)
async def test_what_smuggles_the_answer_scores_the_floor_wherever_it_stands(
    open_drawing: Open, later: datetime, side: str, planted: str
) -> None:
    honest = {"user_profile": "Enjoys gardening with roses.", "item_profile": "Suits lovers of dinghies."}
    smuggled = spans(**{**honest, side: f"{honest.get(side, 'roses.')} {PLANTED[planted]}"})
    drawing = await open_drawing(ScriptedChat(smuggled), drafting={"rounds": 0, "drafts": 1})

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    [draft] = [rollout for rollout in await log_of(drawing) if rollout.round == 0]
    assert (draft.rewards["leak"], draft.rewards["total"]) == (1.0, -1.0)
    assert PLANTED[planted] not in f"{pair.user} {pair.item}"


async def test_words_of_praise_in_reviews_name_no_interest(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    praised = [
        event.model_copy(update={"text": "Perfect, five stars, highly recommended, perfect love."})
        for event in events
    ]
    drawing = await open_drawing(None, events=praised)

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    written = f"{pair.user} {pair.item} {pair.because}".casefold()
    assert not any(word in written for word in ("perfect", "stars", "love ", "recommended,"))
    assert pair.reward_terms["leak"] == 0.0


@pytest.mark.parametrize("style", ["free", "lexicon"])
async def test_an_item_with_little_but_a_title_is_told_without_spelling_it(
    open_drawing: Open, items: list[Item], later: datetime, style: str
) -> None:
    bare = Item(item_id="bare", title="Maple Syrup", categories=("lamps",))
    drawing = await open_drawing(None, items=[*items, bare], style=style)

    pair = await drawing.pair("ada", "bare", as_of=later, budget=Budget())

    assert pair.reward_terms["leak"] == 0.0
    assert ("maple" in pair.item.profile) != ("syrup" in pair.item.profile)
