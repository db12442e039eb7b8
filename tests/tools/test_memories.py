"""Memories of assistants as rows, in every database: lifetimes, tenants, and whom they are about."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from limner.receipts import Scope
from limner.records import Interaction
from limner.tools.memories import Memories, Putting, Spot, user_label
from limner.tools.sql.sql_store import SqlStore

OpenTenant = Callable[[str], Awaitable[SqlStore]]

START = datetime(2026, 5, 1, tzinfo=UTC)
ENCODER = "hashing-v1"


def minutes(count: float) -> datetime:
    return START + timedelta(minutes=count)


async def keep(
    memories: Memories,
    *labels: str,
    key: str = "k",
    value: Mapping[str, Any] | None = None,
    user_id: str | None = None,
    lifetime: float | None = None,
    at: datetime = START,
) -> None:
    putting = Putting(
        spot=Spot(labels, key),
        value={"text": "some words"} if value is None else value,
        paths=("$",),
        vectors={"$": b"\0\0\0\0"},
        user_id=user_id,
        lifetime=None if lifetime is None else timedelta(minutes=lifetime),
    )
    await memories.put([putting], encoder=ENCODER, now=at)


async def test_replacing_keeps_when_and_where_it_was_first_put(store: SqlStore) -> None:
    for minute, key in enumerate(("first", "second", "first")):
        await keep(store.memories, "notes", key=key, value={"n": minute}, at=minutes(minute))

    found = await store.memories.under(("notes",), now=minutes(9))

    assert [(memory.spot.key, memory.value, memory.created_at, memory.updated_at) for memory in found] == [
        ("first", {"n": 2}, minutes(0), minutes(2)),
        ("second", {"n": 1}, minutes(1), minutes(1)),
    ]


async def test_writers_of_one_memory_leave_one_with_its_own_vectors(open_tenant: OpenTenant) -> None:
    stores = [await open_tenant("default") for _ in range(3)]
    await asyncio.gather(
        *(
            keep(stores[ix % 3].memories, "notes", key=key, value={"n": ix}, user_id=str(ix))
            for ix in range(30)
            for key in ("a", "b")
        )
    )

    found = await stores[0].memories.under(("notes",), now=START)

    assert sorted(memory.spot.key for memory in found) == ["a", "b"]
    assert await _rows(stores[0], "memory_vectors") == 2


async def test_a_label_is_never_taken_for_the_beginning_of_another(store: SqlStore) -> None:
    for label in ("a", "ab", "a-", "A", "a/b", "a%", "é"):
        await keep(store.memories, label, "x")

    found = await store.memories.under(("a",), now=START)

    assert [memory.spot.namespace for memory in found] == [("a", "x")]
    assert set(await store.memories.vectors(("a",), encoder=ENCODER)) == {Spot(("a", "x"), "k")}


async def test_what_has_expired_is_not_there_and_goes_with_the_next_write(
    store: SqlStore,
) -> None:
    memories = store.memories
    await keep(memories, "short", lifetime=10)
    await keep(memories, "long", lifetime=20)
    await keep(memories, "ever")

    assert await memories.namespaces(now=minutes(9.9)) == [("ever",), ("long",), ("short",)]
    assert await memories.namespaces(now=minutes(10)) == [("ever",), ("long",)]
    assert await memories.at([Spot(("short",), "k")], now=minutes(10)) == {}
    assert await memories.under(("short",), now=minutes(10)) == []
    assert await _rows(store, "memories") == 3
    await keep(memories, "new", at=minutes(10))
    assert await _rows(store, "memories") == 3  # `short` went as `new` came
    assert await _rows(store, "memory_vectors") == 3
    assert await memories.sweep(now=minutes(20)) == 1
    assert await memories.namespaces(now=minutes(20)) == [("ever",), ("new",)]


async def test_touching_begins_a_lifetime_anew(store: SqlStore) -> None:
    spot = Spot(("notes",), "k")
    await keep(store.memories, "notes", lifetime=10)

    await store.memories.touch([spot], now=minutes(6))

    assert await store.memories.at([spot], now=minutes(15.9)) != {}
    assert await store.memories.at([spot], now=minutes(16)) == {}


async def test_vectors_of_what_was_replaced_meanwhile_are_not_kept(store: SqlStore) -> None:
    await keep(store.memories, "notes")
    [old] = await store.memories.under(("notes",), now=START)
    await keep(store.memories, "notes", value={"text": "other words"}, at=minutes(1))
    [new] = await store.memories.under(("notes",), now=minutes(1))

    await store.memories.add_vectors([(old, {"$": b"old "})], encoder="another")
    assert await store.memories.vectors(("notes",), encoder="another") == {}
    await store.memories.add_vectors([(new, {"$": b"new "})], encoder="another")
    assert await store.memories.vectors(("notes",), encoder="another") == {new.spot: [b"new "]}
    assert await store.memories.vectors(("notes",), encoder=ENCODER) == {}


async def test_tenants_see_nothing_of_each_other(open_tenant: OpenTenant) -> None:
    ours, theirs = await open_tenant("ours"), await open_tenant("theirs")
    await keep(ours.memories, "users", "ada", value={"text": "ours"}, lifetime=5)
    await keep(theirs.memories, "users", "ada", value={"text": "theirs"})

    [memory] = await theirs.memories.under((), now=START)
    assert memory.value == {"text": "theirs"}
    assert await theirs.memories.sweep(now=minutes(60)) == 0
    await _forget(theirs, "ada")
    assert await theirs.memories.under((), now=START) == []
    assert [memory.value for memory in await ours.memories.under((), now=START)] == [{"text": "ours"}]


async def test_forgetting_a_user_takes_what_is_about_the_user_and_nothing_else(store: SqlStore) -> None:
    memories = store.memories
    event = Interaction(user_id="memories", item_id="i", kind="view", at=START)
    await store.record([event, event.model_copy(update={"user_id": "ada", "event_id": "e2"})])
    mail = "ada.a@example.org"
    await keep(memories, "users", "ada", "diet")  # by the label before
    await keep(memories, "users", key="ada")  # by the key behind it
    await keep(memories, "memories", "zoe", user_id="zoe")  # by the run that wrote it
    await keep(memories, "threads", "t1", "ada")  # by the only user it names
    await keep(memories, "letters", user_label(mail))  # nobody is recorded so, but it is named
    await keep(memories, "users", "bo", "memories")
    await keep(memories, "recipes", key="soup")
    await keep(memories, "recipes", "Ada")

    async def left() -> list[tuple[str, ...]]:
        return [(*memory.spot.namespace, memory.spot.key) for memory in await memories.under((), now=START)]

    # A user whose id is also a label that others use takes nothing of theirs along.
    await _forget(store, "memories")
    assert len(await left()) == 8
    for user_id in ("ada", mail, "zoe"):
        await _forget(store, user_id)
    assert await left() == [("users", "bo", "memories", "k"), ("recipes", "soup"), ("recipes", "Ada", "k")]
    assert await _rows(store, "memory_vectors") == 3


async def _rows(store: SqlStore, table: str) -> int:
    return await store.engine.read(
        lambda db: int(db.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
    )


async def _forget(store: SqlStore, user_id: str) -> None:
    await store.forget_rows(await store.begin_forget(Scope(kind="user", user_id=user_id, at=START)))
