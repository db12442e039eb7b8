"""Databases for the store's tests: files, and a PostgreSQL server that the tests start and stop."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypedDict

import pytest

from limner.tools.sql_store import SqlStore, open_store

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
_names = (f"limner_{number}" for number in count())


class Place(TypedDict):
    """Where a store keeps its data."""

    folder: Path
    database_url: str | None


def _as_server(*command: str | Path) -> None:
    """Run one of PostgreSQL's programs; they refuse to run as root."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*user, *map(str, command)], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a server, without a database's name."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    if not (PROGRAMS / "initdb").exists():
        pytest.skip(f"PostgreSQL's programs are not in {PROGRAMS}")
    folder = Path(tempfile.mkdtemp(prefix="limner-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    data, port = folder / "data", _free_port()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=60"
    try:
        _as_server(PROGRAMS / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
        # Without a log file the server keeps our pipe open and this never returns.
        _as_server(PROGRAMS / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            _as_server(PROGRAMS / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(postgres_server: str) -> str:
    """URL of a new, empty database."""
    import psycopg

    name = next(_names)
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{postgres_server}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A new, empty database of each kind."""
    url = request.getfixturevalue("database_url") if request.param == "postgresql" else None
    return Place(folder=tmp_path / "store", database_url=url)


@pytest.fixture
async def open_tenant(place: Place) -> AsyncIterator[Callable[[str], Awaitable[SqlStore]]]:
    """A function that opens the place again for a tenant."""
    opened: list[SqlStore] = []

    async def open_it(tenant: str) -> SqlStore:
        opened.append(await open_store(**place, tenant=tenant))
        return opened[-1]

    yield open_it
    for store in opened:
        await store.aclose()


@pytest.fixture
async def store(open_tenant: Callable[[str], Awaitable[SqlStore]]) -> SqlStore:
    """An empty store."""
    return await open_tenant("default")
