"""Forget: a tombstone first, then what was derived and the rows, then every other place, then the files' free bytes.

Each step is durable before the next, and each may be done again, so a forget that was killed anywhere goes on from
what the store says about it. One forget runs at a time on a folder.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...receipts import Receipt, Scope
from ..catalogue import Catalogue
from ..embedder import Embedder
from ..encoders import CachedEmbedder
from ..store import Forget, Store
from .forget_checkpoints import forget_checkpoints, users_of_checkpoints
from .forget_files import forget_files

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

LOCK = "forget.lock"
_POLL = 0.05


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """Forgets on behalf of one tenant; safe to use from many tasks and processes at once."""

    store: Store
    catalogue: Catalogue
    embedder: Embedder
    saver: "BaseCheckpointSaver[Any]"
    folder: Path
    """The store's folder."""

    tenant: str
    server: bool = False
    """Whether the database is a server, which keeps logs of its own."""

    remote_index: bool = False
    """Whether the index is a server, which keeps files of its own."""

    async def forget(self, scope: Scope, *, scrub: bool = True) -> Receipt:
        """Forget, and say what that removed.

        Args:
            scope: What.
            scrub: Whether to rewrite the files too, which takes as long as copying them and holds up writers;
                otherwise the next `resume` does it.

        Raises:
            StoreError: A place cannot be written; `resume` goes on.
        """
        async with self._alone(wait=True):
            forget = await self._run(await self.store.begin_forget(scope))
            if scrub:
                forget = await self._scrub(forget)
            return await self._receipt(scope, forget.removed, finished=forget.state == "done")

    async def rehearse(self, scope: Scope) -> Receipt:
        """Say what a forget would remove; nothing is touched. Vectors of the index are not counted."""
        removed = dict(await self.store.count_rows(scope))
        removed |= forget_files(self.folder, self.tenant, scope, dry_run=True)
        removed["checkpoints"] = await forget_checkpoints(self.saver, self.tenant, scope, dry_run=True)
        receipt = await self._receipt(scope, removed, finished=True)
        return receipt.model_copy(update={"dry_run": True})

    async def resume(self, *, wait: bool = True) -> int:
        """Finish what was begun and not finished; return how many forgets that were.

        Args:
            wait: Whether to wait for another process that forgets; otherwise it is left to that one.
        """
        async with self._alone(wait=wait) as taken:
            if taken:
                await self._sweep()
            left = await self.store.unfinished_forgets() if taken else []
            reached = [await self._run(forget) for forget in left]
            for forget in reached[:1]:  # one rewriting serves all
                await self._scrub(forget)
            for forget in reached[1:]:
                await self.store.put_forget(forget._replace(state="done"))
        return len(left)

    async def _sweep(self) -> None:
        """Remove what runs left that were killed after the user they were about had been forgotten."""
        found = await self.store.cached_for() | await users_of_checkpoints(self.saver, self.tenant)
        for user_id, until in (await self.store.forgotten_users(found)).items():
            if not await self.store.has_user(user_id):
                await self.store.drop_caches([f"user:{user_id}"])
                await forget_checkpoints(
                    self.saver, self.tenant, Scope(kind="user", user_id=user_id, at=until)
                )

    async def _run(self, forget: Forget) -> Forget:
        """Remove what a forget names from every place; after that nothing in the store names it."""
        forget = await self.store.forget_rows(forget)
        if forget.state != "places" or forget.scope is None:
            return forget
        scope = forget.scope
        removed = dict(forget.removed)
        places = forget_files(self.folder, self.tenant, scope)
        places["checkpoints"] = await forget_checkpoints(self.saver, self.tenant, scope)
        places["index vectors"] = await self._forget_vectors(scope)
        if isinstance(self.embedder, CachedEmbedder):
            self.embedder.forget()
        for place, count in places.items():
            removed[place] = removed.get(place, 0) + count
        forget = forget._replace(state="files", scope=None, removed=removed)
        await self.store.put_forget(forget)
        return forget

    async def _forget_vectors(self, scope: Scope) -> int:
        if scope.kind == "tenant":
            held = len(await self.catalogue.item_ids())
            await self.catalogue.reset()
            return held
        if scope.user_id is not None:  # of a portrait that is gone, whatever part of the history it knew
            return await self.catalogue.forget_user(scope.user_id)
        items = [scope.item_id] if scope.item_id is not None else []
        return await self.catalogue.forget_portraits() + await self.catalogue.forget_items(items)

    async def _scrub(self, forget: Forget) -> Forget:
        await self.catalogue.scrub()
        await self.store.scrub()
        scrub: Any = getattr(self.saver, "scrub", None)  # PostgreSQL's lies in the store's own database
        if scrub is not None:
            await scrub()
        forget = forget._replace(state="done")
        await self.store.put_forget(forget)
        return forget

    async def _receipt(self, scope: Scope, removed: dict[str, int], *, finished: bool) -> Receipt:
        return Receipt(
            **scope.model_dump(),
            removed={place: count for place, count in sorted(removed.items()) if count},
            kept=await self._kept(scope, anything=any(removed.values())),
            finished=finished,
        )

    async def _kept(self, scope: Scope, *, anything: bool) -> dict[str, str]:
        """Say what stays and why; where nothing was held, only the tombstone does."""
        tombstones = {"tombstones": "salted hashes, so that an old file does not bring it back"}
        if not anything and scope.kind != "tenant":
            return tombstones
        kept = {
            "copies elsewhere": "files written outside the store: exports, training sets, weights trained on them; "
            "`limner distill prepare` makes sets without whoever was forgotten",
            **tombstones,
        }
        if scope.kind != "tenant" and await self.store.grouping(as_of=scope.at) is not None:
            kept["groups"] = "counts and means over many members; `limner refresh` computes them without"
        if scope.kind == "tenant":
            kept["keys"] = "keys of the HTTP API; `limner keys revoke` ends them"
        if self.server:
            kept["server logs"] = "PostgreSQL's write-ahead log and backups, until the server drops them"
        if self.remote_index:
            kept["index files"] = "the Chroma server's own files, until it rewrites them"
        return kept

    @asynccontextmanager
    async def _alone(self, *, wait: bool) -> AsyncGenerator[bool]:
        """Hold the folder's lock; yields whether it was free, which it is in the end with `wait`."""
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / LOCK, timeout=0, thread_local=False)
        while True:
            try:
                lock.acquire()
                break
            except Timeout:
                if not wait:
                    yield False
                    return
                await asyncio.sleep(_POLL)
        try:
            yield True
        finally:
            lock.release()
