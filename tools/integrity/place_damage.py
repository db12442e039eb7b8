"""What is wrong beside the rows: forgets, jobs, checkpoints, the index, files; and how it is mended."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..catalogue import Catalogue
from ..clock import Clock
from ..forgetting.forget_checkpoints import TENANT, USER
from ..forgetting.forget_files import RECOMMENDER
from ..jobs import JobBook
from ..recommender.recommender_index import FORMAT, read_facts
from ..sql.sql_integrity import silent_jobs
from ..sql.sql_store import SqlStore
from .damage import Key

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

_ABANDONED = 3600.0
"""Seconds without a write after which a half-written file is nobody's any more."""

_RESULTS = ("profile", "pair")
"""What the state of a run holds when it has ended."""


class Check(NamedTuple):
    """One kind of damage: how it is found and how it is mended."""

    find: Callable[[], Awaitable[list[Key]]]
    mend: Callable[[Sequence[Key]], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class StorePlaces:
    """The places of one tenant that need nothing but the database and the store's folder."""

    store: SqlStore
    folder: Path
    clock: Clock
    encoder: str | None
    """Name of the encoder; absent where nobody knows."""

    resume: Callable[[], Awaitable[object]]
    """Finishes forgets."""

    def checks(self) -> Mapping[str, Check]:
        """Return the checks by kind."""
        return {
            "forgets": Check(self._forgets, self._resume),
            "jobs": Check(self._jobs, self._sweep),
            "recommender": Check(self._indexes, self._remove),
            "parts": Check(self._parts, self._remove),
        }

    async def _forgets(self) -> list[Key]:
        return [(forget.seq,) for forget in await self.store.unfinished_forgets()]

    async def _resume(self, _keys: Sequence[Key]) -> None:
        await self.resume()

    async def _jobs(self) -> list[Key]:
        tenant, now = self.store.tenant, self.clock.now()
        return await self.store.engine.read(lambda db: silent_jobs(db, tenant, now))

    async def _sweep(self, _keys: Sequence[Key]) -> None:
        await JobBook(self.store.engine, self.clock).sweep()

    async def _indexes(self) -> list[Key]:
        """Return the files of indexes that would be built anew, whatever they are asked."""
        forgets = await self.store.forgets()
        names = (f"{self.store.tenant}.npz", f"{self.store.tenant}.past.npz")
        there = [path for name in names if (path := self.folder / RECOMMENDER / name).is_file()]
        return [(str(path.relative_to(self.folder)),) for path in there if not self._serves(path, forgets)]

    def _serves(self, path: Path, forgets: int) -> bool:
        facts = read_facts(path)
        if facts is None or facts.format != FORMAT or facts.forgets != forgets:
            return False
        return self.encoder in (None, facts.encoder)

    async def _parts(self) -> list[Key]:
        last = time.time() - _ABANDONED
        parts = [
            path for path in self.folder.rglob(".*.part") if path.is_file() and path.stat().st_mtime < last
        ]
        return [(str(path.relative_to(self.folder)),) for path in parts]

    async def _remove(self, keys: Sequence[Key]) -> None:
        for (name,) in keys:
            (self.folder / str(name)).unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class IndexPlaces:
    """The index and the checkpoints of one tenant."""

    store: SqlStore
    catalogue: Catalogue
    saver: "BaseCheckpointSaver[Any]"

    def checks(self) -> Mapping[str, Check]:
        """Return the checks by kind."""
        return {
            "checkpoints": Check(self._checkpoints, self._drop_threads),
            "missing_items": Check(self._missing_items, self._encode_items),
            "foreign_items": Check(self._foreign_items, self._drop_items),
            "foreign_portraits": Check(self._foreign_portraits, self._drop_portraits),
        }

    async def _checkpoints(self) -> list[Key]:
        """Return the runs that nobody takes up: they have ended, or their user is gone."""
        found: set[Key] = set()
        async for kept in self.saver.alist(None, filter={TENANT: self.store.tenant}):
            values: Mapping[str, Any] = kept.checkpoint.get("channel_values") or {}
            metadata: Mapping[str, Any] = kept.metadata or {}
            ended = any(values.get(name) is not None for name in _RESULTS)
            if ended or not await self.store.has_user(str(metadata.get(USER))):
                found.add((str(kept.config["configurable"]["thread_id"]),))
        return sorted(found)

    async def _drop_threads(self, keys: Sequence[Key]) -> None:
        for (thread,) in keys:
            await self.saver.adelete_thread(str(thread))

    async def _items(self) -> set[str]:
        return {item.item_id async for batch in self.store.all_items() for item in batch}

    async def _missing_items(self) -> list[Key]:
        there = set(await self.catalogue.item_ids())
        return [(item_id,) for item_id in sorted(await self._items() - there)]

    async def _encode_items(self, keys: Sequence[Key]) -> None:
        items = await self.store.items([str(item_id) for (item_id,) in keys])
        await self.catalogue.upsert(list(items.values()))

    async def _foreign_items(self) -> list[Key]:
        there = set(await self.catalogue.item_ids())
        return [(item_id,) for item_id in sorted(there - await self._items())]

    async def _drop_items(self, keys: Sequence[Key]) -> None:
        await self.catalogue.forget_items([str(item_id) for (item_id,) in keys])
        await self.catalogue.scrub()

    async def _foreign_portraits(self) -> list[Key]:
        there = set(await self.catalogue.portrayed())
        drawn = {profile.user_id async for batch in self.store.profiles() for profile in batch}
        return [(user_id,) for user_id in sorted(there - drawn)]

    async def _drop_portraits(self, keys: Sequence[Key]) -> None:
        for (user_id,) in keys:
            await self.catalogue.forget_user(str(user_id))
        await self.catalogue.scrub()
