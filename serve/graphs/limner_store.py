"""LangGraph's long-term memory, kept in Limner's database beside what it is about.

A namespace of its own, `("limner", user_label(user_id))`, can be read and not written: its keys `profile` and
`context` are the user's newest portrait and what to tell an assistant about the user.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    validate_op_namespace,
)

from ...errors import InputError
from ...tools.clock import Clock, SystemClock
from ...tools.embedder import Embedder
from ...tools.encoders import without_store
from ...tools.memories import Memory, Namespace, Putting, Spot, user_of_label
from .matching import matches, takes
from .meaning import WHOLE, nearest, texts_of, vectors_of
from .nodes import user_of_run

if TYPE_CHECKING:
    from ...face import Limner
    from ...tools.memories import Memories

ROOT = "limner"
"""First label of the namespaces that hold portraits and contexts."""

PROFILE, CONTEXT = "profile", "context"

_OPERATIONS = (GetOp, SearchOp, PutOp, ListNamespacesOp)


class LimnerStore(BaseStore):
    """A `BaseStore` over an open Limner, bound to its tenant; durable, searched with its encoder.

    Make it inside the event loop that Limner was opened in. Nodes that are plain functions may call its synchronous
    methods, since LangGraph runs them in threads.

    What has expired is never returned; it is deleted with the next write, or by `sweep_ttl`. A `put` that replaces
    something keeps the moment it was created. Namespaces that hold nothing are not listed.

    Args:
        limner: Where everything is kept.
        fields: Parts of a value that are embedded where `put` names none, in LangGraph's notation; none for no search
            by meaning.
        ttl: How long memories stay by default, in minutes, and whether reading begins that anew.
        clock: A source of time; the machine's own if absent.
    """

    supports_ttl = True

    def __init__(
        self,
        limner: "Limner",
        *,
        fields: Sequence[str] = (WHOLE,),
        ttl: TTLConfig | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.ttl_config = ttl
        self._limner, self._fields = limner, tuple(fields)
        self._clock = clock or SystemClock()
        self._loop = asyncio.get_running_loop()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations from another thread than the event loop's; see `abatch`.

        Raises:
            RuntimeError: This is the event loop's thread, which would wait for itself.
        """
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            raise RuntimeError(
                "this is the event loop's own thread; `await` the method with `a` in front of its name"
            )
        return asyncio.run_coroutine_threadsafe(self.abatch(ops), self._loop).result()

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations: all that read see what was there before, then all that write, in one transaction.

        Returns:
            An `Item` or nothing for `GetOp`, a list for `SearchOp` and `ListNamespacesOp`, nothing for `PutOp`.

        Raises:
            InvalidNamespaceError: A label is empty, no text, or has a dot in it; see `tools.memories.user_label`.
            InputError: A value is no JSON, or the namespace can only be read.
        """
        asked = list(ops)
        for op in asked:
            validate_op_namespace(op)
        if unknown := [type(op) for op in asked if type(op) not in _OPERATIONS]:
            raise ValueError(f"Unknown operation type: {unknown[0]}")
        puts = [_checked(op) for op in asked if isinstance(op, PutOp)]
        found = await self._get([op for op in asked if isinstance(op, GetOp)])
        results: list[Result] = []
        for op in asked:
            if isinstance(op, GetOp):
                results.append(found.get(Spot(op.namespace, op.key)))
            elif isinstance(op, SearchOp):
                results.append(await self._search(op))
            elif isinstance(op, ListNamespacesOp):
                results.append(await self._list(op))
            else:
                results.append(None)
        await self._put(list({Spot(op.namespace, op.key): op for op in puts}.values()))
        return results

    async def sweep_ttl(self) -> int:
        """Delete what has expired; return how much."""
        return await self._memories.sweep(now=self._clock.now())

    @property
    def _memories(self) -> "Memories":
        return self._limner.doors.store.memories

    @property
    def _embedder(self) -> Embedder:
        # Vectors lie beside what they stand for, and go with it; no other copy is kept.
        return without_store(self._limner.doors.embedder, in_memory=0)

    async def _get(self, ops: Sequence[GetOp]) -> dict[Spot, Item]:
        spots = [Spot(op.namespace, op.key) for op in ops]
        stored = [spot for spot in spots if not _is_told(spot.namespace)]
        found = await self._memories.at(stored, now=self._clock.now()) if stored else {}
        touched = {Spot(op.namespace, op.key) for op in ops if op.refresh_ttl}
        await self._touch([memory for spot, memory in found.items() if spot in touched])
        items = {spot: _item(memory) for spot, memory in found.items()}
        for namespace in {spot.namespace for spot in spots if _is_told(spot.namespace)}:
            items.update((Spot(item.namespace, item.key), item) for item in await self._told(namespace, None))
        return items

    async def _search(self, op: SearchOp) -> list[SearchItem]:
        if _is_told(op.namespace_prefix):
            told = await self._told(op.namespace_prefix, op.query)
            wanted = [item for item in told if takes(op.filter, item.value)]
            return wanted[op.offset : op.offset + op.limit]
        there = await self._memories.under(op.namespace_prefix, now=self._clock.now())
        candidates = [memory for memory in there if takes(op.filter, memory.value)]
        if op.query and self._fields:
            found = await self._nearest(op, op.query, candidates)
        else:
            found = [(None, memory) for memory in candidates[op.offset : op.offset + op.limit]]
        if op.refresh_ttl:
            await self._touch([memory for _, memory in found])
        return [_search_item(memory, score) for score, memory in found]

    async def _nearest(
        self, op: SearchOp, query: str, candidates: list[Memory]
    ) -> list[tuple[float | None, Memory]]:
        embedder = self._embedder
        vectors = await self._memories.vectors(op.namespace_prefix, encoder=embedder.name)
        # An encoder that was changed since finds no vectors of its own; they are made now, once.
        blind = [memory for memory in candidates if memory.paths and memory.spot not in vectors]
        if blind:
            made = await vectors_of(embedder, [texts_of(memory.value, memory.paths) for memory in blind])
            await self._memories.add_vectors(list(zip(blind, made, strict=True)), encoder=embedder.name)
            vectors |= {memory.spot: list(named.values()) for memory, named in zip(blind, made, strict=True)}
        [asked] = await embedder.embed([query])
        return nearest(asked, candidates, vectors, offset=op.offset, limit=op.limit)

    async def _list(self, op: ListNamespacesOp) -> list[Namespace]:
        there = await self._memories.namespaces(now=self._clock.now())
        found = [namespace for namespace in there if matches(op.match_conditions, namespace)]
        if op.max_depth is not None:
            found = sorted({namespace[: op.max_depth] for namespace in found})
        return found[op.offset : op.offset + op.limit]

    async def _put(self, ops: Sequence[PutOp]) -> None:
        if not ops:
            return
        paths = [self._paths(op) for op in ops]
        texts = [texts_of(op.value or {}, path) for op, path in zip(ops, paths, strict=True)]
        embedder = self._embedder
        vectors = await vectors_of(embedder, texts)
        user_id = user_of_run()
        puttings = [
            Putting(
                spot=Spot(op.namespace, op.key),
                value=op.value,
                paths=path,
                vectors=made,
                user_id=user_id,
                lifetime=None if op.ttl is None else timedelta(minutes=op.ttl),
            )
            for op, path, made in zip(ops, paths, vectors, strict=True)
        ]
        await self._memories.put(puttings, encoder=embedder.name, now=self._clock.now())

    def _paths(self, op: PutOp) -> tuple[str, ...]:
        if op.value is None or op.index is False or not self._fields:
            return ()
        return self._fields if op.index is None else tuple(op.index)

    async def _touch(self, memories: Sequence[Memory]) -> None:
        spots = [memory.spot for memory in memories if memory.lifetime is not None]
        if spots:
            await self._memories.touch(spots, now=self._clock.now())

    async def _told(self, namespace: Namespace, query: str | None) -> list[SearchItem]:
        """Return what a namespace below `ROOT` holds: the portrait, if there is one, and the context."""
        if len(namespace) != 2:
            return []
        user_id = user_of_label(namespace[1])
        profile = await self._limner.doors.store.profile(user_id)
        context = await self._limner.context(user_id, query)
        now = self._clock.now()
        moment = profile.created_at if profile else now
        told = {**context.model_dump(mode="json"), "text": context.text}
        items = [SearchItem(namespace, CONTEXT, told, moment, now)]
        if profile:
            items.insert(0, SearchItem(namespace, PROFILE, profile.model_dump(mode="json"), moment, moment))
        return items


def _is_told(namespace: Sequence[str]) -> bool:
    return bool(namespace) and namespace[0] == ROOT


def _checked(op: PutOp) -> PutOp:
    """Return a write whose value went through JSON; refuse it otherwise, before anything is written."""
    if _is_told(op.namespace):
        raise InputError(
            f"`namespace` {op.namespace!r} can only be read; put memories under another first label than {ROOT!r}"
        )
    try:
        "".join((*op.namespace, op.key)).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{op.namespace!r}, {op.key!r} is no text: {error.reason}") from error
    if op.value is None:
        return op
    try:
        value: object = json.loads(json.dumps(op.value))
    except (TypeError, ValueError) as error:
        raise InputError(f"`value` of {op.namespace!r}, {op.key!r} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(
            f"`value` of {op.namespace!r}, {op.key!r} must be a mapping, got {type(op.value).__name__}"
        )
    return op._replace(value=cast("Mapping[str, Any]", value))  # JSON's objects have text for keys


def _item(memory: Memory) -> Item:
    return Item(
        value=memory.value,
        key=memory.spot.key,
        namespace=memory.spot.namespace,
        created_at=memory.created_at,
        updated_at=memory.updated_at,
    )


def _search_item(memory: Memory, score: float | None) -> SearchItem:
    return SearchItem(
        memory.spot.namespace, memory.spot.key, memory.value, memory.created_at, memory.updated_at, score
    )
