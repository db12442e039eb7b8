"""What cannot be drawn is refused before a call is paid for; what is short is drawn."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from limner.agents.drawing import Drawing
from limner.errors import EmptyHistoryError, NoTextError, UnknownItemError, UnknownUserError
from limner.records import Interaction, Item
from limner.tools.budget import Budget
from limner.tools.scripted import Script, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]


async def test_an_unknown_user_costs_no_call(open_drawing: Open, later: datetime) -> None:
    chat = ScriptedChat()
    drawing = await open_drawing(chat)

    with pytest.raises(UnknownUserError, match=r"^user_id='nobody' is not in the store"):
        await drawing.profile("nobody", as_of=later, budget=Budget())
    with pytest.raises(UnknownUserError):
        await drawing.pair("nobody", "sailing-0", as_of=later, budget=Budget())

    assert chat.requests == []


async def test_a_history_that_starts_later_costs_no_call(
    open_drawing: Open, events: list[Interaction]
) -> None:
    chat = ScriptedChat()
    drawing = await open_drawing(chat)

    with pytest.raises(EmptyHistoryError, match=r"^user_id='ada' has 0 interactions before 2026-01-01"):
        await drawing.profile("ada", as_of=events[0].at, budget=Budget())  # the bound is exclusive

    assert chat.requests == []
    assert (await drawing.deps.store.counts()).profiles == 0


async def test_an_unknown_item_costs_no_call(open_drawing: Open, later: datetime) -> None:
    chat = ScriptedChat()
    drawing = await open_drawing(chat)

    with pytest.raises(UnknownItemError, match=r"^item_id='nothing' is not in the catalogue"):
        await drawing.pair("ada", "nothing", as_of=later, budget=Budget())

    assert chat.requests == []


async def test_a_history_without_any_text_costs_no_call(open_drawing: Open, later: datetime) -> None:
    chat = ScriptedChat()
    bare = Interaction(user_id="zoe", item_id="not-imported", kind="click", at=later - timedelta(days=1))
    drawing = await open_drawing(chat, events=[bare])

    with pytest.raises(NoTextError, match=r"^user:zoe has no text to draw from"):
        await drawing.profile("zoe", as_of=later, budget=Budget())

    assert chat.requests == []


async def test_an_item_that_nobody_can_describe_costs_no_call(
    open_drawing: Open, items: list[Item], later: datetime
) -> None:
    chat = ScriptedChat()
    drawing = await open_drawing(chat, items=[*items, Item(item_id="blank")])

    with pytest.raises(NoTextError, match=r"^item:blank has no text"):
        await drawing.pair("ada", "blank", as_of=later, budget=Budget())

    assert chat.requests == []


async def test_an_item_known_only_by_what_people_say_about_it_is_paired(
    open_drawing: Open, items: list[Item], events: list[Interaction], later: datetime
) -> None:
    said = Interaction(
        user_id="bo",
        item_id="blank",
        kind="review",
        at=later - timedelta(days=1),
        text="Squeaky wheelbarrow.",
    )
    drawing = await open_drawing(None, items=[*items, Item(item_id="blank")], events=[*events, said])

    pair = await drawing.pair("ada", "blank", as_of=later, budget=Budget())

    assert "squeaky wheelbarrow" in pair.item.profile


@pytest.mark.parametrize(("count", "graded"), [(1, False), (2, False), (3, True)])
async def test_short_histories_are_drawn_and_graded_from_three_events(
    open_drawing: Open,
    paint: Script,
    events: list[Interaction],
    later: datetime,
    count: int,
    graded: bool,
) -> None:
    others = [event for event in events if event.user_id != "ada"]
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, events=[*events[:count], *others])

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert profile.claims and all(claim.evidence for claim in profile.claims)
    assert [event.event_id for event in profile.recent] == [f"ada-0{day}" for day in reversed(range(count))]
    assert (profile.reward is not None) == graded
    assert ("rank" in profile.reward_terms) == graded
    drafts = sum(request.purpose == "draft_profile" for request in chat.requests)
    assert drafts == (4 if graded else 1)  # without an exam nothing can tell drafts apart


async def test_events_without_an_item_in_the_catalogue_do_not_stop_the_others(
    open_drawing: Open, paint: Script, events: list[Interaction], later: datetime
) -> None:
    strays = [
        events[0].model_copy(update={"event_id": f"stray-{day}", "item_id": "gone", "text": None, "at": at})
        for day, at in enumerate(event.at + timedelta(hours=1) for event in events[:12])
    ]
    drawing = await open_drawing(ScriptedChat(paint), events=[*events, *strays])

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert profile.claims and len(profile.recent) == 10
