"""A store with something in every table, and places to keep it in."""

import asyncio
import secrets
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from limner import Item, Limner
from limner.serve.graphs.limner_store import LimnerStore
from limner.settings import Settings, load_settings
from limner.tools.behalf import on_behalf
from limner.tools.clock import SystemClock
from limner.tools.jobs import JobBook
from limner.tools.keys import KeyRing
from limner.tools.sql.sql_store import SqlStore

START = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = ("roses", "compost", "orchids", "comets", "nebulae", "planets", "dinghies", "knots", "harbours")
USERS = ("ada", "bo", "cleo", "dan", "eve", "fay")


def _events(user: str, first: int) -> list[dict[str, Any]]:
    return [
        {
            "event_id": f"{user}-{day}",
            "item_id": (item := WORDS[(first + day) % len(WORDS)]),
            "kind": "review",
            "rating": 4.0 + day % 2,
            "at": START + timedelta(days=day),
            "text": f"Lovely {item}, says {user}.",
        }
        for day in range(7)
    ]


async def _fill(settings: Settings) -> None:
    """Put six users and nine items into a store; ada and bo are drawn, and one of everything else is made."""
    async with Limner(settings) as limner:
        await limner.add_items(
            [Item(item_id=word, title=word.capitalize(), tags=(word, "things")) for word in WORDS]
        )
        for place, user in enumerate(USERS):
            await limner.record(user, _events(user, place))
        await limner.profile("ada", as_of=START + timedelta(days=5))
        for user in ("ada", "bo"):
            await limner.profile(user)
        await limner.pair("ada", "harbours")
        assert [outcome.error async for outcome in limner.cards(["roses", "comets"])] == [None, None]
        await limner.refresh()
        await limner.listen(
            "ada", [{"role": "user", "content": "I prefer quiet evenings."}], conversation_id="c"
        )
        await LimnerStore(limner).aput(("notes", "ada"), "tea", {"text": "Takes no sugar."})
        store = limner.doors.store
        assert isinstance(store, SqlStore)
        engine = store.engine
        await JobBook(engine, SystemClock()).add(settings.tenant, "profiles", {"kind": "profiles"})
        await KeyRing(engine, SystemClock()).add(settings.tenant, "read")
        await limner.profile("fay")
        await limner.forget("fay", event_id="fay-6")
        await limner.recommend("ada")
        await limner.doors.store.cache_completions({"k" * 32: '{"text": "kept"}'}, "user:ada")
        with on_behalf("user:ada"):
            await limner.doors.store.cache_vectors("an-encoder", {"v" * 64: b"\x00\x01\x02\xff"})


def settings_at(folder: Path, database_url: str | None = None, *, tenant: str = "default") -> Settings:
    """No model, an encoder without weights, groups of two."""
    url = SecretStr(database_url) if database_url else None
    read = load_settings(store=folder, tenant=tenant, model="none", embedder="hashing", groups={"minimum": 2})
    return read.model_copy(update={"database_url": url})


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled store, to be copied."""
    folder = tmp_path_factory.mktemp("filled") / "store"
    asyncio.run(_fill(settings_at(folder)))
    return folder


@pytest.fixture
def filled(filled_folder: Path, tmp_path: Path) -> Settings:
    """A filled store of its own, on SQLite."""
    shutil.copytree(filled_folder, tmp_path / "store")
    return settings_at(tmp_path / "store")


@pytest.fixture
def new_database(postgres_server: str) -> Callable[[], str]:
    """A function that makes an empty database and returns its URL."""
    import psycopg

    def make() -> str:
        name = f"limner_{secrets.token_hex(4)}"
        with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"{postgres_server}/{name}"

    return make


@pytest.fixture
def fill() -> Callable[[Settings], Awaitable[None]]:
    """A function that fills a store."""
    return _fill


@pytest.fixture
def at() -> Callable[..., Settings]:
    """A function that returns the settings of a store in a folder, or of one on a server."""
    return settings_at
