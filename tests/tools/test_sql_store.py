"""What the SQL store promises beyond the door: its schema, its errors and its groups of writes."""

import asyncio
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, inspect, text

from limner.errors import MissingExtraError, StoreError
from limner.records import Interaction, Item
from limner.sections import DatabaseSettings
from limner.tools.sql.sql_local import LocalEngine
from limner.tools.sql.sql_store import SqlStore, open_store
from limner.tools.sql.sql_tables import metadata
from limner.tools.store import Recorded

OpenTenant = Callable[[str], Awaitable[SqlStore]]
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def event(event_id: str, user: str = "u") -> Interaction:
    return Interaction(
        user_id=user, item_id="i", kind="view", at=datetime(2024, 1, 1, tzinfo=UTC), event_id=event_id
    )


def _plain(store: SqlStore) -> Engine:
    """Return an engine that knows nothing of ours."""
    return create_engine(store.url.replace("postgresql://", "postgresql+psycopg://"))


async def test_migrated_tables_equal_the_declared_ones(store: SqlStore) -> None:
    engine = _plain(store)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        for table in metadata.tables.values():
            keys = inspect(connection).get_pk_constraint(table.name)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key]
            assert keys[0] == "tenant"
    engine.dispose()


async def test_a_newer_database_is_refused_and_says_what_to_do(
    store: SqlStore, open_tenant: OpenTenant
) -> None:
    engine = _plain(store)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()

    with pytest.raises(
        StoreError, match=r"schema '9999', this version knows up to '000\d'; install a newer limner"
    ):
        await open_tenant("default")


async def test_stores_that_open_at_once_migrate_once(open_tenant: OpenTenant) -> None:
    stores = await asyncio.gather(*(open_tenant("default") for _ in range(6)))

    for number, store in enumerate(stores):
        assert await store.record([event(f"e{number}")]) == Recorded(added=1, repeated=0)
    assert (await stores[0].counts()).interactions == 6


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "limner.db").write_text("not a database, but long enough to have a header " * 10)

    with pytest.raises(StoreError, match=r"limner\.db: file is not a database; check the file"):
        await open_store(folder=tmp_path, database_url=None, tenant="default")


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(StoreError, match=r"taken: File exists; choose another folder with `store`"):
        await open_store(folder=tmp_path / "taken", database_url=None, tenant="default")


async def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://ann:secret@127.0.0.1:1/limner?password=secret"

    with pytest.raises(StoreError) as caught:
        await open_store(folder=tmp_path, database_url=url, tenant="default")

    assert str(caught.value).startswith("store postgresql://ann:***@127.0.0.1:1/limner: connection")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://ann:secret@127.0.0.1/limner", "secret"])
async def test_a_url_of_something_else_says_what_to_write(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"write postgresql://user@host/name$") as caught:
        await open_store(folder=tmp_path, database_url=url, tenant="default")

    assert "secret" not in str(caught.value)


async def test_a_missing_driver_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(MissingExtraError, match=r"PostgreSQL needs `pip install 'limner\[postgres\]'`"):
        await open_store(folder=tmp_path, database_url="postgresql://127.0.0.1/limner", tenant="default")


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = await open_store(folder=tmp_path, database_url=None, tenant="default")
    await store.aclose()
    await store.aclose()

    with pytest.raises(StoreError, match="is closed; open it again"):
        await store.counts()
    with pytest.raises(StoreError, match="is closed; open it again"):
        await store.put_items([])


async def test_an_id_the_database_cannot_hold_is_an_error_and_writes_nothing(
    database_url: str, tmp_path: Path
) -> None:
    store = await open_store(folder=tmp_path, database_url=database_url, tenant="default")

    with pytest.raises(StoreError, match="NUL"):
        await store.put_items([Item(item_id="a"), Item(item_id="b\0")])

    assert (await store.counts()).items == 0
    await store.aclose()


async def _local(tmp_path: Path) -> LocalEngine:
    def prepare(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)")

    engine = LocalEngine(tmp_path / "x.db")
    await engine.open(prepare)
    return engine


def _insert(number: int) -> Callable[[Connection], int]:
    def change(connection: Connection) -> int:
        connection.exec_driver_sql(f"INSERT INTO t VALUES ({number})")
        return number

    return change


