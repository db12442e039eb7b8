"""Databases for the store's tests: files, and the PostgreSQL server of `tests/conftest.py`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypedDict

import pytest

from limner.tools.sql.sql_store import SqlStore, open_store


class Place(TypedDict):
    """Where a store keeps its data."""

    folder: Path
    database_url: str | None


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
