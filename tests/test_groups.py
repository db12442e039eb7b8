"""`group`, `groups` and `refresh`, on a real store and index in a folder; only the model is scripted."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner import Group, Limner, LimnerSync
from limner.communities import Community
from limner.errors import (
    EmptyHistoryError,
    NoGroupsError,
    NoTextError,
    TooFewUsersError,
    UnknownUserError,
)
from limner.sections import BudgetSettings
from limner.settings import Settings, load_settings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.clock import ManualClock
from limner.tools.scripted import Scripted, ScriptedChat

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=60)
THEMES: dict[str, tuple[str, ...]] = {
    "gardening": ("roses", "compost", "orchids", "hedges", "ferns", "tulips", "mosses", "cacti"),
    "astronomy": ("comets", "eclipses", "nebulae", "meteors", "planets", "quasars", "galaxies", "moons"),
    "sailing": ("dinghies", "knots", "regattas", "harbours", "currents", "rudders", "anchors", "sails"),
}
MEMBERS = 8
SECRET = "zanzibarian marmalade"


def _items() -> list[dict[str, Any]]:
    return [
        {"item_id": f"{theme}-{number}", "title": f"{word} {theme}", "categories": [theme], "tags": [word]}
        for theme, words in THEMES.items()
        for number, word in enumerate(words)
    ]


def _event(user: str, item: str, day: float, **fields: Any) -> dict[str, Any]:
    at = START + timedelta(days=day)
    return {
        "user_id": user,
        "item_id": item,
        "kind": "purchase",
        "at": at,
        "event_id": f"{user}-{day}",
    } | fields


def _world(members: int = MEMBERS) -> Iterator[dict[str, Any]]:
    """Yield six purchases of each user, all but one of the user's own theme."""
    rng = np.random.default_rng(2)
    for theme in THEMES:
        for member in range(members):
            for day, number in enumerate(rng.permutation(8)[:6].tolist()):
                yield _event(f"{theme}-fan-{member}", f"{theme}-{number}", day)


def _settings(folder: Path, **sections: Any) -> Settings:
    groups = {"size": MEMBERS, "neighbours": 6, **sections.pop("groups", {})}
    drafting = {"drafts": 1, "rounds": 0}
    return load_settings(store=folder, embedder="hashing", groups=groups, drafting=drafting, **sections)


async def _fill(limner: Limner, events: Iterator[dict[str, Any]] | None = None) -> None:
    await limner.add_items(_items())
    await limner.record_many(list(events or _world()))


def _theme(group: Community | Group) -> str:
    """Return the one theme that a group is about."""
    told = group.interests if isinstance(group, Community) else group.shared
    (theme,) = {interest.phrase for interest in told} & set(THEMES)
    return theme


@pytest.fixture
async def limner(tmp_path: Path) -> AsyncIterator[Limner]:
    """An open, filled Limner without a model."""
    async with Limner(_settings(tmp_path / "store", model="none"), clock=ManualClock(NOW)) as opened:
        await _fill(opened)
        yield opened


async def test_groups_are_the_people_who_share_a_theme(limner: Limner) -> None:
    report = await limner.refresh()

    found = [community async for community in limner.groups()]
    assert (report.users, report.items, report.recomputed, report.groups) == (24, 24, 24, 3)
    assert (report.usage.calls, report.refitted, report.calls_from_scratch) == (0, True, 3 * (24 + 24))
    assert [community.size for community in found] == [8, 8, 8]
    assert {_theme(community) for community in found} == set(THEMES)
    for community in found:
        first = next(each for each in community.interests if each.phrase in THEMES)
        # All eight members have the theme, and nobody else of 24: three times as often.
        assert (first.members, first.share, first.lift) == (8, 1.0, 3.0)
        assert community.share == pytest.approx(1 / 3)


async def test_a_user_sees_what_the_group_shares_and_what_of_it_is_new(limner: Limner) -> None:
    await limner.refresh()

    group = await limner.group("sailing-fan-0")

    had = {event.item_id for event in await limner.history("sailing-fan-0")}
    words = {word for number, word in enumerate(THEMES["sailing"]) if f"sailing-{number}" in had}
    assert (group.size, _theme(group), group.found_at) == (8, "sailing", NOW)
    assert group.weight > 0.9
    assert not {interest.phrase for interest in group.news} & (words | {"sailing"})
    assert {interest.phrase for interest in group.news} == {
        interest.phrase for interest in group.shared
    } - words - {"sailing"}
    assert group.items
    assert not {item.item_id for item in group.items} & had


