"""The verbs of `Limner`, on a real store and index in a folder; only the model is scripted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner import Interaction, Item, Limner
from limner.errors import (
    BadRowError,
    BudgetExceededError,
    EmptyHistoryError,
    InputError,
    UnknownItemError,
    UnknownUserError,
)
from limner.sections import BudgetSettings
from limner.settings import Settings, load_settings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest, ChatResult
from limner.tools.clock import ManualClock
from limner.tools.scripted import Scripted, ScriptedChat

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=60)
WORDS = ("roses", "compost", "orchids", "comets", "nebulae", "planets", "dinghies", "knots", "harbours")
USERS = ("ada", "bo", "cleo", "dan")


def answer(request: ChatRequest) -> Scripted:
    """Note nothing and write one sentence that the first entry of everybody supports."""
    if request.purpose == "extract_cues":
        return {"cues": []}
    if request.purpose == "draft_pair":
        return {
            "user_cue": "roses",
            "user_instruction": "Say what roses mean.",
            "user_profile": "Enjoys roses.",
            "item_cue": "roses",
            "item_instruction": "Say whom roses suit.",
            "item_profile": "Suits people who like roses.",
        }
    return {"likes": [{"evidence": ["e1"], "theme": "roses", "sentence": "Enjoys roses."}]}


def happened(count: int = 9) -> list[dict[str, Any]]:
    return [
        {"item_id": word, "kind": "purchase", "at": START + timedelta(days=day), "event_id": f"day-{day}"}
        for day, word in enumerate(WORDS[:count])
    ]


ITEMS = [
    {"item_id": word, "title": word.capitalize(), "tags": [word]}
    for word in (*WORDS, "lamps", "chairs", "kettles")
]


def settings_in(folder: Path, **groups: Any) -> Settings:
    drafting = {"drafts": 1, "rounds": 0, **groups.pop("drafting", {})}
    return load_settings(store=folder, embedder="hashing", drafting=drafting, **groups)


async def fill(limner: Limner, users: tuple[str, ...] = USERS) -> None:
    await limner.add_items(ITEMS)
    for user in users:
        # Everybody says something else, so that nobody's answers serve for somebody else.
        mine = ({**row, "event_id": f"{user}-{row['event_id']}", "text": f"by {user}"} for row in happened())
        await limner.record(user, mine)


@pytest.fixture
def chat() -> ScriptedChat:
    return ScriptedChat(answer)


@pytest.fixture
async def limner(tmp_path: Path, chat: ScriptedChat) -> AsyncIterator[Limner]:
    """An open, empty Limner whose clock stands still."""
    async with Limner(settings_in(tmp_path / "store"), chat=chat, clock=ManualClock(NOW)) as opened:
        yield opened


async def test_recording_again_changes_nothing(limner: Limner) -> None:
    assert await limner.record("ada", happened()) == (9, 0, 0)
    assert await limner.record("ada", happened()) == (0, 9, 0)
    assert await limner.record("ada", [*happened(1), {"kind": "message", "at": NOW, "text": "hi"}]) == (
        1,
        1,
        0,
    )

    history = await limner.history("ada", as_of=NOW + timedelta(days=1))
    assert [event.item_id for event in history] == [*WORDS, None]


async def test_events_without_an_id_are_told_apart_by_what_they_say(limner: Limner) -> None:
    view = {"item_id": "roses", "kind": "view", "at": START}

    assert await limner.record("ada", [view, dict(view)]) == (1, 1, 0)
    assert await limner.record("ada", [{**view, "at": START + timedelta(seconds=1)}]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"item_id": "roses", "kind": "stare", "at": START}, "kind"),
        ({"item_id": "roses", "kind": "view"}, "at"),
        ({"item_id": "roses", "kind": "view", "at": "yesterday"}, "at"),
        ({"kind": "view", "at": START, "stars": 3}, "stars"),
        ({"user_id": "bo", "kind": "view", "at": START}, "user_id"),
        (Interaction(user_id="bo", kind="view", at=START), "user_id"),
    ],
)
async def test_a_bad_event_is_named_by_row_and_field_and_nothing_is_recorded(
    limner: Limner, row: Any, field: str
) -> None:
    with pytest.raises(BadRowError) as caught:
        await limner.record("ada", [*happened(2), row])

    assert (caught.value.line, caught.value.field) == (3, field)
    assert (await limner.counts()).interactions == 0


async def test_a_bad_item_is_named_and_nothing_is_written(limner: Limner) -> None:
    with pytest.raises(BadRowError, match=r"^argument:2: `title`: .*got 7$"):
        await limner.add_items([{"item_id": "a"}, {"item_id": "b", "title": 7}])

    assert (await limner.counts()).items == 0
    assert await limner.doors.catalogue.item_ids() == []


async def test_items_are_counted_if_new_or_changed_and_indexed_at_once(limner: Limner) -> None:
    assert await limner.add_items(ITEMS) == len(ITEMS)
    assert await limner.add_items(ITEMS) == 0
    assert await limner.add_items([Item(item_id="roses", title="Red roses")]) == 1

    assert (await limner.items(["roses", "nothing"])).keys() == {"roses"}
    assert len(await limner.doors.catalogue.item_ids()) == len(ITEMS)


async def test_a_portrait_is_drawn_once_and_read_ever_after(limner: Limner, chat: ScriptedChat) -> None:
    await fill(limner)

    first = await limner.profile("ada")

    asked = len(chat.requests)
    assert (first.version, first.as_of, first.created_at) == (1, NOW, NOW)
    assert await limner.profile("ada") == first
    assert await limner.stored_profile("ada") == await limner.stored_profile("ada", version=1) == first
    assert await limner.stored_profile("bo") is None
    assert len(chat.requests) == asked


async def test_a_portrait_outlives_the_process_that_drew_it(tmp_path: Path, chat: ScriptedChat) -> None:
    settings = settings_in(tmp_path / "store")
    async with Limner(settings, chat=chat, clock=ManualClock(NOW)) as limner:
        await fill(limner)
        first = await limner.profile("ada")
    silent = ScriptedChat()  # any request would fail

    async with Limner(settings, chat=silent, clock=ManualClock(NOW)) as limner:
        assert await limner.profile("ada") == first


async def test_as_of_bounds_what_a_portrait_knows(limner: Limner) -> None:
    await fill(limner)

    profile = await limner.profile("ada", as_of=START + timedelta(days=4))

    assert [event.item_id for event in profile.recent] == ["comets", "orchids", "compost", "roses"]
    with pytest.raises(EmptyHistoryError):
        await limner.profile("ada", as_of=START)


async def test_unknown_users_and_items_are_typed_errors(limner: Limner) -> None:
    await fill(limner)

    with pytest.raises(UnknownUserError):
        await limner.profile("nobody")
    with pytest.raises(UnknownItemError):
        await limner.pair("ada", "nothing")


async def test_a_batch_draws_everybody_in_any_order(limner: Limner) -> None:
    await fill(limner)

    outcomes = [outcome async for outcome in limner.profiles()]

    assert sorted(outcome.user_id for outcome in outcomes) == list(USERS)
    assert all(outcome.profile and outcome.error is None for outcome in outcomes)
    assert (await limner.counts()).profiles == 4


async def test_one_bad_user_does_not_stop_the_others(limner: Limner) -> None:
    await fill(limner, ("ada", "bo"))

    async def named() -> AsyncIterator[str]:
        for user in ("ada", "nobody", "bo"):
            yield user

    outcomes = {outcome.user_id: outcome async for outcome in limner.profiles(named())}

    assert isinstance(outcomes["nobody"].error, UnknownUserError)
    assert outcomes["ada"].profile and outcomes["bo"].profile


class Watched(ScriptedChat):
    """Counts requests in flight, and holds bo's draft back until its gate opens."""

    def __init__(self) -> None:
        super().__init__(answer)
        self.under_way = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()

    async def complete(self, request: ChatRequest, budget: Budget) -> ChatResult:
        """Answer, or wait."""
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if request.purpose == "draft_profile" and "by bo" in request.messages[-1].content:
                self.waiting.set()
                await self.gate.wait()
            await asyncio.sleep(0.002)
            return await super().complete(request, budget)
        finally:
            self.under_way -= 1


