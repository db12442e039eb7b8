"""PostgreSQL by URL: a pool of connections, each call one transaction."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from ...errors import MissingExtraError, StoreError
from ...sections import DatabaseSettings
from .sql_engine import halved
from .sql_local import reason_of

T = TypeVar("T")
ATTEMPTS = 10
"""Runs of a change that meets other writers at the same rows."""

CONNECT_SECONDS = 10
_TABLES = text(
    "SELECT quote_ident(relname) FROM pg_stat_user_tables WHERE schemaname = current_schema() ORDER BY relname"
)
MIGRATION_LOCK = 0x4C494D4E
"""Advisory lock held while tables are made; any number that nobody else uses."""


class ServerEngine:
    """Runs functions of a connection against one PostgreSQL database.

    Args:
        database_url: Where it is.
        kept: How many connections are kept.
    """

    def __init__(self, database_url: str, kept: DatabaseSettings | None = None) -> None:
        url, kept = server_url(database_url), kept or DatabaseSettings()
        self.url = masked(url)
        self._engine = create_async_engine(
            url,
            pool_size=kept.pool,
            max_overflow=kept.overflow,
            pool_timeout=kept.wait,
            pool_recycle=-1 if kept.recycle is None else kept.recycle,
            skip_autocommit_rollback=True,
            connect_args={"connect_timeout": CONNECT_SECONDS},
        )
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    async def open(self, prepare: Callable[[Connection], None]) -> None:
        """Connect and run `prepare` in a transaction, while no other process does."""

        def alone(connection: Connection) -> None:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            prepare(connection)

        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(alone)
        except SQLAlchemyError as error:
            await self._engine.dispose()
            raise StoreError(self.url, f"{reason_of(error)}; check `database_url` and the server") from error
        except BaseException:
            await self._engine.dispose()
            raise

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query; once more if the connection was lost, as after a restart of the server."""
        for again in (True, False):
            try:
                async with self._reading.connect() as connection:
                    return await connection.run_sync(query)
            except SQLAlchemyError as error:
                if not (again and _is_lost(error)):
                    raise StoreError(self.url, reason_of(error)) from error
            except UnicodeEncodeError as error:
                raise halved(error) from error
        raise AssertionError("the last attempt returns or raises")

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Run a change and return when it is on disk.

        It is run again if another writer was there first, or if the connection was lost before it came to its commit;
        after that nobody knows whether it is there.
        """
        for attempt in range(1, ATTEMPTS + 1):
            committing = False
            try:
                async with self._engine.begin() as connection:
                    result = await connection.run_sync(change)
                    committing = True
                return result
            except SQLAlchemyError as error:
                lost = _is_lost(error) and not committing
                if attempt == ATTEMPTS or not (lost or _is_conflict(error)):
                    raise StoreError(self.url, reason_of(error)) from error
            except UnicodeEncodeError as error:
                raise halved(error) from error
        raise AssertionError("the last attempt returns or raises")

    async def snapshot(self, query: Callable[[Connection], T], folder: Path) -> T:
        """Run a long query that sees one moment, while others write."""
        still = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        try:
            async with still.connect() as connection:
                return await connection.run_sync(query)
        except SQLAlchemyError as error:
            raise StoreError(self.url, reason_of(error)) from error

    async def scrub(self) -> None:
        """Write every table anew without what was deleted; each is locked for as long as that takes."""
        try:
            async with self._reading.connect() as connection:
                for (table,) in (await connection.execute(_TABLES)).all():
                    await connection.execute(text(f"VACUUM (FULL) {table}"))
        except SQLAlchemyError as error:
            raise StoreError(self.url, f"{reason_of(error)}; run `limner forget --resume`") from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._engine.dispose()


def server_url(database_url: str) -> URL:
    """Return the URL with the driver that is used here.

    Raises:
        StoreError: It is no URL of a PostgreSQL database.
        MissingExtraError: The driver is not installed.
    """
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise StoreError("`database_url`", "is no URL; write postgresql://user@host/name") from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise StoreError(masked(url), "is no PostgreSQL database; write postgresql://user@host/name")
    try:
        import psycopg  # noqa: F401  # pyright: ignore[reportUnusedImport] - only to see whether it is there
    except ImportError as error:
        raise MissingExtraError("PostgreSQL", "postgres") from error
    return url.set(drivername="postgresql+psycopg")


def masked(url: URL) -> str:
    """Return the URL as it may be shown."""
    shown = url.set(drivername=url.get_backend_name()).difference_update_query(["password"])
    return shown.render_as_string(hide_password=True)


def _is_conflict(error: SQLAlchemyError) -> bool:
    """Whether running the change again may help: a duplicate key, a deadlock, a serialisation failure."""
    if not isinstance(error, IntegrityError | OperationalError):
        return False
    return getattr(error.orig, "sqlstate", None) in ("23505", "40001", "40P01")


def _is_lost(error: SQLAlchemyError) -> bool:
    """Whether a connection that was open is no longer; the others of the pool are replaced too, then."""
    return isinstance(error, DBAPIError) and error.connection_invalidated
