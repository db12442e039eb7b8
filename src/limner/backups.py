"""Back up a whole database, all tenants of it, and restore it; what can be made again from rows is made again."""

import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from . import __version__
from .errors import BackupDamagedError, InputError
from .records import Record
from .settings import NO_MODEL, Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .doors import Lent
    from .face import Limner
    from .tools.backup.backup_file import BackupReader, Manifest

SAMPLE = 20
"""Portraits that are read back and compared after a restore."""

Notice = Callable[[str], None]
"""Called with what is done next."""


class Restored(Record):
    """What a restore did."""

    rows: dict[str, int]
    """Table to number of rows that came from the backup, each table compared by its checksum."""

    tenants: tuple[str, ...]
    """Whose they are."""

    items: int
    """Items that were indexed anew."""

    portraits: int
    """Portraits that were read back and are as they were saved."""

    forgotten_again: dict[str, int] = Field(default_factory=dict[str, int])
    """Table to number of rows that were forgotten since the backup, and are gone again."""

    tombstones_dropped: int = 0
    """Tombstones of another store that cannot be kept beside the restored ones; what they name is gone all the same."""


async def back_up(settings: Settings, path: Path, *, at: datetime | None = None) -> "Manifest":
    """Write everything that the database holds, of all tenants, to one file, while others may write.

    Args:
        settings: Where the database is.
        path: The file; an earlier one is replaced when the new one is whole.
        at: The present moment.

    Raises:
        StoreError: The database cannot be read.
        InputError: There is no store.
    """
    from .doors import open_only_store
    from .tools.sql.sql_store import FILE_NAME
    from .tools.whole_files import whole_file

    if settings.database_url is None and not (settings.store / FILE_NAME).is_file():
        raise InputError(f"there is no store in {settings.store}; name its folder with --store")
    async with open_only_store(settings) as store:
        with whole_file(path) as part:
            write = partial(_save, part=part, at=at or datetime.now(UTC))
            return await store.engine.snapshot(write, path.parent)


def _save(connection: "Connection", *, part: Path, at: datetime) -> "Manifest":
    from .tools.backup.backup_file import BackupWriter
    from .tools.sql.sql_backup import save

    writer = BackupWriter(part)
    try:
        revision = save(connection, writer)
        kind = connection.dialect.name
        return writer.finish(limner=__version__, revision=revision, database=kind, at=at)
    finally:
        writer.close()


async def restore(
    settings: Settings, path: Path, *, replace: bool = False, notice: Notice = lambda _: None
) -> Restored:
    """Put a backup into an empty store, SQLite or PostgreSQL, whichever it was taken from.

    The rows come in one transaction that ends well only if every table is as it was saved; then the index is made
    anew. What the store was asked to forget after the backup was taken is forgotten again.

    Args:
        settings: Where the store is.
        path: Written by `back_up`.
        replace: Whether everything that is there may go, whoever's it is.
        notice: Called with what is done next.

    Raises:
        BackupDamagedError: The file is not what was saved; nothing was touched.
        StoreNotEmptyError: There is something, and `replace` is false.
        StoreError: The database or the index cannot be used, or another process has the index open.
        WeightsMissingError: The encoder's weights are not on disk; nothing was touched.
    """
    from .tools.backup.backup_file import BackupReader

    notice("checking the file")
    backup = BackupReader(path)
    backup.check()
    async with rooms(settings) as (lent, limner_of):
        return await _restore(settings, backup, lent, limner_of, replace=replace, notice=notice)


