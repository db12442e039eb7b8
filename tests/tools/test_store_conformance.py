"""What every `Store` keeps of portraits, items and caches, and for whom, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from limner.cards import ItemCard
from limner.models import Cue, Profile, Rollout
from limner.pairings import Pair, PairSide
from limner.records import Interaction, Item, Kind, Message, Usage
from limner.tools.store import Counts, Published, RatingScale, Store

T = TypeVar("T")
OpenTenant = Callable[[str], Awaitable[Store]]
START = datetime(2024, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=1)


def moment(second: float) -> datetime:
    return START + timedelta(seconds=second)


def event(
    event_id: str,
    second: float = 0,
    *,
    user: str = "u",
    item: str | None = "i",
    kind: Kind = "rating",
    rating: float | None = None,
    text: str | None = None,
) -> Interaction:
    return Interaction(
        user_id=user, item_id=item, kind=kind, at=moment(second), rating=rating, text=text, event_id=event_id
    )


def profile(fingerprint: str, *, user: str = "u", second: float = 0) -> Profile:
    return Profile(
        user_id=user,
        version=99,
        parent_version=98,
        as_of=moment(second),
        text="Draws maps.",
        language="en",
        source="model",
        usage=Usage(calls=2, cost=0.5),
        critic_version="c1",
        fingerprint=fingerprint,
        created_at=moment(second),
    )


def rollout(rollout_id: str, *, user: str = "u", item: str | None = None) -> Rollout:
    return Rollout(
        rollout_id=rollout_id,
        run_id="run",
        user_id=user,
        item_id=item,
        round=0,
        draft_ix=0,
        group_key="g",
        messages=(Message(role="user", content="Draw."),),
        completion="Draws maps.",
        profile_text="Draws maps.",
        finish_reason="stop",
        backend="scripted",
        model_rev="1",
        temperature=0.9,
        top_p=0.95,
        selected=True,
        selection_propensity=1.0,
        rewards={"total": 0.5},
        critic_version="c1",
        as_of=START,
        held=(),
        neg_seed=0,
        prompt_id="draft",
        prompt_version=1,
        usage=Usage(),
        at=START,
    )


def pair(item: str, text: str = "Likes maps.") -> Pair:
    return Pair(
        user_id="u",
        item_id=item,
        as_of=START,
        user=PairSide(cue="maps", instruction="Say why.", profile=text),
        item=PairSide(cue="map", instruction="Say why.", profile="A map."),
        affinity=0.5,
        expected_rating=None,
        reasons=(),
        language="en",
        source="model",
        critic_version="c1",
        fingerprint="f1",
        created_at=START,
    )


def card(
    fingerprint: str, *, item: str = "i", second: float = 50, read: float | None = None, written: float = 0
) -> ItemCard:
    return ItemCard(
        item_id=item,
        liked_by=f"Suits lovers of {fingerprint}.",
        disliked_by="Not for sailors.",
        feature="A map.",
        as_of=moment(second),
        read_to=None if read is None else moment(read),
        language="en",
        source="model",
        fingerprint=fingerprint,
        created_at=moment(written),
    )


def cue(cue_id: str, text: str = "maps") -> Cue:
    return Cue(cue_id=cue_id, text=text, polarity="like", facet="maps", evidence=("e1",))


async def gathered(stream: AsyncIterator[list[T]]) -> list[list[T]]:
    return [page async for page in stream]


async def test_put_items_counts_what_is_new_or_changed(store: Store) -> None:
    first = [Item(item_id="b", title="B"), Item(item_id="a", title="A", tags=("x", "y"))]

    assert await store.put_items(first) == 2
    assert await store.put_items([first[1], Item(item_id="b", title="B2"), Item(item_id="c")]) == 2
    assert await store.put_items(first[1:]) == 0
    assert await store.items(["a", "b", "nobody"]) == {"a": first[1], "b": Item(item_id="b", title="B2")}
    assert await store.items([]) == {}
    pages = await gathered(store.all_items(batch=2))
    assert [[item.item_id for item in page] for page in pages] == [["a", "b"], ["c"]]


async def test_many_ids_are_looked_up_at_once(store: Store) -> None:
    await store.put_items([Item(item_id=f"i{n}") for n in range(1200)])

    assert len(await store.items([f"i{n}" for n in range(2000)])) == 1200


async def test_cues_replace_by_id_and_keep_their_place(store: Store) -> None:
    await store.add_cues("user:u", [cue("z"), cue("a")], ["e1", "e2"])
    await store.add_cues("user:u", [cue("z", "atlases"), cue("m")], ["e2", "e3"])
    await store.add_cues("item:i", [], ["e9"])

    assert [(one.cue_id, one.text) for one in await store.cues("user:u")] == [
        ("z", "atlases"),
        ("a", "maps"),
        ("m", "maps"),
    ]
    assert await store.cued_events("user:u") == {"e1", "e2", "e3"}
    assert await store.cues("item:i") == []
    assert await store.cued_events("item:i") == {"e9"}


async def test_publish_numbers_versions_and_names_the_parent(store: Store) -> None:
    first = await store.publish(Published(profile("f1"), (rollout("r1"),)))
    second = await store.publish(Published(profile("f2", second=5), (rollout("r2"), rollout("r3"))))

    assert (first.version, first.parent_version) == (1, None)
    assert (second.version, second.parent_version) == (2, 1)
    assert second == profile("f2", second=5).model_copy(update={"version": 2, "parent_version": 1})
    assert await store.profile_versions("u") == [first, second]


async def test_an_equal_fingerprint_writes_nothing(store: Store) -> None:
    first = await store.publish(Published(profile("f1"), (rollout("r1"),)))

    assert await store.publish(Published(profile("f1", second=9), (rollout("r2"),))) == first
    assert await store.profile_versions("u") == [first]
    assert [one.rollout_id for page in await gathered(store.rollouts()) for one in page] == ["r1"]

    await store.publish(Published(profile("f2"), ()))
    again = await store.publish(Published(profile("f1"), ()))
    assert again.version == 3  # only the newest counts


async def test_publishing_at_once_from_two_places_loses_no_version(open_tenant: OpenTenant) -> None:
    stores = [await open_tenant("default") for _ in range(2)]

    published = await asyncio.gather(
        *(stores[n % 2].publish(Published(profile(f"f{n}"), (rollout(f"r{n}"),))) for n in range(12))
    )

    assert sorted(one.version for one in published) == list(range(1, 13))
    assert all(one.parent_version == (one.version - 1 or None) for one in published)
    assert (await stores[0].counts()).rollouts == 12


async def test_profile_by_version_and_by_as_of(store: Store) -> None:
    for n in (1, 2, 3):
        await store.publish(Published(profile(f"f{n}", second=10 * n), ()))

    async def version(as_of: datetime | None = None) -> int | None:
        found = await store.profile("u", as_of=as_of)
        return None if found is None else found.version

    assert await version() == 3
    assert await version(moment(20)) == 2
    assert await version(moment(19.999999)) == 1
    assert await version(moment(9)) is None
    assert (await store.profile("u", version=1)) == (await store.profile_versions("u"))[0]
    assert await store.profile("u", version=4) is None
    assert await store.profile("nobody") is None


async def test_a_profile_of_an_earlier_moment_does_not_replace_the_served_one(store: Store) -> None:
    for fingerprint, second in (("f1", 30), ("f2", 10), ("f3", 20), ("f4", 20)):
        await store.publish(Published(profile(fingerprint, second=second), ()))
    await store.publish(Published(profile("v1", user="v"), ()))

    async def version(as_of: datetime | None = None) -> int | None:
        found = await store.profile("u", as_of=as_of)
        return None if found is None else found.version

    assert await version() == 1
    assert [await version(moment(second)) for second in (9, 10, 19, 20, 29, 30)] == [None, 2, 2, 4, 4, 1]
    assert [[(one.user_id, one.version) for one in page] for page in await gathered(store.profiles())] == [
        [("u", 1), ("v", 1)]
    ]
    versions = [(one.version, one.parent_version) for one in await store.profile_versions("u")]
    # Nothing was there at 10 s; at 20 s there was version 2 of 10 s, then version 3 of the same moment.
    assert versions == [(1, None), (2, None), (3, 2), (4, 3)]


async def test_a_fingerprint_is_compared_with_the_newest_up_to_its_own_moment(store: Store) -> None:
    served = await store.publish(Published(profile("f1", second=30), ()))

    earlier = await store.publish(Published(profile("f1", second=10), ()))
    again = await store.publish(Published(profile("f1", second=20), ()))
    later = await store.publish(Published(profile("f1", second=40), ()))

    assert (earlier.version, earlier.parent_version) == (2, None)
    assert (again, later) == (earlier, served)
    assert await store.profile_versions("u") == [served, earlier]


async def test_the_newest_profile_of_every_user_is_streamed(store: Store) -> None:
    for user in ("c", "a", "b", "a"):
        await store.publish(Published(profile(f"f{await store.counts()}", user=user), ()))

    pages = await gathered(store.profiles(batch=2))

    assert [[(one.user_id, one.version) for one in page] for page in pages] == [
        [("a", 2), ("b", 1)],
        [("c", 1)],
    ]


async def test_the_newest_pair_is_returned_and_its_rollouts_are_logged(store: Store) -> None:
    await store.put_pair(pair("i"), [rollout("r1", item="i")])
    await store.put_pair(pair("i", "Loves maps."), [rollout("r2", item="i")])

    assert await store.pair("u", "i") == pair("i", "Loves maps.")
    assert await store.pair("u", "j") is None
    assert (await store.counts()).rollouts == 2


async def test_rollouts_are_streamed_in_the_order_of_writing_and_never_twice(store: Store) -> None:
    await store.publish(Published(profile("f1"), (rollout("z"), rollout("a"))))
    await store.put_pair(pair("i"), [rollout("m"), rollout("z")])

    pages = await gathered(store.rollouts(batch=2))

    assert [[one.rollout_id for one in page] for page in pages] == [["z", "a"], ["m"]]
    assert pages[0][0] == rollout("z")


async def test_the_log_of_one_user_is_read_with_or_without_pairs(store: Store) -> None:
    other = rollout("o").model_copy(update={"user_id": "somebody else"})
    await store.publish(Published(profile("f1"), (rollout("z"), rollout("a"))))
    await store.put_pair(pair("i"), [rollout("m", item="i")])
    await store.log([other])

    assert [one.rollout_id for one in await store.user_rollouts("u")] == ["z", "a", "m"]
    assert [one.rollout_id for one in await store.user_rollouts("u", pairs=False)] == ["z", "a"]
    assert await store.user_rollouts("somebody else") == [other]
    assert await store.user_rollouts("nobody") == []


async def test_cards_are_found_by_fingerprint_and_keep_their_words(store: Store) -> None:
    own, shared = card("f1"), card("f1", item="h").model_copy(update={"shared_with": "i"})
    await store.put_cards([own, shared, card("f2")])
    await store.put_cards([card("f1", second=80, written=9).model_copy(update={"feature": "An atlas."})])
    await store.put_cards([])

    assert await store.cards(["f1", "f3"]) == [shared, own]
    assert await store.cards([]) == []
    assert len(await store.cards([f"f{number}" for number in range(1200)])) == 3


async def test_a_card_is_right_from_the_earliest_moment_it_was_asked_for(store: Store) -> None:
    await store.put_cards([card("f1", second=50)])
    assert await store.item_cards(["i"], as_of=moment(40)) == {}

    await store.put_cards([card("f1", second=30)])

    assert await store.item_cards(["i"], as_of=moment(30)) == {"i": card("f1", second=30)}
    assert await store.item_cards(["i"], as_of=moment(29.999999)) == {}


async def test_the_newest_card_of_an_item_knows_the_latest_review_and_was_written_last(store: Store) -> None:
    await store.put_cards(
        [
            card("cold", second=10, written=70),
            card("newer text", second=10, written=80),
            card("two reviews", second=40, read=35, written=60),
            card("one review", second=20, read=15, written=90),  # drawn for an earlier moment, but later
            card("other", item="j", second=20),
        ]
    )

    async def newest(second: float) -> dict[str, str]:
        found = await store.item_cards(["j", "i", "nobody"], as_of=moment(second))
        return {item_id: one.fingerprint for item_id, one in found.items()}

    assert await newest(10) == {"i": "newer text"}
    assert await newest(20) == {"i": "one review", "j": "other"}
    assert await newest(99) == {"i": "two reviews", "j": "other"}


async def test_caches_return_what_they_hold(store: Store) -> None:
    await store.cache_completions({"k1": '{"a": 1}', "k2": "{}"}, "user:u")
    await store.cache_completions({"k1": '{"a": 1}'}, "user:v")
    await store.cache_vectors("minilm", {"k1": b"\x00\x01", "k2": b"\xff"})

    assert await store.cached_completions(["k1", "k2", "k3"]) == {"k1": '{"a": 1}', "k2": "{}"}
    assert await store.cached_completions([]) == {}
    assert await store.cached_vectors("minilm", ["k1", "k3"]) == {"k1": b"\x00\x01"}
    assert await store.cached_vectors("mpnet", ["k1"]) == {}


async def _fill(store: Store, mark: str) -> None:
    """Write to every table, with ids that every tenant uses."""
    await store.record([event("e", text=mark, rating=float(len(mark)))])
    await store.put_items([Item(item_id="i", title=mark)])
    await store.add_cues("user:u", [cue("c", mark)], ["e"])
    await store.publish(
        Published(profile(mark).model_copy(update={"text": mark}), (rollout("r", user=mark),))
    )
    await store.put_pair(pair("i", mark), ())
    await store.put_cards([card("f").model_copy(update={"feature": mark})])
    await store.cache_completions({"k": mark}, "user:u")
    await store.cache_vectors("m", {"k": mark.encode()})


async def _seen(store: Store) -> list[object]:
    """Return the marks a tenant sees through every method that reads."""
    return [
        [one.text for one in await store.history("u", as_of=LATER)],
        [one.text for one in await store.item_history("i", as_of=LATER)],
        await store.rating_scale(as_of=LATER),
        await store.popular(as_of=LATER),
        await store.other_users("nobody", as_of=LATER, limit=9, seed=0),
        await gathered(store.users()),
        [[item.title for item in page] for page in await gathered(store.all_items())],
        {name: item.title for name, item in (await store.items(["i"])).items()},
        [one.text for one in await store.cues("user:u")],
        await store.cued_events("user:u"),
        [one.text for one in await store.profile_versions("u")],
        [[one.text for one in page] for page in await gathered(store.profiles())],
        [[one.user_id for one in page] for page in await gathered(store.rollouts())],
        getattr(await store.pair("u", "i"), "user", None),
        [one.feature for one in await store.cards(["f"])],
        [one.feature for one in (await store.item_cards(["i"], as_of=LATER)).values()],
        await store.cached_completions(["k"]),
        await store.cached_vectors("m", ["k"]),
        await store.counts(),
    ]


def _expected(mark: str) -> list[object]:
    length = float(len(mark))
    return [
        [mark],
        [mark],
        RatingScale(length, length, length, 1),
        [("i", 1)],
        ["u"],
        [["u"]],
        [[mark]],
        {"i": mark},
        [mark],
        {"e"},
        [mark],
        [[mark]],
        [[mark]],
        pair("i", mark).user,
        [mark],
        [mark],
        {"k": mark},
        {"k": mark.encode()},
        Counts(users=1, items=1, interactions=1, cues=1, profiles=1, rollouts=1),
    ]


async def test_tenants_do_not_see_each_other(open_tenant: OpenTenant) -> None:
    ours, theirs, empty = [await open_tenant(name) for name in ("ours", "theirs", "empty")]

    await _fill(ours, "mine")
    await _fill(theirs, "not yours")

    assert await _seen(ours) == _expected("mine")
    assert await _seen(theirs) == _expected("not yours")
    nothing: list[object] = [
        [],
        [],
        None,
        [],
        [],
        [],
        [],
        {},
        [],
        set(),
        [],
        [],
        [],
        None,
        [],
        [],
        {},
        {},
        Counts(0, 0, 0, 0, 0, 0),
    ]
    assert await _seen(empty) == nothing


async def test_what_was_written_is_there_after_opening_again(open_tenant: OpenTenant) -> None:
    first = await open_tenant("default")
    await _fill(first, "kept")
    await first.aclose()

    assert await _seen(await open_tenant("default")) == _expected("kept")
