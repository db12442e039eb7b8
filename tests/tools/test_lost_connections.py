"""Connections to PostgreSQL that are lost: the next call goes on by itself, unless nobody can know what happened."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, text

from limner.errors import StoreError
from limner.tools.checkpoints import open_checkpointer
from limner.tools.sql.sql_store import SqlStore, open_store

NOW = text("SELECT 1")
WHOLE = "WHERE datname = current_database() AND pid <> pg_backend_pid()"


def lose_all(database_url: str) -> int:
    """End every other connection to a database, as a restart of its server does; return how many there were."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        ended = connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity {WHOLE}".encode())
        return len(ended.fetchall())


@pytest.fixture
async def store(database_url: str, tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_store(folder=tmp_path, database_url=database_url, tenant="default")
    yield opened
    await opened.aclose()


async def test_a_read_after_a_restart_of_the_server_goes_through(store: SqlStore, database_url: str) -> None:
    assert lose_all(database_url) == 1

    assert await store.engine.read(lambda db: db.execute(NOW).scalar_one()) == 1


async def test_a_write_that_did_not_come_to_its_commit_is_run_again(
    store: SqlStore, database_url: str
) -> None:
    runs: list[int] = []

    def change(connection: Connection) -> None:
        connection.execute(text("INSERT INTO tenants (tenant, generation, newest) VALUES ('t', 0, 0)"))
        runs.append(lose_all(database_url) if not runs else 0)
        connection.execute(NOW)

    await store.engine.write(change)

    assert runs == [1, 0]
    assert (
        await store.engine.read(lambda db: db.execute(text("SELECT count(*) FROM tenants")).scalar_one()) == 1
    )


async def test_a_write_that_was_lost_at_its_commit_is_an_error_and_not_run_again(
    store: SqlStore, database_url: str
) -> None:
    runs: list[int] = []

    def change(connection: Connection) -> None:
        connection.execute(text("INSERT INTO tenants (tenant, generation, newest) VALUES ('t', 0, 0)"))
        runs.append(lose_all(database_url))

    with pytest.raises(StoreError):
        await store.engine.write(change)

    assert runs == [1]


async def test_checkpoints_go_on_after_a_restart_and_say_what_is_wrong_without_a_server(
    database_url: str, tmp_path: Path
) -> None:
    async with open_checkpointer(folder=tmp_path, database_url=database_url) as saver:
        assert await saver.aget_tuple({"configurable": {"thread_id": "t"}}) is None
        assert lose_all(database_url) > 0
        assert await saver.aget_tuple({"configurable": {"thread_id": "t"}}) is None

        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DROP TABLE checkpoints CASCADE")
        with pytest.raises(StoreError, match=r"^store postgresql://.*checkpoints"):
            await saver.aget_tuple({"configurable": {"thread_id": "t"}})
