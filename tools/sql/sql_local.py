"""SQLite in a folder: one writer that commits in groups, several readers.

Each call crosses into a thread once and runs all its statements there. Driving SQLite statement by statement
from the event loop costs a crossing for each cursor, execute and fetch.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ...errors import StoreError
from ..whole_files import beside
from .sql_engine import halved

T = TypeVar("T")
READERS = 2
GROUP = 256
"""Writes that share a commit at most."""

LOG_PAGES = 8_000
"""Pages in the write-ahead log before they are copied into the file; 32 MB."""

WRITER_KIBIBYTES = 16_384
"""Memory for pages that the writer keeps: the ids of events are hashes, so that every page is soon needed again."""

TOLD_WITHIN = 0.001
"""Seconds for which an answered read may wait for others before it is told."""

BUSY_SECONDS = 60.0
"""How long a write waits for another process that writes."""


class _Call(NamedTuple):
    """A read or a write that somebody awaits."""

    work: Callable[[Connection], Any]
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Any]"


class _Outcome(NamedTuple):
    """What became of a call."""

    call: _Call
    result: Any
    error: Exception | None


class LocalEngine:
    """Runs functions of a connection against one SQLite file.

    Args:
        file: The database; made if it is missing.
        durable: Whether a write is on disk, rather than in the hands of the operating system, when it returns.
    """

    def __init__(self, file: Path, *, durable: bool = True) -> None:
        self.url, self._file = f"sqlite:///{file}", file
        self._writing = _engine(self.url, immediate=True, durable=durable)
        self._reading = _engine(self.url, immediate=False, durable=durable)
        self._writes: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._reads: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._commit_groups, name="limner-writer", daemon=True)
        self._readers = [
            threading.Thread(target=self._answer_reads, name=f"limner-reader-{number}", daemon=True)
            for number in range(READERS)
        ]
        self._closed = False

    async def open(self, prepare: Callable[[Connection], None]) -> None:
        """Create the file if there is none, run `prepare` in a transaction and begin to take writes."""
        await asyncio.to_thread(self._prepare, prepare)
        for thread in (self._writer, *self._readers):
            thread.start()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query; it sees every write that was acknowledged before."""
        return await self._ask(self._reads, query)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Run a change and return when it is on disk. Others may share its transaction."""
        return await self._ask(self._writes, change)

    async def snapshot(self, query: Callable[[Connection], T], folder: Path) -> T:
        """Run a long query on a copy of the file as it is at one moment, so that the log can shrink meanwhile."""
        self._check_open()
        return await asyncio.to_thread(self._query_copy, query, folder)

    async def scrub(self) -> None:
        """Write the file anew without what was deleted, and empty its log."""
        self._check_open()
        await asyncio.to_thread(self._scrub)

    async def aclose(self) -> None:
        """Finish the writes that wait, then close the file."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._shut)

    async def _ask(self, threads: "queue.SimpleQueue[_Call | None]", work: Callable[[Connection], T]) -> T:
        self._check_open()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        threads.put(_Call(work, loop, done))
        try:
            return await done
        except SQLAlchemyError as error:
            raise StoreError(self.url, reason_of(error)) from error
        except UnicodeEncodeError as error:
            raise halved(error) from error

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(self.url, "is closed; open it again")

    def _prepare(self, prepare: Callable[[Connection], None]) -> None:
        try:
            with self._writing.connect() as connection, connection.begin():
                prepare(connection)
        except SQLAlchemyError as error:
            raise StoreError(self.url, f"{reason_of(error)}; check the file and its folder") from error

    def _scrub(self) -> None:
        """Vacuum on a connection of its own: neither that nor emptying the log works inside a transaction."""
        reason = ""
        try:
            with closing(
                sqlite3.connect(self._file, timeout=BUSY_SECONDS, isolation_level=None)
            ) as connection:
                connection.execute("VACUUM")
                [(busy, _, _)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                reason = "another process reads it all the time" if busy else ""
        except sqlite3.Error as error:
            reason = str(error)
        if reason:
            raise StoreError(
                self.url, f"deleted bytes are still in the file: {reason}; run `limner forget --resume`"
            )

    def _query_copy(self, query: Callable[[Connection], T], folder: Path) -> T:
        part = beside(folder / self._file.name)
        part.touch(mode=0o600, exist_ok=False)
        copy = create_engine(f"sqlite:///{part}", poolclass=NullPool)
        try:
            with (
                closing(sqlite3.connect(self._file, timeout=BUSY_SECONDS)) as source,
                closing(sqlite3.connect(part)) as target,
            ):
                source.backup(target)
            with copy.connect() as connection:
                return query(connection)
        except (sqlite3.Error, SQLAlchemyError) as error:
            reason = reason_of(error) if isinstance(error, SQLAlchemyError) else str(error)
            raise StoreError(self.url, f"cannot be copied: {reason}") from error
        finally:
            copy.dispose()
            for leftover in folder.glob(f"{part.name}*"):
                leftover.unlink(missing_ok=True)

    def _answer_reads(self) -> None:
        """Answer one read after the other; whoever awaits is told when none waits, and after a moment at the latest.

        Waking the event loop for each read costs more than a short read itself.
        """
        connection: Connection | None = None
        answered: list[_Outcome] = []
        since = 0.0
        while (call := self._next_read(answered)) is not None:
            if call.done.cancelled():
                continue
            since = since if answered else time.monotonic()
            try:
                connection = connection or self._reading.connect()
                answered.append(_Outcome(call, call.work(connection), None))
            except Exception as error:  # noqa: BLE001 - it belongs to who waits, whatever it is
                answered.append(_Outcome(call, None, error))
            if time.monotonic() - since > TOLD_WITHIN:
                _tell(answered)
        _tell(answered)
        if connection is not None:
            connection.close()

    def _next_read(self, answered: list[_Outcome]) -> _Call | None:
        """Return the next read, or `None` at the end; before it waits for one, tell what was answered."""
        try:
            return self._reads.get_nowait()
        except queue.Empty:
            _tell(answered)
            return self._reads.get()

    def _commit_groups(self) -> None:
        connection: Connection | None = None
        while (first := self._writes.get()) is not None:
            group, stop = self._group(first)
            try:
                connection = connection or self._writing.connect()
                outcomes = _commit(connection, group)
            except Exception as error:  # noqa: BLE001 - it belongs to those who wait, whatever it is
                outcomes = [_Outcome(call, None, error) for call in group]
            _report(outcomes)
            if stop:
                break
        if connection is not None:
            connection.close()

    def _group(self, first: _Call) -> tuple[list[_Call], bool]:
        """Return `first` with the writes that wait behind it, and whether to stop after them."""
        group = [first]
        while len(group) < GROUP:
            try:
                write = self._writes.get_nowait()
            except queue.Empty:
                break
            if write is None:
                return group, True
            group.append(write)
        return group, False

    def _shut(self) -> None:
        self._writes.put(None)
        for _ in self._readers:
            self._reads.put(None)
        for thread in (self._writer, *self._readers):
            if thread.ident is not None:
                thread.join()
        self._reading.dispose()
        self._writing.dispose()


def reason_of(error: SQLAlchemyError) -> str:
    """Return the database's own words without the statement and its parameters."""
    words = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return " ".join(words.split())


def _commit(connection: Connection, group: list[_Call]) -> list[_Outcome]:
    """Run a group in one transaction; if one of them fails, each in its own."""
    try:
        with connection.begin():
            return [_Outcome(call, call.work(connection), None) for call in group]
    except Exception as error:  # noqa: BLE001 - it belongs to those who wait, whatever it is
        if len(group) == 1:
            return [_Outcome(group[0], None, error)]
    return [outcome for call in group for outcome in _commit(connection, [call])]


def _tell(answered: list[_Outcome]) -> None:
    """Report what was answered, and empty the list."""
    if answered:
        _report(list(answered))
        answered.clear()


def _report(outcomes: list[_Outcome]) -> None:
    """Wake each event loop once for all its calls."""
    for loop in {outcome.call.loop for outcome in outcomes}:
        mine = [outcome for outcome in outcomes if outcome.call.loop is loop]
        with suppress(RuntimeError):  # it was closed, so that nobody waits
            loop.call_soon_threadsafe(_resolve, mine)


def _resolve(outcomes: list[_Outcome]) -> None:
    for call, result, error in outcomes:
        if call.done.cancelled():
            continue
        if error is None:
            call.done.set_result(result)
        else:
            call.done.set_exception(error)


def _engine(url: str, *, immediate: bool, durable: bool) -> Engine:
    """Return an engine whose connections keep what they acknowledge.

    In WAL mode only `synchronous=FULL` puts a commit on disk before it returns:
    https://www.sqlite.org/pragma.html#pragma_synchronous
    """
    engine = create_engine(
        url, poolclass=NullPool, connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS}
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction] - called by SQLAlchemy
        connection.isolation_level = None  # transactions begin where we say, not at the first change
        _to_wal(connection)
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        connection.execute("PRAGMA foreign_keys=ON")

    if immediate:

        @event.listens_for(engine, "connect")
        def remember(connection: sqlite3.Connection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction] - called by SQLAlchemy
            connection.execute(f"PRAGMA cache_size=-{WRITER_KIBIBYTES}")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction] - called by SQLAlchemy
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _to_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; the switch does not wait by itself for other processes."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
