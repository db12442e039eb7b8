"""Both sides of the store's ratios: Limner's store, and the same rows written and read with `sqlite3` alone.

The bare side keeps the same promises: the same tables and indexes, write-ahead log, every commit on disk.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...models import Profile
from ...records import Interaction
from ...tools.sql.sql_local import LOG_PAGES, WRITER_KIBIBYTES
from ...tools.sql.sql_store import FILE_NAME, SqlStore, open_store
from ...tools.sql.sql_tables import micros
from ...tools.store import Published
from .serve_words import phrases
from .serve_world import Inventor, World
from .world import EVENTS, invent_histories

T = TypeVar("T")
Sides = dict[str, list[float]]

TENANT = "bench"
_AT_ONCE = 64
_NOW = datetime(2030, 1, 1, tzinfo=UTC)
_KEEP_EVENT = "INSERT INTO interactions VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_KEEP_USER = "INSERT INTO users VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_HISTORY = (
    "SELECT user_id, item_id, kind, at, rating, text, event_id FROM interactions "
    "WHERE tenant = ? AND at < ? AND user_id = ? ORDER BY at DESC, event_id DESC"
)
_PROFILE = (
    "SELECT version, fingerprint, data FROM profiles WHERE tenant = ? AND user_id = ? "
    "ORDER BY as_of DESC, version DESC LIMIT 1"
)


@contextmanager
def timed(to: list[float]) -> Iterator[None]:
    """Append the seconds of CPU that a block takes, all threads together."""
    before = time.process_time()
    yield
    to.append(time.process_time() - before)


def sides() -> Sides:
    """Return where both sides of a ratio go."""
    return {"ours": [], "bare": []}


async def compare_stores(given: Mapping[str, Any]) -> dict[str, Sides]:
    """Record histories and read them and profiles; the bare side commits as many users at once as ours awaits."""
    folder, users, turns = Path(given["folder"]), given["store_users"], given["repeats"] + 1
    found = {"record": sides(), "profile": sides(), "history": sides()}
    histories = invent_histories(users * turns, given["seed"])
    profiles = _invent_profiles(users, given["seed"])
    mine = await open_store(folder=folder / "ours", database_url=None, tenant=TENANT)
    with closing(await bare_connection(folder / "bare")) as bare:
        for turn in range(turns):
            part = list(islice(histories, users))
            with timed(found["record"]["bare"]):
                record_bare(bare, part)
            with timed(found["record"]["ours"]):
                await _in_groups(part, mine.record)
            if turn == 0:
                await _publish(mine, bare, profiles)
            await _read(mine, bare, [events[0].user_id for events in part], profiles, found)
    await mine.aclose()
    return found


async def _read(
    mine: SqlStore,
    bare: sqlite3.Connection,
    users: Sequence[str],
    profiles: Sequence[Profile],
    found: Mapping[str, Sides],
) -> None:
    async def history(user_id: str) -> object:
        return await mine.history(user_id, as_of=_NOW)

    async def profile(drawn: Profile) -> object:
        return await mine.profile(drawn.user_id)

    with timed(found["history"]["bare"]):
        for user_id in users:
            bare.execute(_HISTORY, (TENANT, micros(_NOW), user_id)).fetchall()
    with timed(found["history"]["ours"]):
        await _in_groups(users, history)
    with timed(found["profile"]["bare"]):
        for drawn in profiles:
            bare.execute(_PROFILE, (TENANT, drawn.user_id)).fetchone()
    with timed(found["profile"]["ours"]):
        await _in_groups(profiles, profile)


async def _in_groups(things: Sequence[T], work: Callable[[T], Awaitable[object]]) -> None:
    """Await as many at once as a busy server does."""
    for start in range(0, len(things), _AT_ONCE):
        await asyncio.gather(*(work(thing) for thing in things[start : start + _AT_ONCE]))


async def bare_connection(folder: Path) -> sqlite3.Connection:
    """Return a connection to a new file with the store's tables."""
    await (await open_store(folder=folder, database_url=None, tenant=TENANT)).aclose()
    connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"wal_autocheckpoint={LOG_PAGES}",
        f"cache_size=-{WRITER_KIBIBYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def record_bare(connection: sqlite3.Connection, histories: Sequence[Sequence[Interaction]]) -> None:
    """Insert events and their users, so many histories a transaction."""
    for start in range(0, len(histories), _AT_ONCE):
        connection.execute("BEGIN IMMEDIATE")
        for events in histories[start : start + _AT_ONCE]:
            connection.executemany(_KEEP_EVENT, [_row(event) for event in events])
            connection.execute(_KEEP_USER, (TENANT, events[0].user_id, micros(events[0].at), 0))
        connection.execute("COMMIT")


def _row(event: Interaction) -> tuple[object, ...]:
    when = micros(event.at)
    return (TENANT, event.event_id, event.user_id, event.item_id, event.kind, when, event.rating, event.text)


async def write_bare(rows: Sequence[tuple[object, ...]], folder: Path, at_once: int, to: list[float]) -> None:
    """Insert rows of events, so many a transaction, each in the order of its ids."""
    with closing(await bare_connection(folder)) as connection, timed(to):
        for start in range(0, len(rows), at_once):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_KEEP_EVENT, sorted(rows[start : start + at_once]))
            connection.execute("COMMIT")


def _invent_profiles(users: int, seed: int) -> list[Profile]:
    no_vectors = np.zeros((len(phrases(seed)), 1), dtype=np.float32)
    inventor = Inventor(World(users=users, cues=4 * users, events=EVENTS, seed=seed), no_vectors)
    return [
        inventor.profile(number, events, inventor.cues(number, events))
        for number in range(users)
        for events in [inventor.events(number)]
    ]


async def _publish(mine: SqlStore, bare: sqlite3.Connection, profiles: Sequence[Profile]) -> None:
    await _in_groups(profiles, lambda profile: mine.publish(Published(profile, ())))
    bare.executemany(
        "INSERT INTO profiles (tenant, user_id, version, as_of, fingerprint, data) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (TENANT, drawn.user_id, 1, micros(drawn.as_of), drawn.fingerprint, drawn.model_dump_json())
            for drawn in profiles
        ],
    )