async def test_no_more_users_than_allowed_are_drawn_at_once(tmp_path: Path) -> None:
    watched = Watched()
    async with Limner(settings_in(tmp_path / "store"), chat=watched, clock=ManualClock(NOW)) as limner:
        await fill(limner, tuple(f"user-{number}" for number in range(8)))

        outcomes = [outcome async for outcome in limner.profiles(at_once=2)]

    assert len(outcomes) == 8
    assert watched.most == 2  # six entries are one batch of notes, then there is one draft


async def test_a_batch_that_is_left_early_cancels_the_rest_and_can_be_taken_up_again(tmp_path: Path) -> None:
    watched = Watched()
    watched.gate.clear()
    async with Limner(settings_in(tmp_path / "store"), chat=watched, clock=ManualClock(NOW)) as limner:
        await fill(limner)
        async with aclosing(limner.profiles(at_once=2)) as outcomes:
            first = await anext(outcomes)
            await watched.waiting.wait()

        assert watched.under_way == 0
        assert first.profile is not None
        done = (await limner.counts()).profiles
        watched.gate.set()

        rest = [outcome async for outcome in limner.profiles()]

        assert {outcome.user_id for outcome in rest if outcome.profile} == set(USERS)
        kept = [rollout async for rollout in limner.rollouts()]
        assert len(kept) == 2 * len(USERS)  # the floor and one draft each, none twice
        assert 1 <= done < len(USERS)