async def test_nothing_that_fewer_than_the_minimum_share_is_told_and_nobody_is_named(limner: Limner) -> None:
    await limner.add_items([{"item_id": "odd", "title": SECRET, "categories": ["sailing"], "tags": [SECRET]}])
    for member in range(4):  # one fewer than the smallest group
        await limner.record_many([_event(f"sailing-fan-{member}", "odd", 20, text=f"my {SECRET}")])
    await limner.record_many([_event("sailing-fan-7", "sailing-1", 21, kind="review", text=f"like {SECRET}")])

    await limner.refresh()

    told = [community.model_dump_json() async for community in limner.groups()]
    told.append((await limner.group("sailing-fan-5")).model_dump_json(exclude={"user_id"}))
    assert not any("zanzibarian" in each or "odd" in each or "-fan-" in each for each in told)

    # With a fifth the phrase is shared by enough.
    await limner.record_many([_event("sailing-fan-4", "odd", 22)])
    await limner.refresh()
    assert "zanzibarian" in (await limner.group("sailing-fan-5")).model_dump_json()


async def test_a_user_who_came_after_the_refresh_is_taken_in_without_one(limner: Limner) -> None:
    await limner.refresh()
    await limner.record_many([_event("newcomer", f"astronomy-{number}", number) for number in range(3)])

    group = await limner.group("newcomer")

    assert _theme(group) == "astronomy"
    assert [user async for user in limner.group_members(group.group_id)] == [
        f"astronomy-fan-{member}" for member in range(8)
    ]


async def test_an_earlier_moment_never_reads_later_groups_or_events(limner: Limner) -> None:
    early = START + timedelta(days=2.5)
    with pytest.raises(NoGroupsError, match=r"run `limner refresh`"):
        await limner.group("sailing-fan-0", as_of=early)
    await limner.refresh()
    with pytest.raises(NoGroupsError):
        await limner.group("sailing-fan-0", as_of=early)

    # A canary: later everybody buys one more thing; a refresh of the earlier moment does not see it.
    await limner.add_items([{"item_id": "canary", "title": "canary", "tags": ["canary"]}])
    await limner.record_many(
        [_event(f"{theme}-fan-{n}", "canary", 2.5) for theme in THEMES for n in range(8)]
    )
    report = await limner.refresh(as_of=early)

    assert report.users == 24
    told = [community.model_dump_json() async for community in limner.groups(as_of=early)]
    assert told and not any("canary" in each for each in told)
    assert (await limner.group("sailing-fan-0", as_of=early)).found_at == early
    # The newest groups are still those of the first refresh.
    assert (await limner.group("sailing-fan-0")).found_at == NOW
    after = await limner.refresh(as_of=early + timedelta(microseconds=1))
    assert after.items == report.items + 1


async def test_a_second_refresh_recomputes_nobody_and_keeps_every_group(limner: Limner) -> None:
    await limner.refresh()
    before = [community async for community in limner.groups()]

    report = await limner.refresh()

    assert (report.recomputed, report.kept, report.refitted) == (0, 3, False)
    assert [community async for community in limner.groups()] == before


async def test_groups_keep_their_id_while_most_members_stay(limner: Limner) -> None:
    await limner.refresh()
    before = {community.group_id async for community in limner.groups()}
    await limner.record_many(
        [_event("gardening-fan-0", f"sailing-{number}", 30 + number) for number in range(8)]
    )
    await limner.record_many([_event("fresh", f"astronomy-{number}", 40 + number) for number in range(4)])

    report = await limner.refresh(full=True)

    found = {community.group_id: community.size async for community in limner.groups()}
    assert set(found) == before
    assert sorted(found.values()) == [7, 9, 9]
    assert (report.kept, report.recomputed, report.refitted) == (3, 25, True)


