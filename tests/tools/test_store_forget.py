"""What every `Store` forgets, what it refuses afterwards, and what it leaves alone, on SQLite and on PostgreSQL."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from limner.cards import ItemCard
from limner.errors import ForgottenMeanwhileError
from limner.models import Claim, Cue, Profile, Rollout
from limner.pairings import Pair, PairSide, Reason
from limner.receipts import ForgetKind, Scope
from limner.records import Interaction, Item, Message, Usage
from limner.tools.behalf import CATALOGUE, on_behalf
from limner.tools.sql import sql_forget
from limner.tools.sql.sql_store import SqlStore
from limner.tools.store import Published, Recorded, Store

OpenTenant = Callable[[str], Awaitable[SqlStore]]
START = datetime(2024, 1, 1, tzinfo=UTC)
ASKED = START + timedelta(days=30)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def event(
    event_id: str, at: float, *, user: str = "ada", item: str | None = "i", text: str | None = None
) -> Interaction:
    return Interaction(event_id=event_id, user_id=user, item_id=item, kind="review", at=day(at), text=text)


def profile(at: float, *, user: str = "ada") -> Profile:
    return Profile(
        user_id=user,
        version=1,
        as_of=day(at),
        text="Draws maps.",
        language="en",
        source="model",
        critic_version="c",
        fingerprint=f"f{at}",
        created_at=day(at),
    )


def rollout(
    rollout_id: str, at: float, *, user: str = "ada", item: str | None = None, group: str = "g"
) -> Rollout:
    return Rollout(
        rollout_id=rollout_id,
        run_id="run",
        user_id=user,
        item_id=item,
        round=0,
        draft_ix=0,
        group_key=group,
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
        rewards={},
        critic_version="c",
        as_of=day(at),
        held=(),
        neg_seed=0,
        prompt_id="draft",
        prompt_version=1,
        usage=Usage(),
        at=day(at),
    )


def pair(user: str, item: str, at: float, *, cites: tuple[str, ...] = ()) -> Pair:
    side = PairSide(cue="", instruction="", profile="Likes maps.")
    return Pair(
        user_id=user,
        item_id=item,
        as_of=day(at),
        user=side,
        item=side,
        affinity=0.5,
        expected_rating=None,
        reasons=(Reason(text="Both like maps.", user_evidence=("x",), item_evidence=cites),),
        language="en",
        source="model",
        critic_version="c",
        fingerprint="f",
        created_at=day(at),
    )


def card(
    item: str, *, read: tuple[str, ...], fingerprint: str = "fp", shared_with: str | None = None
) -> ItemCard:
    return ItemCard(
        item_id=item,
        liked_by="Mapmakers.",
        disliked_by="Sailors.",
        feature="A map.",
        read=read,
        claims=(Claim(text="Mapmakers.", evidence=read, confidence=1.0),),
        evidence=read,
        shared_with=shared_with,
        as_of=day(20),
        read_to=day(1),
        language="en",
        source="model",
        fingerprint=fingerprint,
        created_at=day(20),
    )


def cue(cue_id: str, *evidence: str, read_to: float | None = None) -> Cue:
    reach = None if read_to is None else (day(read_to), "e9")
    return Cue(cue_id=cue_id, text="maps", polarity="like", facet="maps", evidence=evidence, read_to=reach)


def scope(kind: ForgetKind, **named: Any) -> Scope:
    return Scope(kind=kind, at=ASKED, **named)


async def forget(store: Store, wanted: Scope) -> dict[str, int]:
    return (await store.forget_rows(await store.begin_forget(wanted))).removed


async def test_a_user_goes_whole_and_nobody_else_does(open_tenant: OpenTenant) -> None:
    mine, theirs = await open_tenant("a"), await open_tenant("b")
    for store in (mine, theirs):
        await store.record([event("e1", 1), event("e2", 2, user="bo")])
        for user in ("ada", "bo"):
            await store.add_cues(f"user:{user} by m/free/v1", [cue("c", "e1")], ["e1"])
            await store.publish(Published(profile(3, user=user), (rollout(f"r-{user}", 3, user=user),)))
            await store.put_pair(pair(user, "other", 3), [])
            await store.cache_completions({"k": "{}"}, f"user:{user}")
    counts = await theirs.counts()

    removed = await forget(mine, scope("user", user_id="ada"))

    # One each: her event, user row, cue, mark of a cued event, profile, draft, pair and cached answer.
    assert removed == dict.fromkeys(
        ("interactions", "users", "cues", "cued_events", "profiles", "rollouts", "pairs", "completions"), 1
    )
    assert await theirs.counts() == counts
    assert [users async for users in mine.users()] == [["bo"]]
    assert await mine.profile("ada") is None
    assert await mine.profile("bo") is not None
    assert len(await mine.cues("user:bo by m/free/v1")) == 1
    assert await mine.cached_completions(["k"]) == {"k": "{}"}
    assert await forget(mine, scope("user", user_id="ada")) == {}


async def test_of_one_event_goes_what_may_know_it_and_earlier_work_stays(store: SqlStore) -> None:
    await store.record([event("e1", 1), event("e2", 5, item="j"), event("e3", 9)])
    shelf = "user:ada by m/free/v1"
    cues = [
        cue("cites", "e1", "e2"),
        cue("early", "e1"),
        cue("read", "e1", read_to=6),
        cue("unread", "e1", read_to=4),
    ]
    await store.add_cues(shelf, cues, ["e1", "e2", "e3"])
    for at in (2, 6, 10):
        await store.publish(Published(profile(at), (rollout(f"r{at}", at),)))
    for item, at in (("x", 4), ("y", 6)):
        await store.put_pair(pair("ada", item, at), [])

    await forget(store, scope("event", user_id="ada", event_id="e2"))

    assert [each.event_id for each in await store.history("ada", as_of=ASKED)] == ["e1", "e3"]
    assert {each.cue_id for each in await store.cues(shelf)} == {"early", "unread"}
    # What the cues that went rested on is to be read again; e3 was read and said nothing.
    assert await store.cued_events(shelf) == {"e3"}
    assert [each.version for each in await store.profile_versions("ada")] == [1]
    assert [draft.rollout_id async for batch in store.rollouts() for draft in batch] == ["r2"]
    assert await store.pair("ada", "x") is not None
    assert await store.pair("ada", "y") is None
    assert (await store.publish(Published(profile(12), ()))).version == 4  # 2 and 3 were given


async def test_words_about_an_item_go_from_others_pairs_drafts_cues_and_cards(store: SqlStore) -> None:
    await store.record([event("said", 1, text="Lovely maps."), event("bought", 2, user="cy", item="i")])
    late, early = pair("bo", "i", 3), pair("bo", "j", 3)
    await store.put_pair(late, [rollout("shown", 3, user="bo", item="i", group="batch")])
    await store.put_pair(early, [rollout("beside", 3, user="bo", item="j", group="batch")])
    await store.put_pair(pair("cy", "j", 3), [rollout("apart", 3, user="cy", item="j", group="batch")])
    await store.put_pair(pair("di", "i", 0.5), [rollout("before", 0.5, user="di", item="i")])
    await store.add_cues(
        "item:i by m/free/v1", [cue("c", "said"), cue("other", "bought")], ["said", "bought"]
    )
    await store.put_cards([card("i", read=("said",)), card("twin", read=("said",), shared_with="i")])
    await store.put_cards([card("j", read=("bought",), fingerprint="fp2")])
    await store.cache_completions({"k1": "{}"}, "user:bo")
    await store.cache_completions({"k1": "{}", "k2": "{}"}, "item:i")
    await store.cache_completions({"k3": "{}"}, "user:cy")

    await forget(store, scope("user", user_id="ada"))

    # What one prompt asked for along with `i` showed the words too; what another user's prompt asked for did not.
    assert [draft.rollout_id async for batch in store.rollouts() for draft in batch] == ["apart", "before"]
    assert await store.pair("bo", "i") is None
    assert await store.pair("bo", "j") is None
    assert await store.pair("cy", "j") is not None
    assert await store.pair("di", "i") is not None
    assert [each.cue_id for each in await store.cues("item:i by m/free/v1")] == ["other"]
    assert [each.item_id for each in await store.cards(["fp", "fp2"])] == ["j"]
    assert await store.cached_completions(["k1", "k2", "k3"]) == {"k3": "{}"}


async def test_an_event_without_words_takes_only_what_cites_it_from_others(store: SqlStore) -> None:
    await store.record([event("e1", 1), event("e2", 1, user="cy")])
    await store.put_pair(pair("bo", "i", 3, cites=("e1",)), [])
    await store.put_pair(pair("di", "i", 3, cites=("e2",)), [])

    await forget(store, scope("user_item", user_id="ada", item_id="i"))

    assert await store.pair("bo", "i") is None
    assert await store.pair("di", "i") is not None


async def test_an_item_goes_with_all_that_anybody_did_with_it(store: SqlStore) -> None:
    await store.put_items([Item(item_id="i", title="Map"), Item(item_id="j", title="Lamp")])
    await store.record([event("e1", 1), event("e2", 2, user="bo"), event("e3", 3, user="bo", item="j")])
    await store.publish(Published(profile(2.5, user="bo"), ()))
    await store.put_pair(pair("cy", "i", 0), [])
    await store.put_cards([card("i", read=())])

    await forget(store, scope("item", item_id="i"))

    assert await store.items(["i", "j"]) == {"j": Item(item_id="j", title="Lamp")}
    assert [each.event_id for each in await store.history("bo", as_of=ASKED)] == ["e3"]
    assert not await store.has_user("ada")
    assert await store.profile("bo") is None
    assert await store.pair("cy", "i") is None
    assert await store.cards(["fp"]) == []


async def test_what_is_older_goes_in_several_transactions(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_forget, "EVENTS", 2)
    await store.record([event(f"e{number}", number) for number in range(7)])

    removed = await forget(store, scope("older", before=day(5)))

    assert removed == {"interactions": 5}
    assert [each.event_id for each in await store.history("ada", as_of=ASKED)] == ["e5", "e6"]


async def test_a_tenant_goes_and_the_other_stays(open_tenant: OpenTenant) -> None:
    mine, theirs = await open_tenant("a"), await open_tenant("b")
    for store in (mine, theirs):
        await store.put_items([Item(item_id="i")])
        await store.record([event("e1", 1)])

    assert await forget(mine, scope("tenant")) == {"interactions": 1, "items": 1, "users": 1}

    assert await mine.counts() == (0, 0, 0, 0, 0, 0)
    assert (await theirs.counts()).interactions == 1
    assert await mine.record([event("e1", 1)]) == Recorded(added=1, repeated=0)  # a tenant may begin again


async def test_counting_first_removes_nothing_and_says_the_same(store: SqlStore) -> None:
    await store.record([event("e1", 1, text="maps"), event("e2", 2)])
    await store.publish(Published(profile(3), ()))
    wanted = scope("user", user_id="ada")

    counted = await store.count_rows(wanted)

    assert (await store.counts()).interactions == 2
    assert await store.forgets() == 0
    assert await forget(store, wanted) == dict(counted) == {"interactions": 2, "profiles": 1, "users": 1}


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        (scope("user", user_id="ada"), {"old", "same item", "not yet told"}),
        (scope("user_item", user_id="ada", item_id="i"), {"old", "same item"}),
        (scope("event", user_id="ada", event_id="old"), {"old"}),
        (scope("item", item_id="i"), {"old", "same item", "by another"}),
    ],
)
async def test_what_was_forgotten_is_not_taken_again(
    store: SqlStore, wanted: Scope, refused: set[str]
) -> None:
    events = [
        event("old", 1),
        event("same item", 2),
        event("not yet told", 3, item="j"),
        event("by another", 4, user="bo"),
        event("after it was asked", 31),
    ]
    await store.record(events[:1])
    await forget(store, wanted)

    recorded = await store.record(events)

    kept = {each.event_id for user in ("ada", "bo") for each in await store.history(user, as_of=day(99))}
    assert {each.event_id for each in events} - kept == refused
    assert recorded == Recorded(added=5 - len(refused), repeated=0, forgotten=len(refused))


async def test_where_moments_only_tell_an_order_somebody_may_come_back(store: SqlStore) -> None:
    first = [
        Interaction(
            event_id=f"e{place}",
            user_id="ada",
            item_id="i",
            kind="view",
            at=datetime.fromtimestamp(place, UTC),
        )
        for place in range(4)
    ]
    await store.record(first[:3])
    await forget(store, scope("user", user_id="ada"))

    assert await store.record(first) == Recorded(added=1, repeated=0, forgotten=3)


async def test_only_users_forgotten_whole_are_named_as_such(store: SqlStore) -> None:
    await forget(store, scope("user", user_id="ada"))
    await forget(store, scope("event", user_id="bo", event_id="e"))

    assert await store.forgotten_users(["ada", "bo", "cy"]) == {"ada": ASKED}


async def test_work_that_began_before_a_forget_writes_nothing(store: SqlStore) -> None:
    await store.record([event("e1", 1)])
    before = await store.forgets()
    await forget(store, scope("user", user_id="ada"))

    with on_behalf("user:ada", since=before):
        with pytest.raises(ForgottenMeanwhileError):
            await store.publish(Published(profile(3), ()))
        with pytest.raises(ForgottenMeanwhileError):
            await store.add_cues("user:ada by x", [cue("c", "e1")], ["e1"])
        await store.cache_vectors("enc", {"k": b"\0" * 4})
    with on_behalf("user:bo", "item:i", since=before), pytest.raises(ForgottenMeanwhileError):
        await store.put_pair(pair("bo", "i", 3), [])
    with on_behalf("user:bo", since=before):
        assert (await store.publish(Published(profile(3, user="bo"), ()))).version == 1
    with on_behalf("user:ada", since=await store.forgets()):
        assert (await store.publish(Published(profile(40), ()))).version == 1

    assert await store.cached_vectors("enc", ["k"]) == {}


async def test_a_card_of_a_forgotten_review_is_not_kept(store: SqlStore) -> None:
    await store.record([event("e1", 1, text="maps"), event("e2", 1, user="bo", text="maps")])
    await forget(store, scope("user", user_id="ada"))

    await store.put_cards([card("i", read=("e1", "e2")), card("i", read=("e2",), fingerprint="fp2")])

    assert [each.fingerprint for each in await store.cards(["fp", "fp2"])] == ["fp2"]


async def test_vectors_go_with_whose_text_they_stand_for_and_those_of_nobody_with_anybody(
    store: SqlStore,
) -> None:
    for key, subjects in {"hers": ["user:ada"], "his": ["user:bo"], "both": ["user:ada", "item:i"]}.items():
        with on_behalf(*subjects):
            await store.cache_vectors("enc", {key: key.ljust(8).encode()})
    await store.cache_vectors("enc", {"nobody's": b"\0" * 4})
    with on_behalf(CATALOGUE):
        await store.cache_vectors("enc", {"publisher's": b"\0" * 4})

    await forget(store, scope("user", user_id="ada"))

    assert set(await store.cached_vectors("enc", ["hers", "his", "both", "nobody's", "publisher's"])) == {
        "his",
        "publisher's",
    }


async def test_an_unfinished_forget_says_how_far_it_is(store: SqlStore) -> None:
    wanted = scope("user", user_id="ada")
    begun = await store.begin_forget(wanted)
    assert await store.unfinished_forgets() == [begun]

    gone = await store.forget_rows(begun)
    assert (gone.state, gone.scope) == ("places", wanted)
    await store.put_forget(gone._replace(state="files", scope=None))
    assert [(each.state, each.scope) for each in await store.unfinished_forgets()] == [("files", None)]

    await store.put_forget(gone._replace(state="done", scope=None))
    assert await store.unfinished_forgets() == []


async def test_everything_about_a_user_is_told_and_nothing_about_others(store: SqlStore) -> None:
    await store.record([event("e1", 1, text="maps"), event("e2", 2, user="bo")])
    await store.publish(Published(profile(3), (rollout("r", 3),)))
    await store.add_cues("user:ada by m", [cue("c", "e1")], ["e1"])

    told = [(place, row) async for place, row in store.rows_about("ada")]

    assert [place for place, _ in told] == [
        "users",
        "interactions",
        "profiles",
        "rollouts",
        "cues",
        "cued_events",
    ]
    assert told[1][1]["text"] == "maps"
    assert told[1][1]["at"] == "2024-01-02T00:00:00+00:00"
    assert told[2][1]["data"]["text"] == "Draws maps."
    assert [entry async for entry in store.rows_about("nobody")] == []


async def test_what_is_recorded_while_a_user_is_told_neither_doubles_nor_hides_a_row(store: SqlStore) -> None:
    await store.record([event(f"e{n:03}", n) for n in range(1, 500)])  # three pages of 200
    told: list[str] = []

    async for place, row in store.rows_about("ada"):
        if place == "interactions":
            told.append(row["event_id"])
        if len(told) == 100:  # before all of the first page
            await store.record([event("e000", 1000)])

    assert told == [f"e{n:03}" for n in range(1, 500)]