async def test_a_batch_stops_at_its_budget_and_says_so(tmp_path: Path, chat: ScriptedChat) -> None:
    settings = settings_in(tmp_path / "store", budget={"calls": 3})
    async with Limner(settings, chat=chat, clock=ManualClock(NOW)) as limner:
        await fill(limner)

        outcomes = [outcome async for outcome in limner.profiles(at_once=1)]

    # Two calls a user: ada gets both, bo's draft is refused, nobody is started after that.
    assert len(chat.requests) == 3
    assert [outcome.profile.source for outcome in outcomes if outcome.profile] == ["model", "extractive"]
    assert all(isinstance(outcome.error, BudgetExceededError) for outcome in outcomes[2:])
    spent = sum(outcome.profile.usage.calls for outcome in outcomes if outcome.profile)
    assert spent == 3


async def test_a_number_is_a_budget_of_so_many_calls(limner: Limner, chat: ScriptedChat) -> None:
    for wrong in (0, -1, True, "3"):
        with pytest.raises(InputError, match=f"at least 1, or a `limner.Budget`; got {wrong!r}"):
            await limner.profile("ada", budget=wrong)  # type: ignore[arg-type]  # what a caller may type
    assert chat.requests == []
    await fill(limner)

    outcomes = [outcome async for outcome in limner.profiles(budget=1, at_once=1)]

    assert len(chat.requests) == 1
    assert any(isinstance(outcome.error, BudgetExceededError) for outcome in outcomes)


async def test_a_budget_can_be_shared_between_calls(limner: Limner, chat: ScriptedChat) -> None:
    await fill(limner)
    budget = Budget(BudgetSettings(calls=6))

    await limner.profile("ada", budget=budget)
    await limner.pair("ada", "knots", budget=budget)

    # Notes and a draft for the portrait; notes on the item, a draft and a verdict for the pair. The call for a verdict
    # on blank profiles stays: this model gives no log-probabilities to correct.
    assert len(chat.requests) == budget.spent.calls == 5
    with pytest.raises(BudgetExceededError, match="next call may need 3"):
        await limner.pair("ada", "lamps", budget=budget)
    assert len(chat.requests) == 5


@pytest.mark.parametrize("style", ["free", "lexicon"])
async def test_pairs_are_written_one_by_one_and_in_batches(tmp_path: Path, style: str) -> None:
    settings = settings_in(tmp_path / "store", drafting={"style": style})
    async with Limner(settings, chat=ScriptedChat(answer), clock=ManualClock(NOW)) as limner:
        await fill(limner)

        pair = await limner.pair("ada", "roses")
        pairs: list[tuple[str, str]] = [("bo", "knots"), ("cleo", "nothing"), ("dan", "lamps")]
        outcomes = {outcome.user_id: outcome async for outcome in limner.pairs(pairs)}

        assert (pair.user_id, pair.item_id, pair.as_of) == ("ada", "roses", NOW)
        assert pair.user.profile and pair.item.profile and pair.reasons
        assert await limner.doors.store.pair("ada", "roses") == pair
        assert isinstance(outcomes["cleo"].error, UnknownItemError)
        for user, item in (pairs[0], pairs[2]):
            drawn = outcomes[user].pair
            assert drawn is not None and drawn.item_id == item


