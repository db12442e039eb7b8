"""Where graphs keep their checkpoints: SQLite in a folder by default, PostgreSQL by URL."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from .. import models, records
from ..errors import MissingExtraError, StoreError
from ..sections import DatabaseSettings

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

FILE_NAME = "checkpoints.db"
BUSY_SECONDS = 60.0
CONNECT_SECONDS = 10
SETUP_LOCK = 0x4C494D4F
"""Advisory lock held while tables are made; any number that nobody else uses."""


@asynccontextmanager
async def open_checkpointer(
    *,
    folder: Path,
    database_url: str | None,
    state_types: Iterable[type] = (),
    most_connections: int = DatabaseSettings().checkpoints,
) -> "AsyncGenerator[BaseCheckpointSaver[Any]]":
    """Open the checkpoints and close them at the end.

    Args:
        folder: Where `checkpoints.db` lies; made if it is missing. Not used with `database_url`.
        database_url: `postgresql://…`; `None` for SQLite.
        state_types: Types of a graph's state beside those of `limner.records` and `limner.models`; nothing else is brought back
            to life from a checkpoint.
        most_connections: Connections to PostgreSQL at most.

    Raises:
        StoreError: The database cannot be reached.
        MissingExtraError: PostgreSQL's driver is not installed.
    """
    serde = _serializer(state_types)
    opened = _on_server(database_url, serde, most_connections) if database_url else _in_folder(folder, serde)
    async with opened as saver:
        yield saver


def _serializer(state_types: Iterable[type]) -> "JsonPlusSerializer":
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    classes = [kind for home in (records, models) for _, kind in inspect.getmembers(home, inspect.isclass)]
    ours = [kind for kind in classes if issubclass(kind, BaseModel)]
    allowed = [(kind.__module__, kind.__name__) for kind in (*ours, *state_types)]
    return JsonPlusSerializer(allowed_msgpack_modules=allowed)


@asynccontextmanager
async def _in_folder(folder: Path, serde: "JsonPlusSerializer") -> "AsyncGenerator[BaseCheckpointSaver[Any]]":
    import aiosqlite

    from .sql.sql_local import LocalEngine
    from .sql.sqlite_saver import GroupingSqliteSaver

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(str(folder), f"{error.strerror}; choose another folder with `store`") from error
    # A checkpoint lost to a power cut is work done again, never work lost: no flush for each one.
    engine = LocalEngine(folder / FILE_NAME, durable=False)
    async with aiosqlite.connect(folder / FILE_NAME, timeout=BUSY_SECONDS) as connection:
        saver = GroupingSqliteSaver(connection, engine, serde=serde)
        try:
            await saver.setup()
        except aiosqlite.Error as error:
            raise StoreError(engine.url, f"{error}; check the file") from error
        await engine.open(lambda _: None)
        try:
            yield saver
        finally:
            await engine.aclose()


@asynccontextmanager
async def _on_server(
    database_url: str, serde: "JsonPlusSerializer", most_connections: int
) -> "AsyncGenerator[BaseCheckpointSaver[Any]]":
    from .sql.sql_server import masked, server_url

    url = server_url(database_url)
    try:
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
        from psycopg import AsyncConnection, Error
        from psycopg.rows import DictRow, dict_row
        from psycopg_pool import AsyncConnectionPool

        from .sql.postgres_saver import TypedPostgresSaver
    except ImportError as error:
        raise MissingExtraError("PostgreSQL", "postgres") from error
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        async with await AsyncConnection[DictRow].connect(
            plain, connect_timeout=CONNECT_SECONDS, autocommit=True, row_factory=dict_row
        ) as connection:
            # Waiting inside a statement would block the saver's own CREATE INDEX CONCURRENTLY.
            while not await _try_lock(connection):
                await asyncio.sleep(0.05)
            await AsyncPostgresSaver(connection, serde=serde).setup()
    except Error as error:
        reason = " ".join(str(error).split())
        raise StoreError(masked(url), f"{reason}; check `database_url` and the server") from error
    async with AsyncConnectionPool(
        plain,
        min_size=1,
        max_size=most_connections,
        open=False,
        connection_class=AsyncConnection[DictRow],
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        check=AsyncConnectionPool[
            AsyncConnection[DictRow]
        ].check_connection,  # the server may have been restarted
        timeout=CONNECT_SECONDS,
    ) as pool:
        yield TypedPostgresSaver(pool, serde=serde, place=masked(url))


async def _try_lock(connection: Any) -> bool:
    """Take the lock until the connection closes, if nobody holds it."""
    cursor = await connection.execute("SELECT pg_try_advisory_lock(%s) AS taken", (SETUP_LOCK,))
    row = await cursor.fetchone()
    return bool(row["taken"])
