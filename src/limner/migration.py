"""Move an embedded store to the databases that several processes share, and prove that it arrived."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pydantic import Field

from .backups import Notice, back_up, compare_portraits, rooms
from .errors import InputError, MigrationError, StoreNotEmptyError
from .records import Record
from .settings import Settings

if TYPE_CHECKING:
    from .doors import Lent
    from .face import Limner
    from .tools.backup.backup_file import BackupReader


class MovedTable(Record):
    """One table, equal on both sides."""

    rows: int
    """How many there are."""

    sha256: str
    """Of all of them, in the order of the table's key."""


class Migrated(Record):
    """What a migration did."""

    tables: dict[str, MovedTable]
    """Every table by name."""

    tenants: tuple[str, ...]
    """Whose they are."""

    items: int
    """Items that have a vector now: all that there are."""

    portraits: int
    """Users whose portrait has vectors now: all that there are."""

    compared: int
    """Portraits that were read back through the store's own door and are as they were."""

    resumed: bool = Field(default=False)
    """Whether the rows were there already, from a migration that was interrupted."""


async def migrate(source: Path, target: Settings, *, notice: Notice = lambda _: None) -> Migrated:
    """Copy an embedded store, all tenants of it, to PostgreSQL and, if the settings name one, a Chroma server.

    The rows come in one transaction that ends well only if every table has the source's count and checksum; then the
    index is made of them. Interrupted, the same call goes on: rows that are all there are compared and left, vectors
    that are there are left. The source is only read. What is written to it meanwhile or afterwards does not come
    along, so stop whoever writes first.

    Args:
        source: Folder of the embedded store.
        target: Settings that name the databases, and another folder for what is kept beside them.
        notice: Called with what is done next.

    Raises:
        InputError: There is no store in `source`, or `target` names no PostgreSQL database or the same folder.
        StoreNotEmptyError: The database holds something else than the source does, or the index anything before it.
        MigrationError: What arrived is not what the source holds.
        StoreError: A database or the index cannot be used.
        WeightsMissingError: The encoder's weights are not on disk; nothing was touched.
    """
    if target.database_url is None:
        raise InputError("nothing to migrate to: set `database_url`, such as postgresql://user@host/name")
    if source.resolve() == target.store.resolve():
        raise InputError(
            f"{source} is migrated from; name another folder with --store for what is kept beside the database"
        )
    from .tools.backup.backup_file import BackupReader

    old = target.model_copy(update={"store": source, "database_url": None, "chroma_url": None})
    target.store.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".migrate-", dir=target.store) as folder:
        notice("reading the source")
        await back_up(old, Path(folder) / "rows.tar")
        backup = BackupReader(Path(folder) / "rows.tar")
        async with rooms(target) as (lent, limner_of):
            return await _migrate(backup, target, lent, limner_of, notice)


async def _migrate(
    backup: "BackupReader",
    target: Settings,
    lent: "Lent",
    limner_of: "Callable[[str], Limner]",
    notice: Notice,
) -> Migrated:
    from .tools.sql.sql_backup import holds, is_empty, load, tenants_of

    engine = lent.store.engine
    notice("comparing the databases")
    fresh = await engine.read(is_empty)
    if not fresh and not await engine.snapshot(partial(holds, manifest=backup.manifest), target.store):
        raise StoreNotEmptyError(engine.url)
    if fresh:
        async with limner_of(target.tenant) as limner:
            await _require_no_vectors(limner, target)
        notice("writing and comparing rows")
        await engine.write(partial(load, backup=backup, url=engine.url, replace=False))
    tenants, items, portraits = await engine.read(tenants_of), 0, 0
    for tenant in tenants:
        notice(f"indexing tenant {tenant}")
        async with limner_of(tenant) as limner:
            if fresh:
                await _require_no_vectors(limner, target)
            await limner.fill_index()
            found = await _compare_index(limner)
            items, portraits = items + found[0], portraits + found[1]
    notice("reading portraits back")
    return Migrated(
        tables={
            part.table: MovedTable(rows=part.rows, sha256=part.sha256) for part in backup.manifest.tables
        },
        tenants=tuple(tenants),
        items=items,
        portraits=portraits,
        compared=await compare_portraits(backup, limner_of, skip=set()),
        resumed=not fresh,
    )


async def _require_no_vectors(limner: "Limner", target: Settings) -> None:
    """Refuse an index that holds something of a tenant before the tenant's first row is there."""
    catalogue = limner.doors.catalogue
    if await catalogue.item_ids() or await catalogue.portrayed():
        raise StoreNotEmptyError(target.chroma_url or str(target.store / "chroma"))


async def _compare_index(limner: "Limner") -> tuple[int, int]:
    """Compare what is indexed with the rows, id by id; return how many items and portraits there are.

    Raises:
        MigrationError: They differ.
    """
    from .agents.publish_profiles import indexed_facets

    indexed, wanted = await limner.doors.catalogue.item_ids(), list[str]()
    async for items in limner.doors.store.all_items():
        wanted += (item.item_id for item in items)
    if set(indexed) != set(wanted):
        raise MigrationError(limner.settings.tenant, "items", len(wanted), len(indexed))
    there, portraits = await limner.doors.catalogue.portrayed(), dict[str, int]()
    async for profiles in limner.doors.store.profiles():
        portraits |= {each.user_id: len(facets) for each in profiles if (facets := indexed_facets(each))}
    if there != portraits:
        raise MigrationError(limner.settings.tenant, "portraits", len(portraits), len(there))
    return len(indexed), len(portraits)