async def test_a_disliked_item_says_nothing_about_where_a_user_belongs(limner: Limner) -> None:
    await limner.record_many(
        [_event("critic", f"gardening-{number}", number, rating=1.0) for number in range(6)]
        + [_event("critic", f"sailing-{number}", 10 + number, rating=5.0) for number in range(2)]
    )

    await limner.refresh()

    assert _theme(await limner.group("critic")) == "sailing"


async def test_errors_say_what_to_do_next(tmp_path: Path) -> None:
    async with Limner(_settings(tmp_path / "new", model="none"), clock=ManualClock(NOW)) as limner:
        with pytest.raises(NoGroupsError, match=r"^no refresh has found groups at or before 2026-04-30"):
            _ = [community async for community in limner.groups()]
        with pytest.raises(TooFewUsersError, match=r"^0 users .* 5 are needed for a group"):
            await limner.refresh()
        with pytest.raises(UnknownUserError):
            await limner.group("nobody")
        await _fill(limner)
        with pytest.raises(EmptyHistoryError):
            await limner.group("sailing-fan-0", as_of=START)
        await limner.refresh()
        await limner.record_many([_event("stranger", "unheard-of", 1)])
        with pytest.raises(NoTextError):
            await limner.group("stranger")


async def test_groups_of_another_space_are_not_mixed_with_the_present_one(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    async with Limner(_settings(folder, model="none"), clock=ManualClock(NOW)) as limner:
        await _fill(limner)
        await limner.refresh()
    changed = _settings(folder, model="none").model_copy(
        update={"drafting": load_settings().drafting.model_copy(update={"recent": 2})}
    )
    async with Limner(changed, clock=ManualClock(NOW)) as limner:
        with pytest.raises(NoGroupsError, match="present encoder"):
            await limner.group("sailing-fan-0")
        report = await limner.refresh()
        assert (report.recomputed, report.refitted) == (24, True)


async def test_another_size_finds_groups_anew_without_recomputing_users(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    async with Limner(_settings(folder, model="none"), clock=ManualClock(NOW)) as limner:
        await _fill(limner)
        await limner.refresh()
    other = _settings(folder, model="none", groups={"size": 6})
    async with Limner(other, clock=ManualClock(NOW)) as limner:
        report = await limner.refresh()
        assert (report.recomputed, report.refitted) == (0, True)


async def test_few_users_still_make_several_groups(tmp_path: Path) -> None:
    usual = {"size": 20, "neighbours": 32}  # as configured for everybody; here 24 users have three themes
    async with Limner(_settings(tmp_path, model="none", groups=usual), clock=ManualClock(NOW)) as limner:
        await _fill(limner)
        await limner.refresh()
        assert {_theme(found) async for found in limner.groups()} == set(THEMES)


async def test_people_who_all_had_the_same_are_one_group(tmp_path: Path) -> None:
    async with Limner(_settings(tmp_path, model="none"), clock=ManualClock(NOW)) as limner:
        # Without words a hashed vector is (1, 0, 0, …), so the users' mean is exact and nothing is left beside it.
        await limner.add_items([{"item_id": "bare"}])
        await _fill(limner, (_event(f"user-{number}", "bare", 1) for number in range(7)))

        report = await limner.refresh()

        assert (report.groups, report.left_out) == (1, 0)
        assert (await limner.group("user-3")).size == 7


async def test_tenants_have_groups_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    async with Limner(_settings(folder, model="none"), clock=ManualClock(NOW)) as limner:
        await _fill(limner)
        await limner.refresh()
    async with Limner(_settings(folder, model="none", tenant="other"), clock=ManualClock(NOW)) as limner:
        with pytest.raises(NoGroupsError):
            _ = [community async for community in limner.groups()]


def _answer(request: ChatRequest) -> Scripted:
    if request.purpose == "extract_cues":
        return {"cues": []}
    return {"likes": [{"evidence": ["e1"], "theme": "things", "sentence": "Enjoys things."}]}


async def test_one_user_in_a_hundred_costs_a_hundredth_of_the_calls_for_the_same_groups(
    tmp_path: Path,
) -> None:
    """A refresh after a change of 1 % equals one from scratch, with at most 5 % of its calls."""
    members = 34  # 102 users
    settings = {"groups": {"portraits": True, "size": members, "neighbours": 20}}
    change = [_event("sailing-fan-3", f"sailing-{number}", 30 + number) for number in range(2)]

    async def refreshed(folder: Path, *, in_two: bool) -> tuple[list[int], list[Any], Limner]:
        chat, calls = ScriptedChat(_answer), list[int]()
        async with Limner(_settings(folder, **settings), chat=chat, clock=ManualClock(NOW)) as limner:
            await _fill(limner, _world(members))
            if in_two:
                calls.append((await limner.refresh()).usage.calls)
            await limner.record_many(change)
            estimate = await limner.refresh(dry_run=True)
            report = await limner.refresh()
            calls.append(report.usage.calls)
            assert len(chat.requests) == sum(calls)
            assert estimate.estimate and calls[-1] <= estimate.estimate.calls[1]
            assert (report.failed, report.recomputed) == (0, 1 if in_two else 102)
            stored = await limner.doors.store.grouping(as_of=NOW)
            assert stored
            return calls, list(stored.groups), limner

    two, incremental, _ = await refreshed(tmp_path / "two", in_two=True)
    one, full, _ = await refreshed(tmp_path / "one", in_two=False)

    assert two[1] <= 0.05 * one[0]
    assert two[1] > 0

    def by_name(groups: list[Any]) -> dict[str, Any]:
        return {_theme(group.community): group for group in groups}

    mine, theirs = by_name(incremental), by_name(full)
    assert set(mine) == set(theirs) == set(THEMES)
    for name, group in mine.items():
        other = theirs[name]
        assert group.community.model_dump(exclude={"group_id"}) == other.community.model_dump(
            exclude={"group_id"}
        )
        np.testing.assert_allclose(
            np.frombuffer(group.vector, "<f4"), np.frombuffer(other.vector, "<f4"), atol=1e-3
        )
        assert group.items == pytest.approx(other.items, abs=1e-3)


async def test_a_budget_is_kept_and_users_it_did_not_reach_are_tried_again(tmp_path: Path) -> None:
    chat = ScriptedChat(_answer)
    settings = _settings(tmp_path / "store", groups={"portraits": True})
    async with Limner(settings, chat=chat, clock=ManualClock(NOW)) as limner:
        await _fill(limner)

        first = await limner.refresh(budget=Budget(BudgetSettings(calls=9)))

        assert first.usage.calls == len(chat.requests) <= 9
        assert first.failed > 0
        assert first.portraits + first.failed == 24
        second = await limner.refresh()
        assert (second.recomputed, second.failed) == (first.failed, 0)
        assert (await limner.refresh()).recomputed == 0


async def test_a_dry_run_asks_no_model_and_writes_nothing(tmp_path: Path) -> None:
    chat = ScriptedChat(_answer)
    settings = _settings(tmp_path / "store", groups={"portraits": True})
    async with Limner(settings, chat=chat, clock=ManualClock(NOW)) as limner:
        await _fill(limner)

        report = await limner.refresh(dry_run=True)

        assert (report.dry_run, report.recomputed, chat.requests) == (True, 24, [])
        assert report.estimate and report.estimate.calls[0] >= 24
        with pytest.raises(NoGroupsError):
            _ = [community async for community in limner.groups()]


async def test_layers_along_the_graph_find_the_same_people(tmp_path: Path) -> None:
    settings = _settings(tmp_path / "store", model="none", groups={"layers": 2})
    async with Limner(settings, clock=ManualClock(NOW)) as limner:
        await _fill(limner)
        await limner.refresh()

        assert (await limner.group("sailing-fan-0")).size == 8


def test_the_synchronous_twin_does_the_same(tmp_path: Path) -> None:
    with LimnerSync(_settings(tmp_path / "store", model="none"), clock=ManualClock(NOW)) as limner:
        limner.add_items(_items())
        limner.record_many(list(_world()))
        steps: list[str] = []

        report = limner.refresh(progress=lambda what, done, total: steps.append(what))

        assert isinstance(limner.group("sailing-fan-1"), Group)
        assert len(list(limner.groups())) == report.groups == 3
        assert len(list(limner.group_members(next(limner.groups()).group_id))) == 8
    assert list(dict.fromkeys(steps)) == ["Reading histories", "Finding groups"]