async def _restore(
    settings: Settings,
    backup: "BackupReader",
    lent: "Lent",
    limner_of: "Callable[[str], Limner]",
    *,
    replace: bool,
    notice: Notice,
) -> Restored:
    from .tools.sql.sql_backup import tenants_of

    engine, now = lent.store.engine, datetime.now(UTC)
    async with limner_of(settings.tenant):  # the index is ours alone from here on
        before = await engine.read(tenants_of)
        notice("restoring rows")
        removed, dropped = await engine.write(
            partial(_load, backup=backup, url=engine.url, replace=replace, now=now)
        )
        _drop_files(settings.store)
        await _drop_checkpoints(lent)
        tenants = await engine.read(tenants_of)
        items = 0
        for tenant in sorted({*before, *tenants}):
            notice(f"indexing tenant {tenant}")
            async with limner_of(tenant) as limner:
                items += await limner.reindex()
        notice("reading portraits back")
        portraits = await compare_portraits(backup, limner_of, skip=set() if not removed else {*before})
    return Restored(
        rows={part.table: part.rows for part in backup.manifest.tables},
        tenants=tuple(tenants),
        items=items,
        portraits=portraits,
        forgotten_again=dict(removed),
        tombstones_dropped=dropped,
    )


def _load(
    connection: "Connection", *, backup: "BackupReader", url: str, replace: bool, now: datetime
) -> tuple[Counter[str], int]:
    """Put the rows into the tables, without those that were forgotten since they were saved."""
    from .tools.sql.sql_backup import load
    from .tools.sql.sql_revived import forget_again, stones_of

    known = stones_of(connection)
    load(connection, backup, url, replace=replace)
    removed, dropped = Counter[str](), 0
    for tenant, stones in known.items():
        again = forget_again(connection, tenant, stones, now)
        removed, dropped = removed + again.removed, dropped + again.dropped
    return removed, dropped


@asynccontextmanager
async def rooms(settings: Settings) -> "AsyncGenerator[tuple[Lent, Callable[[str], Limner]]]":
    """Open what tenants share, without a model, and yield it with what opens one of them."""
    from .doors import open_shared
    from .face import Limner

    bare = settings.model_copy(update={"model": NO_MODEL})
    async with AsyncExitStack() as stack:
        lent = await open_shared(bare, stack)

        def limner_of(tenant: str) -> Limner:
            return Limner(bare.model_copy(update={"tenant": tenant}), lent=lent, rebuild_index=True)

        yield lent, limner_of


def _drop_files(folder: Path) -> None:
    """Remove what was made of the rows that were there before; it is made anew when it is asked for."""
    from .tools.forgetting.forget_files import MAPS, RECOMMENDER

    for path in (*(folder / RECOMMENDER).glob("*.npz"), *(folder / MAPS).glob("*.npz")):
        path.unlink(missing_ok=True)


async def _drop_checkpoints(lent: "Lent") -> None:
    """Remove interrupted runs of before: they know rows that are gone."""
    places: list[dict[str, Any]] = [
        found.config.get("configurable", {}) async for found in lent.saver.alist(None)
    ]
    for thread in sorted({str(place["thread_id"]) for place in places}):
        await lent.saver.adelete_thread(thread)


async def compare_portraits(
    backup: "BackupReader", limner_of: "Callable[[str], Limner]", *, skip: set[str]
) -> int:
    """Read a sample of portraits through the store's own door and compare them with the file.

    Raises:
        BackupDamagedError: One is not as it was saved.
    """
    from .models import Profile

    wanted: dict[str, list[Profile]] = {}
    for row in _sample(backup):
        if row["tenant"] not in skip:
            wanted.setdefault(row["tenant"], []).append(Profile.model_validate_json(row["data"]))
    for tenant, profiles in wanted.items():
        async with limner_of(tenant) as limner:
            for saved in profiles:
                if await limner.stored_profile(saved.user_id, version=saved.version) != saved:
                    reason = f"version {saved.version} of {saved.user_id!r} is not as it was saved"
                    raise BackupDamagedError(str(backup.path), reason)
    return sum(map(len, wanted.values()))


def _sample(backup: "BackupReader") -> "Sequence[dict[str, Any]]":
    """Return some rows of portraits; the same ones of the same backup."""
    found = [part for part in backup.manifest.tables if part.table == "profiles"]
    if not found:
        return []
    [part] = found
    places = set(random.Random(backup.manifest.sha256).sample(range(part.rows), min(SAMPLE, part.rows)))
    rows = enumerate(backup.rows(part))
    return [dict(zip(part.columns, row, strict=True)) for place, row in rows if place in places]