async def test_an_estimate_is_free_and_right(limner: Limner, chat: ScriptedChat) -> None:
    await fill(limner)
    await limner.record("new", [{"item_id": "gone", "kind": "view", "at": START}])
    await limner.profile("ada")
    asked = len(chat.requests)

    estimate = await limner.estimate()

    assert len(chat.requests) == asked
    # ada is up to date and `new` has no text; three users with one batch of notes and one draft each.
    assert (estimate.users, estimate.up_to_date, estimate.skipped) == (3, 1, 1)
    assert estimate.calls == (6, 6)
    assert estimate.prompt_tokens > 0 and estimate.completion_tokens > 0
    drawn = [outcome async for outcome in limner.profiles(["bo", "cleo", "dan"])]
    assert len(drawn) == 3 and len(chat.requests) == asked + 6


async def test_an_estimate_for_an_earlier_moment_follows_a_later_portrait(limner: Limner) -> None:
    await fill(limner)
    await limner.profile("ada")

    estimate = await limner.estimate(["ada"], as_of=START + timedelta(days=3))

    assert estimate.users == 1


async def test_reindexing_embeds_items_and_portraits_again(limner: Limner) -> None:
    await fill(limner)
    profile = await limner.profile("ada")
    catalogue = limner.doors.catalogue

    assert await limner.reindex() == len(ITEMS)

    assert len(await catalogue.item_ids()) == len(ITEMS)
    probe = np.ones((1, 64), dtype=np.float32) / 8.0
    [hits] = await catalogue.similar_facets(probe, 9, exclude_user="bo")
    assert {hit.user_id for hit in hits} == {"ada"}
    assert {hit.text for hit in hits} == {*(facet.text for facet in profile.facets), profile.text}


async def test_two_on_one_folder_see_each_others_work(tmp_path: Path, chat: ScriptedChat) -> None:
    """In one process they share the index; another process is refused by the index itself."""
    settings = settings_in(tmp_path / "store")
    async with (
        Limner(settings, chat=chat, clock=ManualClock(NOW)) as one,
        Limner(settings, chat=chat, clock=ManualClock(NOW)) as two,
    ):
        await fill(one)
        assert await two.profile("ada") == await one.profile("ada")


async def test_tenants_on_one_folder_do_not_see_each_other(tmp_path: Path, chat: ScriptedChat) -> None:
    folder = tmp_path / "store"
    async with (
        Limner(settings_in(folder, tenant="one"), chat=chat, clock=ManualClock(NOW)) as one,
        Limner(settings_in(folder, tenant="two"), chat=chat, clock=ManualClock(NOW)) as two,
    ):
        await fill(one)
        await one.profile("ada")

        assert await two.stored_profile("ada") is None
        assert [user async for user in two.users()] == []
        with pytest.raises(UnknownUserError):
            await two.profile("ada")


CALLS: list[Callable[[Limner], Any]] = [
    lambda limner: limner.record("ada", []),
    lambda limner: limner.profile("ada"),
    lambda limner: limner.pair("ada", "roses"),
    lambda limner: anext(limner.profiles()),
]


@pytest.mark.parametrize("call", CALLS)
async def test_use_before_opening_is_refused_with_the_remedy(
    tmp_path: Path, call: Callable[[Limner], Any]
) -> None:
    with pytest.raises(RuntimeError, match=r"^Limner is not open; use `async with Limner"):
        await call(Limner(settings_in(tmp_path / "store")))


async def test_it_can_be_opened_again_after_it_was_closed(tmp_path: Path, chat: ScriptedChat) -> None:
    limner = Limner(settings_in(tmp_path / "store"), chat=chat, clock=ManualClock(NOW))
    async with limner:
        await fill(limner)
    with pytest.raises(RuntimeError, match="not open"):
        await limner.profile("ada")
    async with limner:
        assert (await limner.profile("ada")).version == 1
