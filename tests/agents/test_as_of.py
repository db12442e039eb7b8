"""Nothing at or after `as_of`, and nothing the critic holds back, reaches what a model reads or writes."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from limner.agents.drawing import Drawing
from limner.agents.state import Style
from limner.evals.bench.loopback_server import fill
from limner.models import Cue, Rollout
from limner.records import Interaction, Item
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.embedder import HashingEmbedder
from limner.tools.scripted import Script, Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]
CuesOf = Callable[[Drawing, str], Awaitable[list[Cue]]]

CANARY = Item(
    item_id="future",
    title="Zanzibar canaryword gadget",
    categories=("gardening",),
    tags=("canarytag", "roses"),
    description="A canaryword thing.",
)


def planted(moment: datetime) -> list[Interaction]:
    """What must stay unseen: events at and after a moment, by the user, by others and by newcomers."""
    moments = (moment, moment + timedelta(microseconds=1), moment + timedelta(days=9))
    return [
        Interaction(
            event_id=f"planted-{user}-{number}",
            user_id=user,
            item_id=item,
            kind="review",
            at=at,
            rating=9.0,  # beyond the scale seen before: it would turn likes into dislikes
            text="The canaryreview says canaryword is bliss.",
        )
        for user in ("ada", "bo", "fay", "newcomer")
        for item in ("future", "sailing-0")
        for number, at in enumerate(moments)
    ]


def trace(chat: ScriptedChat) -> str:
    """Everything the model was sent, schemas included."""
    return "\n".join(
        json.dumps([[message.content for message in request.messages], request.json_schema])
        for request in chat.requests
    )


async def log_of(drawing: Drawing) -> list[Rollout]:
    return [rollout async for batch in drawing.deps.store.rollouts() for rollout in batch]


def by_schema(request: ChatRequest) -> Scripted:
    """Answer with the smallest value that fits; a pattern is met by its first choices."""
    if request.purpose == "judge_pair":
        return "4"
    assert request.json_schema is not None
    return json.dumps(fill(request.json_schema))


@pytest.mark.parametrize("style", ["free", "lexicon", "plain"])
async def test_a_planted_future_reaches_nothing(
    open_drawing: Open,
    paint: Script,
    embedder: HashingEmbedder,
    cues_of: CuesOf,
    events: list[Interaction],
    items: list[Item],
    later: datetime,
    style: Style,
) -> None:
    chat = ScriptedChat(paint if style == "free" else by_schema)
    drawing = await open_drawing(chat, style=style, events=[*events, *planted(later)], items=[*items, CANARY])

    profile = await drawing.profile("ada", as_of=later, budget=Budget())
    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert chat.requests
    assert "canary" not in trace(chat).casefold()
    cues = [*await cues_of(drawing, "user:ada"), *await cues_of(drawing, "item:sailing-0")]
    assert cues and "canary" not in str(cues).casefold()
    assert "canary" not in profile.model_dump_json().casefold()
    assert "canary" not in pair.model_dump_json().casefold()
    rollouts = await log_of(drawing)
    assert rollouts and "canary" not in str(rollouts).casefold()
    indexed = [CANARY.describe()]
    assert [text for text in embedder.texts if "canary" in text.casefold()] == indexed


@pytest.mark.parametrize("weight", [0.0, 1.0])
async def test_the_future_changes_no_number_and_no_word(
    open_drawing: Open,
    paint: Script,
    events: list[Interaction],
    items: list[Item],
    later: datetime,
    tmp_path: Any,
    weight: float,
) -> None:
    """Popularity, rating scale, audience, negatives and the next-item question are all bounded too."""
    seen: list[tuple[Any, ...]] = []
    for name, world in (("without", events), ("with", [*events, *planted(later)])):
        chat = ScriptedChat(paint)
        drawing = await open_drawing(
            chat, events=world, items=[*items, CANARY], folder=tmp_path / name, reward={"text": weight}
        )
        profile = await drawing.profile("ada", as_of=later, budget=Budget())
        pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())
        asked = sorted(map(repr, chat.requests))  # requests under way together have no order
        seen.append((profile, pair, await log_of(drawing), asked))

    assert seen[0] == seen[1]


async def test_held_back_interactions_are_shown_raw_and_nowhere_else(
    open_drawing: Open,
    paint: Script,
    embedder: HashingEmbedder,
    cues_of: CuesOf,
    events: list[Interaction],
    items: list[Item],
    later: datetime,
) -> None:
    last = max(event.at for event in events)
    held = Interaction(
        event_id="held",
        user_id="ada",
        item_id="future",
        kind="review",
        at=last + timedelta(days=1),
        rating=5.0,
        text="The canaryreview says it is bliss.",
    )
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, events=[*events, held], items=[*items, CANARY])

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert "canary" not in trace(chat).casefold()
    assert "canary" not in str(await cues_of(drawing, "user:ada")).casefold()
    rollouts = await log_of(drawing)
    assert "canary" not in str(rollouts).casefold()
    assert not any("held" in claim.evidence for rollout in rollouts for claim in rollout.claims)
    newest = profile.recent[0]
    assert (newest.event_id, newest.title) == ("held", "Zanzibar canaryword gadget")
    assert [text for text in embedder.texts if "canary" in text.casefold()] == [CANARY.describe()]


async def test_what_the_critic_of_a_pair_holds_back_of_the_item_reaches_no_prompt(
    open_drawing: Open, paint: Script, events: list[Interaction], later: datetime
) -> None:
    # Four other users and a third of them held back: the last one's words are the critic's.
    fans = [
        Interaction(
            event_id=f"fan-{user}",
            user_id=user,
            item_id="plain-0",
            kind="review",
            at=later - timedelta(days=9 - number),
            text=f"{word} light",
        )
        for number, (user, word) in enumerate(
            [("bo", "warm"), ("cleo", "bright"), ("dan", "gentle"), ("eve", "canaryreview")]
        )
    ]
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, events=[*events, *fans])

    pair = await drawing.pair("ada", "plain-0", as_of=later, budget=Budget())

    assert "gentle light" in trace(chat)
    assert "canary" not in trace(chat)
    assert pair.reward_terms["item_rank"] > 0


async def test_an_earlier_portrait_is_not_told_what_later_cues_say(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    """A note on an old entry may speak of newer ones that stood in the same request."""

    def gossip(request: ChatRequest) -> Scripted:
        if request.purpose != "extract_cues":
            return "nothing usable"
        shown = request.messages[-1].content
        newest = "nebulae" if "nebulae" in shown else "nothing new"
        return {
            "cues": [{"ref": "e1", "theme": "roses", "polarity": "like", "note": f"roses before {newest}"}]
        }

    chat = ScriptedChat(gossip)
    drawing = await open_drawing(chat)
    early = events[5].at  # ada's sixth event; her eighth is about nebulae
    await drawing.profile("ada", as_of=later, budget=Budget())
    assert "roses before nebulae" in trace(chat)
    chat.requests.clear()

    profile = await drawing.profile("ada", as_of=early, budget=Budget())

    assert chat.requests and "nebulae" not in trace(chat)
    assert {event.event_id for event in profile.recent} == {f"ada-0{day}" for day in range(5)}
    assert profile.as_of == early
    again = len(chat.requests)
    await drawing.profile("ada", as_of=later + timedelta(days=1), budget=Budget())
    purposes = {request.purpose for request in chat.requests[again:]}
    assert "extract_cues" not in purposes  # what was noted for the later portrait is still known