def _numbers(connection: Connection) -> list[int]:
    return list(connection.exec_driver_sql("SELECT n FROM t ORDER BY n").scalars())


async def test_a_write_that_fails_takes_none_of_its_group_with_it(tmp_path: Path) -> None:
    engine = await _local(tmp_path)

    def fail(connection: Connection) -> NoReturn:
        _insert(77)(connection)
        raise LookupError("mine")

    done = await asyncio.gather(
        *(engine.write(_insert(number)) for number in range(5)),
        engine.write(fail),
        engine.write(_insert(3)),
        *(engine.write(_insert(number)) for number in range(5, 9)),
        return_exceptions=True,
    )

    assert done[:5] + done[7:] == list(range(9))
    assert isinstance(done[5], LookupError)
    assert isinstance(done[6], StoreError) and "UNIQUE constraint failed: t.n" in str(done[6])
    assert await engine.read(_numbers) == list(range(9))
    await engine.aclose()


async def test_writes_that_wait_share_a_commit(tmp_path: Path) -> None:
    engine = await _local(tmp_path)
    begun: set[int] = set()

    def change(connection: Connection) -> None:
        transaction = connection.get_transaction()
        begun.add(id(transaction))
        keep.append(transaction)

    keep: list[object] = []  # so that no two transactions get one id
    await asyncio.gather(*(engine.write(change) for _ in range(100)))

    assert len(keep) == 100
    assert len(begun) < 20
    await engine.aclose()


async def test_closing_finishes_the_writes_that_wait(tmp_path: Path) -> None:
    engine = await _local(tmp_path)
    waiting = [asyncio.ensure_future(engine.write(_insert(number))) for number in range(50)]
    await asyncio.sleep(0)

    await engine.aclose()

    assert await asyncio.gather(*waiting) == list(range(50))
    again = await _local(tmp_path)
    assert await again.read(_numbers) == list(range(50))
    await again.aclose()


async def test_every_commit_is_flushed_to_disk(tmp_path: Path) -> None:
    engine = await _local(tmp_path)

    def settings(connection: Connection) -> tuple[str, int]:
        return (
            connection.exec_driver_sql("PRAGMA journal_mode").scalar_one(),
            connection.exec_driver_sql("PRAGMA synchronous").scalar_one(),
        )

    assert await engine.write(settings) == ("wal", 2)  # 2 is FULL
    await engine.aclose()


async def test_a_writer_that_waits_for_another_process_does_not_fail(tmp_path: Path) -> None:
    engine = await _local(tmp_path)
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    write = asyncio.ensure_future(engine.write(_insert(1)))
    assert (await asyncio.wait([write], timeout=0.05))[0] == set()
    assert await engine.read(_numbers) == []  # readers never wait
    other.execute("COMMIT")
    other.close()

    assert await write == 1
    await engine.aclose()


async def test_as_many_connections_are_kept_as_are_asked_for(database_url: str, tmp_path: Path) -> None:
    """Of one connection, two queries at once take turns; of one and one beyond, they do not."""

    def nap(connection: Connection) -> int:
        return int(
            connection.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity, pg_sleep(0.2) WHERE datname = current_database()"
                )
            ).scalar_one()
        )

    seen: list[int] = []
    for kept in (DatabaseSettings(pool=1), DatabaseSettings(pool=1, overflow=1)):
        store = await open_store(folder=tmp_path, database_url=database_url, tenant="default", kept=kept)
        seen.append(max(await asyncio.gather(store.engine.read(nap), store.engine.read(nap))))
        await store.aclose()

    assert seen == [1, 2]


async def test_who_finds_no_connection_in_time_is_told(database_url: str, tmp_path: Path) -> None:
    kept = DatabaseSettings(pool=1, wait=0.05)
    store = await open_store(folder=tmp_path, database_url=database_url, tenant="default", kept=kept)

    async def hold() -> None:
        await store.engine.read(lambda connection: connection.execute(text("SELECT pg_sleep(0.5)")).all())

    with pytest.raises(StoreError, match="limit of size 1"):
        await asyncio.gather(hold(), hold())
    await store.aclose()
