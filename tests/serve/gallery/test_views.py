"""What the gallery reads out of a store, before any page is made of it."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from limner import Limner
from limner.errors import InputError, UnknownItemError, UnknownUserError
from limner.records import Interaction
from limner.serve.gallery.correct_view import correct_view
from limner.serve.gallery.forget_view import forget_view
from limner.serve.gallery.group_view import group_view
from limner.serve.gallery.map_view import HEIGHT, WIDTH, map_view
from limner.serve.gallery.pair_view import pair_view
from limner.serve.gallery.people_view import find_people
from limner.serve.gallery.portrait_view import portrait_cost, portrait_view
from limner.serve.gallery.reward_view import reward_view
from limner.serve.gallery.version_view import version_view
from limner.tools.clock import ManualClock
from limner.tools.scripted import ScriptedChat


async def test_users_are_found_by_how_their_id_starts_page_by_page(limner: Limner) -> None:
    at = {"item_id": "roses", "kind": "view", "at": "2026-01-01"}
    for user in ("bob", "bobby", "boris", "b", "Bo"):
        await limner.record(user, [at])

    first = await find_people(limner, prefix="bo", page=2)
    second = await find_people(limner, prefix="bo", after=first.next_after or "", page=2)

    # In id order: bo, bob, bobby, boris; `Bo` has a capital, `b` is shorter.
    assert [one.user_id for one in first.people] == ["bo", "bob"]
    assert [one.user_id for one in second.people] == ["bobby", "boris"]
    assert (first.next_after, second.next_after) == ("bob", None)


async def test_a_page_that_is_exactly_full_is_the_last(limner: Limner) -> None:
    everybody = await find_people(limner, page=3)

    assert len(everybody.people) == 3
    assert everybody.next_after is None


async def test_nobody_is_found_by_a_start_that_no_id_has(limner: Limner) -> None:
    assert (await find_people(limner, prefix="zz")).people == ()


async def test_the_list_tells_who_has_a_portrait_and_how_it_begins(limner: Limner) -> None:
    drawn = await limner.profile("ada")

    people = {one.user_id: one for one in (await find_people(limner)).people}

    assert (people["ada"].source, people["ada"].version) == (drawn.source, 1)
    assert people["ada"].excerpt == drawn.text
    assert (people["bo"].source, people["bo"].version, people["bo"].excerpt) == ("none", 0, "")


async def test_a_claim_unfolds_what_was_done_when_and_in_which_words(limner: Limner) -> None:
    drawn = await limner.profile("ada")

    view = await portrait_view(limner, "ada")

    statements = {one.text: one for section in view.sections for one in section.statements}
    claim = drawn.claims[0]
    quote = statements[claim.text].quotes[0]
    day = int(claim.evidence[0].removeprefix("ada-"))
    assert quote.event_id == claim.evidence[0]
    assert quote.date == f"2026-03-{day + 1:02}"  # events begin on 1 March, one a day
    assert quote.deed == f"rated {5 - day % 2}"
    assert quote.words == "Lovely, says ada."
    assert view.claims[claim.text] == 0


async def test_looking_draws_nothing_and_asks_no_model(limner: Limner, chat: ScriptedChat) -> None:
    view = await portrait_view(limner, "bo")
    await map_view(limner, "bo")
    await pair_view(limner, "bo", item_id="roses")

    assert view.head.profile is None
    assert [quote.title for quote in view.recent][:2] == ["Harbours", "Knots"]  # newest first
    assert await limner.stored_profile("bo") is None
    assert chat.requests == []


@pytest.mark.parametrize("view", [portrait_view, reward_view, version_view, map_view, group_view, pair_view])
async def test_somebody_who_was_never_recorded_is_unknown_to_every_view(
    limner: Limner, view: Callable[[Limner, str], Awaitable[object]]
) -> None:
    with pytest.raises(UnknownUserError):
        await view(limner, "nobody")


async def test_drawing_is_priced_before_it_is_paid_for(limner: Limner, chat: ScriptedChat) -> None:
    # One call for notes on nine events, two drafts, and at most one revision: 3 to 4.
    assert (await portrait_cost(limner, "bo")).startswith("Drawing asks ")
    assert " 3 to 4 times: about " in await portrait_cost(limner, "bo")
    assert chat.requests == []


async def test_rewards_show_the_drafts_of_the_last_drawing_only(limner: Limner, clock: ManualClock) -> None:
    await limner.profile("ada")
    await limner.profile("bo")
    await limner.record("ada", [{"item_id": "lamps", "kind": "purchase", "at": "2026-04-20"}])
    clock.advance(60)
    second = await limner.profile("ada")
    await limner.pair("ada", "chairs")

    view = await reward_view(limner, "ada")

    runs = [one.run_id for one in await limner.doors.store.user_rollouts("ada", pairs=False)]
    assert second.version == 2
    assert view.drafts == runs.count(runs[-1]) < len(runs)
    assert view.plot is not None
    assert view.table is not None
    assert sum(row.marked for row in view.table.rows) == 1


async def test_the_last_two_versions_are_compared_unless_others_are_named(
    limner: Limner, clock: ManualClock
) -> None:
    await limner.profile("ada")
    assert (await version_view(limner, "ada")).difference is None
    for item in ("lamps", "chairs"):
        await limner.record("ada", [{"item_id": item, "kind": "purchase", "at": clock.now()}])
        clock.advance(60)
        await limner.profile("ada")

    last = (await version_view(limner, "ada")).difference
    named = (await version_view(limner, "ada", old=3, new=1)).difference

    assert last is not None
    assert named is not None
    assert (last.old, last.new) == (2, 3)
    assert (named.old, named.new) == (3, 1)
    with pytest.raises(InputError, match="no version 9"):
        await version_view(limner, "ada", new=9)


async def test_the_map_marks_what_was_had_what_comes_next_and_what_the_portrait_says(limner: Limner) -> None:
    drawn = await limner.profile("ada")

    view = await map_view(limner, "ada")

    assert len(view.dots) == view.items == 13
    assert {mark.item_id for mark in view.of("had")} == {one.item_id for one in await limner.history("ada")}
    recommended = view.of("recommended")
    assert [mark.number for mark in recommended] == list(range(1, len(recommended) + 1))
    assert {mark.item_id for mark in recommended}.isdisjoint(mark.item_id for mark in view.of("had"))
    assert len(view.of("like", "dislike")) == len(drawn.facets)
    assert len(view.of("whole")) == 1
    assert all(0 <= mark.x <= WIDTH and 0 <= mark.y <= HEIGHT for mark in view.marks)


async def test_the_map_stays_the_same_when_an_item_comes(limner: Limner) -> None:
    before = {dot.title: dot for dot in (await map_view(limner, "ada")).dots}
    await limner.add_items([{"item_id": "ladders", "title": "Ladders", "tags": ["ladders"]}])

    after = {dot.title: dot for dot in (await map_view(limner, "ada")).dots}

    assert {title: after[title] for title in before} == before
    assert set(after) - set(before) == {"Ladders"}


async def test_the_kept_axes_go_when_an_item_is_forgotten_and_not_when_a_user_is(limner: Limner) -> None:
    await map_view(limner, "ada")
    kept = limner.settings.store / "maps" / "default.npz"

    await limner.forget("bo", scrub=False)
    assert kept.exists()
    receipt = await limner.forget_item("kettles", scrub=False)

    assert receipt.removed["map of the catalogue"] == 1
    assert not kept.exists()


async def test_an_empty_catalogue_has_no_map(limner: Limner) -> None:
    await limner.doors.catalogue.reset()

    view = await map_view(limner, "ada")

    assert view.dots == ()
    assert view.marks == ()
    assert "empty" in view.notes[0]


async def test_without_a_refresh_the_page_says_how_to_find_groups(limner: Limner) -> None:
    view = await group_view(limner, "ada")

    assert view.group is None
    assert view.why_not == "No refresh has found groups yet. Run `limner refresh`."


async def test_no_page_reads_a_whole_history(limner: Limner, monkeypatch: pytest.MonkeyPatch) -> None:
    await limner.profile("ada")
    history = limner.doors.recorded.history

    async def only_part(user_id: str, *, as_of: datetime, last: int | None = None) -> list[Interaction]:
        assert last is not None
        return await history(user_id, as_of=as_of, last=last)

    monkeypatch.setattr(limner.doors.recorded, "history", only_part)
    for view in (portrait_view, reward_view, version_view, map_view, group_view, pair_view, forget_view):
        found = await view(limner, "ada")
        # Nine reviews, a day apart, from 1 March.
        head = found.head
        assert (head.events, head.since, head.until) == (9, "2026-03-01", "2026-03-09")


async def test_a_search_offers_what_lies_closest(limner: Limner) -> None:
    view = await pair_view(limner, "ada", query="planets")

    assert view.choices[0].item_id == "planets"


async def test_a_pair_shows_both_sides_with_evidence_and_never_others_words(limner: Limner) -> None:
    drawn = await limner.pair("ada", "roses")

    view = await pair_view(limner, "ada", item_id="roses")

    assert view.pair == drawn
    mine = [quote for reason in view.reasons for quote in reason.mine]
    assert mine
    assert {quote.words for quote in mine} == {"Lovely, says ada."}
    theirs = " ".join(line for reason in view.reasons for line in reason.theirs)
    assert "bo" not in theirs.split()
    assert "says" not in theirs


async def test_a_pair_with_something_that_is_no_item_is_refused(limner: Limner) -> None:
    with pytest.raises(UnknownItemError):
        await pair_view(limner, "ada", item_id="nothing")


async def test_a_claim_is_corrected_only_as_long_as_the_portrait_still_makes_it(limner: Limner) -> None:
    drawn = await limner.profile("ada")

    view = await correct_view(limner, "ada", claim=0, version=1)

    assert (view.text, view.next_version) == (drawn.claims[0].text, 2)
    for claim, version in ((0, 2), (len(drawn.claims), 1), (-1, 1)):
        with pytest.raises(InputError, match="has changed meanwhile"):
            await correct_view(limner, "ada", claim=claim, version=version)
