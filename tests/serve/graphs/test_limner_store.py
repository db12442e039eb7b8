"""What Limner's store promises beyond LangGraph's own: it lasts, expires, tells portraits and follows forgetting."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.store.base import BaseStore, PutOp

from limner import Limner
from limner.errors import InputError
from limner.serve.graphs.limner_store import LimnerStore
from limner.settings import Settings
from limner.tools.clock import ManualClock
from limner.tools.embedder import HashingEmbedder
from limner.tools.memories import user_label

Draw = Callable[[str], Awaitable[None]]

MAIL = "ada.a@example.org"


@pytest.fixture
async def store(limner: Limner, clock: ManualClock) -> LimnerStore:
    return LimnerStore(limner, clock=clock)


async def test_what_was_put_is_there_after_reopening(settings: Settings) -> None:
    async with Limner(settings) as limner:
        value = {"text": "no nuts 🥜", "n": [1, None], "cut": "\ud83d"}
        await LimnerStore(limner).aput(("users", user_label(MAIL)), "diet", value)

    async with Limner(settings) as limner:
        item = await LimnerStore(limner).aget(("users", user_label(MAIL)), "diet")
        assert item is not None
        assert item.value == value
    async with Limner(settings.model_copy(update={"tenant": "other"})) as limner:
        assert await LimnerStore(limner).asearch(()) == []


@pytest.mark.parametrize("read", ["get", "search", "neither"])
async def test_reading_begins_a_lifetime_anew_unless_told_not_to(
    read: str, store: LimnerStore, clock: ManualClock
) -> None:
    await store.aput(("notes",), "k", {"n": 1}, ttl=10)
    clock.advance(9 * 60)
    if read == "get":
        assert await store.aget(("notes",), "k") is not None
    elif read == "search":
        assert len(await store.asearch(("notes",))) == 1
    else:
        assert await store.aget(("notes",), "k", refresh_ttl=False) is not None
        assert len(await store.asearch(("notes",), refresh_ttl=False)) == 1
    clock.advance(9 * 60)

    assert (await store.aget(("notes",), "k") is None) == (read == "neither")


async def test_the_default_lifetime_is_that_of_the_store_and_a_sweep_deletes(
    limner: Limner, clock: ManualClock
) -> None:
    store = LimnerStore(limner, ttl={"default_ttl": 5, "refresh_on_read": False}, clock=clock)
    await store.aput(("notes",), "short", {})
    await store.aput(("notes",), "long", {}, ttl=7.5)
    await store.aput(("notes",), "ever", {}, ttl=None)

    clock.advance(5 * 60)
    assert [item.key for item in await store.asearch(("notes",))] == ["long", "ever"]
    clock.advance(3 * 60)
    assert await store.sweep_ttl() == 2
    assert await store.sweep_ttl() == 0


async def test_another_encoder_finds_what_was_put_before_it_came(store: LimnerStore, limner: Limner) -> None:
    await store.aput(("notes",), "lamp", {"text": "a blue lamp"})
    await store.aput(("notes",), "unseen", {"text": "a blue lamp"}, index=False)

    class Wider(HashingEmbedder):
        name = "wider"

    wider = Wider(128)
    # As a restart with another setting would have it.
    limner._opened = replace(limner.doors, embedder=wider)  # pyright: ignore[reportPrivateUsage] # there is no verb for it
    for _ in range(2):
        first, second = await store.asearch(("notes",), query="blue lamp")
        assert (first.key, second.key, second.score) == ("lamp", "unseen", None)
        assert first.score == pytest.approx(1 / 8**0.5)  # of 4 words `blue` is among the 2 asked for
    assert wider.texts.count('{"text": "a blue lamp"}') == 1


async def test_a_portrait_and_a_context_can_be_read_under_a_users_label(
    store: LimnerStore, limner: Limner, draw: Draw
) -> None:
    await draw(MAIL)
    here = ("limner", user_label(MAIL))
    profile = await limner.stored_profile(MAIL)
    assert profile is not None

    item = await store.aget(here, "profile")
    assert item is not None
    assert item.value == profile.model_dump(mode="json")
    assert item.created_at == profile.created_at
    told = await store.asearch(here, query="orchids")
    assert [one.key for one in told] == ["profile", "context"]
    assert told[1].value["text"] == (await limner.context(MAIL, "orchids")).text
    assert [one.key for one in await store.asearch(here, filter={"known": True})] == ["context"]
    assert await store.asearch(("limner",)) == []
    assert await store.alist_namespaces() == []


async def test_nobody_known_has_no_portrait_and_a_context_that_says_so(store: LimnerStore) -> None:
    assert await store.aget(("limner", "nobody"), "profile") is None
    item = await store.aget(("limner", "nobody"), "context")

    assert item is not None
    assert item.value["known"] is False
    assert item.value["stable"]


@pytest.mark.parametrize(
    ("namespace", "value"),
    [
        (("limner", "ada"), {"n": 1}),
        (("notes",), {"n": object()}),
        (("notes",), {"n": {1, 2}}),
        (("half \ud83d",), {"n": 1}),
    ],
)
async def test_nothing_is_written_if_one_of_several_cannot_be(
    namespace: tuple[str, ...], value: dict[str, Any], store: LimnerStore
) -> None:
    with pytest.raises(InputError, match=r"can only be read|is no JSON|is no text"):
        await store.abatch([PutOp(("notes",), "good", {"n": 1}), PutOp(namespace, "bad", value)])

    assert await store.asearch(()) == []


async def test_plain_functions_in_threads_use_the_same_store(store: LimnerStore) -> None:
    def work() -> Any:
        store.put(("notes",), "k", {"n": 1})
        return store.get(("notes",), "k")

    item = await asyncio.to_thread(work)

    assert item.value == {"n": 1}
    with pytest.raises(RuntimeError, match=r"`await` the method with `a` in front"):
        store.get(("notes",), "k")


async def test_many_writers_lose_nothing(store: LimnerStore) -> None:
    await asyncio.gather(*(store.aput(("notes", f"n{ix % 5}"), f"k{ix}", {"n": ix}) for ix in range(100)))

    found = await store.asearch(("notes",), limit=1000)
    assert sorted(item.value["n"] for item in found) == list(range(100))


async def test_forgetting_a_user_takes_what_a_run_for_the_user_put_away(
    store: LimnerStore, limner: Limner, draw: Draw
) -> None:
    """A node knows whom its graph runs for, so that its memories need no convention."""

    async def remember(state: MessagesState, *, store: BaseStore) -> dict[str, Any]:
        await store.aput(("diets", user_label(MAIL)), "d1", {"text": "marker-one"})
        await store.aput(("shared",), "d2", {"text": "everybody's"})
        return {}

    builder = StateGraph(MessagesState)
    builder.add_node("remember", remember)
    builder.add_edge(START, "remember")
    builder.add_edge("remember", END)
    graph = builder.compile(store=store)
    await draw(MAIL)
    await draw("bo")
    await graph.ainvoke({"messages": []}, {"configurable": {"user_id": MAIL}})
    await store.aput(("users", "bo"), "diet", {"text": "bo's"})
    exported = await limner.export_user(MAIL)

    receipt = await limner.forget(MAIL)

    assert [row["value"] for row in exported["memories"]] == [{"text": "marker-one"}]
    assert (receipt.removed["memories"], receipt.removed["memory_vectors"]) == (1, 1)
    assert [item.value["text"] for item in await store.asearch(())] == ["everybody's", "bo's"]
    files = [path for path in limner.settings.store.rglob("*") if path.is_file()]
    assert [path for path in files if b"marker-one" in path.read_bytes()] == []
