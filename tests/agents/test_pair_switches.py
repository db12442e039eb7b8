"""Parts of a pair that can be switched off, and what the prompts show."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from limner.agents.drawing import Drawing
from limner.errors import BudgetExceededError
from limner.records import Interaction
from limner.sections import BudgetSettings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]

SPANS = {
    "user_cue": "roses",
    "user_instruction": "Say what roses mean.",
    "user_profile": "Enjoys gardening with roses.",
    "item_cue": "dinghies",
    "item_instruction": "Say whom dinghies suit.",
    "item_profile": "Suits lovers of dinghies.",
}


def asked_for(request: ChatRequest) -> Scripted:
    """Write the spans that the schema asks for, and no more."""
    if request.purpose == "extract_cues":
        return {"cues": []}
    if request.json_schema is None:
        return "4"
    return {name: SPANS[name] for name in request.json_schema["properties"]}


def drafted(chat: ScriptedChat, purpose: str = "draft_pair") -> list[ChatRequest]:
    return [request for request in chat.requests if request.purpose == purpose]


@pytest.mark.parametrize("style", ["free", "lexicon"])
@pytest.mark.parametrize(
    ("off", "left"),
    [
        (("cue",), ["user_instruction", "user_profile", "item_instruction", "item_profile"]),
        (("instruction",), ["user_cue", "user_profile", "item_cue", "item_profile"]),
        (("cue", "instruction"), ["user_profile", "item_profile"]),
    ],
)
async def test_what_is_switched_off_is_in_no_schema_no_prompt_and_no_text(
    open_drawing: Open, later: datetime, style: str, off: tuple[str, ...], left: list[str]
) -> None:
    chat = ScriptedChat(asked_for)
    switches = dict.fromkeys(off, False)
    drawing = await open_drawing(chat, style=style, drafting={"rounds": 0}, pairing=switches)

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    for request in drafted(chat):
        assert request.json_schema is not None and list(request.json_schema["properties"]) == left
        system, user = (message.content for message in request.messages)
        assert ("name the cue" in system) == ("cue" not in off)
        assert ("tell yourself" in system) == ("instruction" not in off)
        assert f"Write the {len(left)} parts." in user
    assert drafted(chat) and pair.user.profile and pair.item.profile
    for side in (pair.user, pair.item):
        assert bool(side.cue) == ("cue" not in off)
        assert bool(side.instruction) == ("instruction" not in off)


async def test_a_span_that_is_on_and_missing_makes_the_draft_unreadable(
    open_drawing: Open, later: datetime
) -> None:
    def without_cue(request: ChatRequest) -> Scripted:
        answer = asked_for(request)
        return {n: t for n, t in answer.items() if n != "user_cue"} if isinstance(answer, dict) else answer

    drawing = await open_drawing(ScriptedChat(without_cue), drafting={"rounds": 0})

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert pair.source == "extractive"


@pytest.mark.parametrize("style", ["free", "lexicon"])
async def test_unpaired_sides_are_written_without_seeing_each_other(
    open_drawing: Open, later: datetime, style: str
) -> None:
    chat = ScriptedChat(asked_for)
    settings = {"drafting": {"rounds": 0, "drafts": 2}, "pairing": {"paired": False}}
    drawing = await open_drawing(chat, style=style, **settings)

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    sides = drafted(chat, "draft_side")
    assert len(sides) == 4 and not drafted(chat)
    for request in sides:
        assert request.json_schema is not None
        names = list(request.json_schema["properties"])
        shown = f"{request.messages[-1].content} {request.json_schema}".casefold()
        mine = all(name.startswith("user_") for name in names)
        assert mine or all(name.startswith("item_") for name in names)
        assert ("roses" in shown, "dinghies" in shown) == (mine, not mine)
    assert pair.prompt_versions["draft_side"] == 1


async def test_an_unpaired_side_is_written_once_for_all_its_pairs(
    open_drawing: Open, later: datetime
) -> None:
    chat = ScriptedChat(asked_for)
    settings = {"drafting": {"rounds": 0, "drafts": 2}, "pairing": {"paired": False}}
    drawing = await open_drawing(chat, **settings)

    await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())
    second = await drawing.pair("ada", "baking-0", as_of=later, budget=Budget())

    # Two drafts of ada's side serve both items: 2 + 2 + 2 requests.
    assert len(drafted(chat, "draft_side")) == 6
    assert second.usage.cached_calls >= 2


async def test_a_switch_changes_the_fingerprint_of_pairs_and_leaves_profiles_alone(
    open_drawing: Open, later: datetime
) -> None:
    profiles, pairs = set[str](), set[str]()
    for name in (None, "cue", "instruction", "paired"):
        drawing = await open_drawing(None, pairing={name: False} if name else {})
        profiles.add((await drawing.profile("ada", as_of=later, budget=Budget())).fingerprint)
        pairs.add((await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())).fingerprint)

    assert (len(profiles), len(pairs)) == (1, 4)


@pytest.mark.parametrize("style", ["free", "lexicon"])
async def test_the_last_ten_entries_of_both_sides_are_shown(
    open_drawing: Open, events: list[Interaction], later: datetime, style: str
) -> None:
    # Ada has 12 + 4 entries, of which three are held back: the last ten of thirteen are e4 to e13. Of eighteen
    # others' entries three are held back, and the last ten of fifteen are e6 to e15.
    more = [
        Interaction(user_id="ada", item_id=f"plain-{n}", kind="click", at=later - timedelta(days=20 - n))
        for n in range(4)
    ]
    fans = [
        Interaction(
            user_id=f"fan-{n:02}", item_id="chess-5", kind="click", at=later - timedelta(days=9, hours=n)
        )
        for n in range(16)
    ]
    chat = ScriptedChat(asked_for)
    drawing = await open_drawing(chat, style=style, events=[*events, *more, *fans])

    await drawing.pair("ada", "chess-5", as_of=later, budget=Budget())

    shown = drafted(chat)[0].messages[-1].content
    mine, theirs = shown.split("\nThe item: ")
    assert [f"e{n}" for n in range(4, 14)] == [line.split(":")[0] for line in mine.splitlines()[1:11]]
    assert [f"e{n}" for n in range(6, 16)] == [line.split(":")[0] for line in theirs.splitlines()[1:11]]


@pytest.mark.parametrize("limits", [{"calls": 5}, {"tokens": 300}])
async def test_a_budget_smaller_than_one_pass_is_refused_before_any_call(
    open_drawing: Open, later: datetime, limits: dict[str, int]
) -> None:
    # Two calls for notes on nine own entries, one on two others', a draft, a verdict and one on blank profiles: six;
    # a draft alone may take 700 tokens.
    chat = ScriptedChat(asked_for)
    drawing = await open_drawing(chat)

    with pytest.raises(BudgetExceededError, match=next(iter(limits))):
        await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget(BudgetSettings(**limits)))

    assert chat.requests == []
    assert await drawing.deps.store.pair("ada", "sailing-0") is None


async def test_a_pair_that_is_up_to_date_needs_no_budget(open_drawing: Open, later: datetime) -> None:
    drawing = await open_drawing(ScriptedChat(asked_for))
    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    again = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget(BudgetSettings(calls=1)))

    assert again == pair
