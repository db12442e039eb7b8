"""Look a store over: what is missing, left over or contradicts itself; and mend it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from .errors import LimnerError
from .records import Record
from .settings import NO_MODEL, Settings
from .tools.integrity.damage import KINDS, Damage, damage

if TYPE_CHECKING:
    from .doors import Doors
    from .tools.clock import Clock
    from .tools.integrity.damage import Key
    from .tools.integrity.place_damage import Check
    from .tools.sql.sql_store import SqlStore


class Examined(Record):
    """What was found."""

    damage: tuple[Damage, ...]
    """What is wrong, in the order of mending."""

    unseen: dict[str, str]
    """Places that could not be looked at, with the reason."""

    mended: dict[str, int] = Field(default_factory=dict[str, int])
    """Kind to how many were mended; empty if nobody asked for that."""

    @property
    def mendable(self) -> tuple[Damage, ...]:
        """What mending can do something about."""
        return tuple(found for found in self.damage if found.remedy)


async def examine(settings: Settings, tenants: Sequence[str] | None = None) -> Examined:
    """Look at everything that is kept for tenants, and change nothing.

    Args:
        settings: Where the store is. No model is opened.
        tenants: Whose; that of the settings if absent.

    Raises:
        StoreError: The database cannot be opened.
    """
    found: list[Damage] = []
    unseen: dict[str, str] = {}
    for tenant in tenants or [settings.tenant]:
        async with _opened(settings, tenant, unseen) as checks:
            for kind, (find, _) in checks.items():
                try:
                    found += damage(kind, tenant, await find())
                except LimnerError as error:
                    unseen[f"{kind} of tenant {tenant!r}"] = str(error)
    return Examined(damage=tuple(found), unseen=unseen)


async def mend(settings: Settings, tenants: Sequence[str] | None = None) -> Examined:
    """Mend what can be mended, kind by kind, then look again; arguments as of `examine`.

    What is left and was mended comes back. Running it again does nothing more.

    Raises:
        StoreError: A place cannot be written.
    """
    mended: dict[str, int] = {}
    for tenant in tenants or [settings.tenant]:
        async with _opened(settings, tenant, {}) as checks:
            for kind, (find, repair) in checks.items():
                found = await find()
                if found and KINDS[kind].remedy:
                    await repair(found)
                    mended[kind] = mended.get(kind, 0) + len(found)
    left = await examine(settings, tenants)
    return left.model_copy(update={"mended": mended})


async def tenants_of(settings: Settings) -> list[str]:
    """Return every tenant that has anything in the database.

    Raises:
        StoreError: The database cannot be opened.
    """
    from .doors import open_only_store
    from .tools.sql import sql_backup

    async with open_only_store(settings) as store:
        return await store.engine.read(sql_backup.tenants_of)


@asynccontextmanager
async def _opened(
    settings: Settings, tenant: str, unseen: dict[str, str]
) -> "AsyncGenerator[Mapping[str, Check]]":
    """Open what can be opened of a tenant, and yield its checks in the order of `KINDS`."""
    from .doors import open_doors, open_only_store
    from .tools.clock import SystemClock

    own = settings.model_copy(update={"tenant": tenant, "model": NO_MODEL})
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_only_store(own))
        checks = _row_checks(store)
        try:
            doors = await open_doors(own, stack)
        except LimnerError as error:
            unseen[f"index and checkpoints of tenant {tenant!r}"] = str(error)
            doors = None
        checks |= _place_checks(own, store, doors, clock)
        yield {kind: checks[kind] for kind in KINDS if kind in checks}


def _row_checks(store: "SqlStore") -> "dict[str, Check]":
    from .tools.integrity.place_damage import Check
    from .tools.sql import sql_integrity

    def check(kind: str) -> Check:
        async def find() -> "list[Key]":
            return await store.engine.read(partial(sql_integrity.find, tenant=store.tenant, kind=kind))

        async def repair(_: "Sequence[Key]") -> None:
            await store.engine.write(partial(sql_integrity.mend, tenant=store.tenant, kind=kind))

        return Check(find, repair)

    return {kind: check(kind) for kind in sql_integrity.CHECKS}


def _place_checks(
    settings: Settings, store: "SqlStore", doors: "Doors | None", clock: "Clock"
) -> "dict[str, Check]":
    from .tools.integrity.place_damage import IndexPlaces, StorePlaces

    places = StorePlaces(
        store=store,
        folder=settings.store,
        clock=clock,
        encoder=doors.embedder.name if doors else None,
        resume=_resume(settings, doors),
    )
    found = dict(places.checks())
    if doors:
        index = IndexPlaces(
            store=store,
            catalogue=doors.catalogue,
            saver=doors.saver,
        )
        found |= index.checks()
    else:
        del found["forgets"]  # they reach into the index
    return found


def _resume(settings: Settings, doors: "Doors | None") -> Callable[[], Awaitable[object]]:
    """Return what finishes forgets."""

    async def resume() -> object:
        from .tools.forgetting.forgetting import Forgetting

        assert doors is not None, "without an index forgets are not looked at"
        return await Forgetting(
            store=doors.store,
            catalogue=doors.catalogue,
            embedder=doors.embedder,
            saver=doors.saver,
            folder=settings.store,
            tenant=settings.tenant,
            server=settings.database_url is not None,
            remote_index=settings.chroma_url is not None,
        ).resume()

    return resume
