"""The same operations on LangGraph's own store in memory and on Limner's give the same answers."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import product
from typing import Any

import pytest
from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

from limner import Limner
from limner.serve.graphs.limner_store import LimnerStore
from limner.tools.embedder import HashingEmbedder
from limner.tools.schemas import is_array

Answers = list[Any]
Scenario = Callable[[BaseStore], Awaitable[Answers]]

BOOKS: dict[str, dict[str, Any]] = {
    "b1": {"title": "red lamp", "price": 3, "by": {"name": "ada", "age": 9}, "tags": ["old", "red"]},
    "b2": {"title": "blue lamp", "price": 5.5, "by": {"name": "bo"}, "tags": ["new"]},
    "b3": {"title": "blue kettle", "price": 8, "by": None, "tags": []},
}


async def _embed(texts: Sequence[str]) -> list[list[float]]:
    return [[float(number) for number in row] for row in await HashingEmbedder().embed(texts)]


@pytest.fixture
def oracle() -> InMemoryStore:
    return InMemoryStore(index=IndexConfig(dims=64, embed=_embed, fields=["$"]))


def _plain(answer: Any) -> Any:
    """Leave out moments, which depend on the clock."""
    if is_array(answer):
        return [_plain(entry) for entry in answer]
    if isinstance(answer, Item):
        score = getattr(answer, "score", None)
        return (answer.namespace, answer.key, answer.value, None if score is None else round(score, 5))
    return answer


async def _fill(store: BaseStore) -> None:
    for key, value in BOOKS.items():
        await store.aput(("shop", "books"), key, value)
    await store.aput(("shop", "lists", "ada"), "wishes", {"title": "lamp wishes", "n": 2})
    await store.aput(("users", "ada"), "diet", {"text": "no nuts"})
    await store.aput(("users", "bo"), "diet", {"text": "eats everything"})


async def _keys(store: BaseStore) -> Answers:
    await _fill(store)
    await store.aput(("shop", "books"), "b1", {"title": "green lamp"})
    await store.adelete(("shop", "books"), "b2")
    await store.adelete(("shop", "books"), "never there")
    await store.aput(("shop", "books"), "b2", {"title": "back again"})
    return [
        *[await store.aget(("shop", "books"), key) for key in ("b1", "b2", "b3", "b4")],
        await store.aget(("shop",), "b1"),
        await store.asearch(("shop", "books")),
    ]


async def _prefixes(store: BaseStore) -> Answers:
    await _fill(store)
    await store.aput(("shops",), "other", {"n": 1})
    return [
        await store.asearch(prefix, limit=limit, offset=offset)
        for prefix in ((), ("shop",), ("shop", "books"), ("sho",), ("shop", "books", "b1"), ("shops",))
        for limit, offset in ((10, 0), (2, 0), (2, 1), (10, 5))
    ]


async def _filters(store: BaseStore) -> Answers:
    await _fill(store)
    wanted: list[dict[str, Any]] = [
        {"title": "red lamp"},
        {"title": "red lamp", "price": 5.5},
        {"price": {"$eq": 3}},
        {"price": {"$ne": 3}},
        *({"price": {name: 5.5}} for name in ("$gt", "$gte", "$lt", "$lte")),
        {"price": {"$gt": 3, "$lt": 8}},
        {"by": {"name": "ada"}},
        {"by": {"name": "ada", "age": {"$lt": 10}}},
        {"by": None},
        {"missing": None},
        {"tags": ["new"]},
        {"tags": ["red", "old"]},
        {"tags": []},
        {},
    ]
    return [await store.asearch(("shop", "books"), filter=one) for one in wanted]


async def _meaning(store: BaseStore) -> Answers:
    await _fill(store)
    await store.aput(("shop", "books"), "unseen", {"title": "blue lamp unseen"}, index=False)
    await store.aput(
        ("shop", "books"),
        "partly",
        {"title": "teapot", "notes": ["blue", "lamp"]},
        index=["title", "notes[*]"],
    )
    return [
        await store.asearch(("shop", "books"), query="blue lamp"),
        await store.asearch(("shop", "books"), query="blue lamp", limit=2),
        await store.asearch(("shop", "books"), query="blue lamp", limit=2, offset=1),
        await store.asearch(("shop",), query="blue lamp", filter={"price": {"$ne": 3}}),
        await store.asearch(("nowhere",), query="blue lamp"),
        await store.asearch(("shop", "books"), query=""),
    ]


async def _namespaces(store: BaseStore) -> Answers:
    await _fill(store)
    await store.aput(("a", "b", "c"), "k", {})
    await store.aput(("a", "b", "d", "e"), "k", {})
    await store.aput(("a", "b", "d", "i"), "k", {})
    asked: list[dict[str, Any]] = [
        {},
        {"prefix": ("a", "b")},
        {"prefix": ("a", "b"), "max_depth": 3},
        {"suffix": ("ada",)},
        {"prefix": ("*", "b")},
        {"prefix": ("a",), "suffix": ("d", "*")},
        {"max_depth": 1},
        {"max_depth": 2, "limit": 2},
        {"limit": 3, "offset": 2},
        {"prefix": ("a", "b", "c", "d")},
    ]
    return [await store.alist_namespaces(**one) for one in asked]


async def _batches(store: BaseStore) -> Answers:
    await _fill(store)
    here = ("shop", "books")
    first = await store.abatch(
        [
            PutOp(here, "b1", {"title": "first"}),
            GetOp(here, "b1"),
            SearchOp(here, {"title": "first"}),
            PutOp(here, "b1", {"title": "second"}),
            PutOp(here, "b2", None),
            GetOp(here, "b2"),
            ListNamespacesOp((MatchCondition("prefix", ("shop",)),)),
            PutOp(("new",), "k", {"x": 1}),
        ]
    )
    return [*first, *await store.abatch([GetOp(here, "b1"), GetOp(here, "b2"), GetOp(("new",), "k")])]


SCENARIOS: dict[str, Scenario] = {
    "keys": _keys,
    "prefixes": _prefixes,
    "filters": _filters,
    "meaning": _meaning,
    "namespaces": _namespaces,
    "batches": _batches,
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_it_answers_as_the_store_in_memory_does(
    name: str, limner: Limner, oracle: InMemoryStore
) -> None:
    expected = [_plain(answer) for answer in await SCENARIOS[name](oracle)]

    found = [_plain(answer) for answer in await SCENARIOS[name](LimnerStore(limner))]

    assert any(expected)
    assert found == expected


BAD_NAMESPACES: tuple[Any, ...] = ((), ("",), ("a.b",), ("a", 3), ("langgraph", "x"), ("a\x00",))


async def test_it_refuses_the_same_namespaces(limner: Limner, oracle: InMemoryStore) -> None:
    ours = LimnerStore(limner)
    stores: tuple[BaseStore, ...] = (oracle, ours)

    for store, namespace in product(stores, BAD_NAMESPACES):
        with pytest.raises(InvalidNamespaceError):
            await store.aput(namespace, "k", {})
        assert await store.alist_namespaces() == []
    for namespace in (namespace for namespace in BAD_NAMESPACES if namespace not in ((), ("langgraph", "x"))):
        with pytest.raises(InvalidNamespaceError):
            await ours.abatch([PutOp(namespace, "k", {})])


async def test_it_refuses_the_same_operators(limner: Limner, oracle: InMemoryStore) -> None:
    stores: tuple[BaseStore, ...] = (oracle, LimnerStore(limner))

    for store in stores:
        await _fill(store)
        with pytest.raises(ValueError, match=r"Unsupported operator: \$near"):
            await store.asearch(("shop", "books"), filter={"price": {"$near": 3}})
        for nonsense in (None, "get"):
            operations: Any = [nonsense]
            with pytest.raises(ValueError, match="Unknown operation type"):
                await store.abatch(operations)


async def test_a_size_of_something_that_has_none_is_not_met(limner: Limner) -> None:
    """Here the store in memory fails, so that there is nothing to compare with."""
    store = LimnerStore(limner)
    await _fill(store)

    assert await store.asearch(("shop", "books"), filter={"title": {"$gt": 3}}) == []
    assert await store.asearch(("users",), filter={"price": {"$gt": 3}}) == []
