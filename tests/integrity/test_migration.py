"""An embedded store arrives whole on shared databases, or not at all; interrupted, it goes on."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from limner import Limner
from limner.backups import back_up
from limner.cli import app
from limner.doors import open_only_store
from limner.errors import InputError, MigrationError, StoreNotEmptyError
from limner.integrity import examine
from limner.migration import migrate
from limner.settings import Settings
from limner.tools.chroma.chroma_catalogue import ChromaCatalogue

At = Callable[..., Settings]


@pytest.fixture
def shared(tmp_path: Path, database_url: str, at: At) -> Settings:
    """An empty database, with an index in a folder of its own."""
    return at(tmp_path / "shared", database_url)


def _bytes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


async def test_every_table_arrives_and_the_source_stays_as_it_was(
    filled: Settings, shared: Settings, tmp_path: Path
) -> None:
    before = _bytes(filled.store)

    done = await migrate(filled.store, shared)

    old = await back_up(filled, tmp_path / "old.tar")
    new = await back_up(shared, tmp_path / "new.tar")
    # What is told equals what the source holds, and, but for vectors cached since, what a backup of the target says.
    told = {name: (table.rows, table.sha256) for name, table in done.tables.items()}
    assert told == {part.table: (part.rows, part.sha256) for part in old.tables}
    cached = {"vectors", "vector_owners"}
    assert [part for part in new.tables if part.table not in cached] == [
        part for part in old.tables if part.table not in cached
    ]
    # Nine items; ada has two versions, of which one is indexed, and bo one.
    assert (done.tenants, done.items, done.compared, done.resumed) == (("default",), 9, 3, False)
    assert _bytes(filled.store) == before
    assert sorted(path.name for path in shared.store.iterdir()) == ["chroma", "chroma.lock"]
    assert (await examine(shared)).damage == ()
    async with Limner(filled) as here, Limner(shared) as there:
        assert await there.context("ada") == await here.context("ada")
        assert set(await there.doors.catalogue.portrayed()) == {"ada", "bo"}
        assert await there.doors.catalogue.item_ids() == await here.doors.catalogue.item_ids()


async def test_vectors_go_to_a_chroma_server(
    filled: Settings, shared: Settings, chroma_server: str, tmp_path: Path
) -> None:
    """The server is shared by tests, so the tenant's name is made unique in a copy of the rows."""
    tenant = f"t{uuid4().hex[:12]}"
    source = filled.model_copy(update={"store": tmp_path / "own", "tenant": tenant})
    async with Limner(source) as limner:
        await limner.add_items([{"item_id": "rose", "title": "Rose"}, {"item_id": "fern", "title": "Fern"}])
        events = [{"item_id": "rose", "kind": "review", "at": "2026-01-01", "text": "I love it."}]
        await limner.record("ada", events)
        await limner.profile("ada")
    served = shared.model_copy(update={"chroma_url": chroma_server, "tenant": tenant})

    done = await migrate(source.store, served)

    assert (done.items, done.portraits) == (2, 1)
    assert not (served.store / "chroma").exists()
    async with Limner(served) as limner:
        assert await limner.doors.catalogue.item_ids() == ["fern", "rose"]
        assert list(await limner.doors.catalogue.portrayed()) == ["ada"]


async def test_interrupted_while_indexing_it_goes_on(
    filled: Settings, shared: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, written = ChromaCatalogue.publish_facets, list[str]()

    async def dies(self: ChromaCatalogue, user_id: str, *_: object) -> None:
        raise asyncio.CancelledError(user_id)

    async def counts(self: ChromaCatalogue, user_id: str, facets: object, vectors: object) -> None:
        written.append(user_id)
        await honest(self, user_id, facets, vectors)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(ChromaCatalogue, "publish_facets", dies)
    with pytest.raises(asyncio.CancelledError):
        await migrate(filled.store, shared)
    monkeypatch.setattr(ChromaCatalogue, "publish_facets", counts)

    first = await migrate(filled.store, shared)
    again = await migrate(filled.store, shared)

    assert (first.resumed, first.items, again.resumed) == (True, 9, True)
    assert sorted(written) == ["ada", "bo"]  # the last call found all there


async def test_interrupted_while_writing_rows_it_starts_again(
    filled: Settings, shared: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("limner.tools.sql.sql_backup._go_on_counting", dies)
        with pytest.raises(KeyboardInterrupt):
            await migrate(filled.store, shared)

    assert (await migrate(filled.store, shared)).resumed is False


async def test_a_target_with_anything_else_in_it_is_refused(filled: Settings, shared: Settings) -> None:
    async with Limner(shared) as limner:
        await limner.record("zoe", [{"item_id": "x", "kind": "view", "at": "2026-01-01"}])

    with pytest.raises(StoreNotEmptyError):
        await migrate(filled.store, shared)

    async with Limner(shared) as limner:
        assert [user async for user in limner.users()] == ["zoe"]


async def test_a_target_that_was_used_since_is_refused(filled: Settings, shared: Settings) -> None:
    await migrate(filled.store, shared)
    async with open_only_store(shared) as store:
        await store.engine.write(
            lambda db: db.execute(text("UPDATE profiles SET data = data || ' ' WHERE user_id = 'bo'"))
        )

    with pytest.raises(StoreNotEmptyError):
        await migrate(filled.store, shared)


async def test_vectors_of_somebody_are_no_place_for_ours(
    filled: Settings, shared: Settings, at: At, new_database: Callable[[], str]
) -> None:
    elsewhere = at(shared.store, new_database())
    async with Limner(elsewhere) as limner:  # the same index, another database
        await limner.add_items([{"item_id": "stray", "title": "Stray"}])

    with pytest.raises(StoreNotEmptyError, match="chroma"):
        await migrate(filled.store, shared)

    async with open_only_store(shared) as store:
        assert (await store.counts()).users == 0


async def test_an_index_that_lacks_something_is_told(
    filled: Settings, shared: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgetful(*_: object) -> None:
        return None

    monkeypatch.setattr(ChromaCatalogue, "publish_facets", forgetful)

    with pytest.raises(MigrationError, match="holds 0 portraits that are not the 2"):
        await migrate(filled.store, shared)


async def test_what_cannot_be_is_said_first(
    filled: Settings, shared: Settings, tmp_path: Path, at: At
) -> None:
    with pytest.raises(InputError, match="set `database_url`"):
        await migrate(filled.store, at(tmp_path / "new"))
    with pytest.raises(InputError, match="name another folder"):
        await migrate(shared.store, shared)
    with pytest.raises(InputError, match="there is no store"):
        await migrate(tmp_path / "nothing", shared)

    assert not (tmp_path / "nothing").exists()


def test_the_command_moves_a_store(
    filled: Settings, shared: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    monkeypatch.setenv("LIMNER_DATABASE_URL", database_url)
    words = ["migrate", str(filled.store), "--store", str(shared.store)]

    told = CliRunner().invoke(app, words)
    again = CliRunner().invoke(app, [*words, "--json"])

    assert (told.exit_code, again.exit_code) == (0, 0), told.output
    assert "every table has the count and checksum" in told.stdout
    assert json.loads(again.stdout)["resumed"] is True
    assert json.loads(again.stdout)["tables"]["profiles"]["rows"] == 3
