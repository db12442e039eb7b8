"""A backup is one moment of everything, restores to the same rows on either database, or is refused."""

import asyncio
import gzip
import io
import json
import random
import re
import sqlite3
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select, text
from typer.testing import CliRunner, Result

from limner import Limner
from limner.backups import back_up, restore
from limner.cli import app
from limner.doors import open_only_store
from limner.errors import BackupDamagedError, InputError, StoreError, StoreNotEmptyError
from limner.integrity import examine
from limner.settings import Settings
from limner.tools.backup.backup_file import BackupReader, BackupWriter, Part
from limner.tools.sql.sql_backup import save
from limner.tools.sql.sql_migrate import head_revision, upgrade
from limner.tools.sql.sql_tables import metadata

At = Callable[..., Settings]
Fill = Callable[[Settings], Awaitable[None]]


async def _rows(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table."""

    def read(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }

    async with open_only_store(settings) as store:
        return await store.engine.read(read)


@pytest.fixture
async def backup(filled: Settings, tmp_path: Path) -> Path:
    """A backup of the filled store."""
    await back_up(filled, tmp_path / "backups" / "a.tar")
    return tmp_path / "backups" / "a.tar"


async def test_a_restored_store_is_the_one_that_was_saved(
    filled: Settings, backup: Path, tmp_path: Path, at: At
) -> None:
    new = at(tmp_path / "new")

    done = await restore(new, backup)

    before = await _rows(filled)
    assert await _rows(new) == before
    assert [table for table, rows in before.items() if not rows] == []
    assert done.rows == {table: len(rows) for table, rows in before.items()}
    assert (done.tenants, done.items, done.portraits) == (("default",), 9, 3)
    assert (await examine(new)).damage == ()
    async with Limner(filled) as old, Limner(new) as limner:
        assert await limner.stored_profile("ada") == await old.stored_profile("ada")
        assert await limner.context("ada") == await old.context("ada")
        assert set(await limner.doors.catalogue.portrayed()) == {"ada", "bo"}


async def test_rows_go_to_a_server_and_back(
    filled: Settings, backup: Path, tmp_path: Path, at: At, database_url: str
) -> None:
    server, back = at(tmp_path / "server", database_url), at(tmp_path / "back")

    await restore(server, backup)
    async with Limner(server) as limner:
        assert await limner.stored_profile("ada") is not None
    saved = await back_up(server, tmp_path / "b.tar")
    await restore(back, tmp_path / "b.tar")

    assert saved.database == "postgresql"
    assert await _rows(server) == await _rows(filled) == await _rows(back)
    # Rows in one order have one checksum, whichever database they come from.
    assert [part.sha256 for part in saved.tables] == [
        part.sha256 for part in BackupReader(backup).manifest.tables
    ]


async def test_a_server_goes_on_numbering_its_log(
    backup: Path, tmp_path: Path, at: At, database_url: str
) -> None:
    server = at(tmp_path / "server", database_url)
    await restore(server, backup)

    async with Limner(server) as limner:
        before = [rollout.rollout_id async for rollout in limner.rollouts()]
        await limner.profile("cleo")
        after = [rollout.rollout_id async for rollout in limner.rollouts()]

    assert after[: len(before)] == before
    assert len(after) > len(before)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_backup_is_one_moment_while_others_write(
    kind: str, tmp_path: Path, at: At, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("database_url") if kind == "postgresql" else None
    settings = at(tmp_path / "busy", url)
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    async def write(limner: Limner) -> None:
        for number in range(60):  # a user's event and the user come in one transaction
            event = {"item_id": "x", "kind": "view", "at": moment, "event_id": f"e{number:03}"}
            await limner.record(f"u{number:03}", [event])

    async with Limner(settings) as limner:
        writing = asyncio.create_task(write(limner))
        saved = [await back_up(settings, tmp_path / f"{number}.tar") for number in range(3)]
        await writing
    for number, manifest in enumerate(saved):
        backup = BackupReader(tmp_path / f"{number}.tar")
        parts = {part.table: part for part in manifest.tables}
        events = [
            dict(zip(parts["interactions"].columns, row, strict=True))
            for row in backup.rows(parts["interactions"])
        ]
        users = [dict(zip(parts["users"].columns, row, strict=True)) for row in backup.rows(parts["users"])]
        assert sorted(event["user_id"] for event in events) == sorted(user["user_id"] for user in users)
        assert [event["event_id"] for event in events] == [f"e{number:03}" for number in range(len(events))]


async def test_a_backup_leaves_nothing_beside_itself_and_is_its_owner_s_alone(backup: Path) -> None:
    assert [path.name for path in backup.parent.iterdir()] == ["a.tar"]
    assert backup.stat().st_mode & 0o777 == 0o600


async def test_a_failed_backup_leaves_the_earlier_one(
    filled: Settings, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = backup.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BackupWriter, "finish", full)
    with pytest.raises(OSError, match="No space"):
        await back_up(filled, backup)

    assert backup.read_bytes() == before
    assert [path.name for path in backup.parent.iterdir()] == ["a.tar"]


async def test_nothing_is_no_store(tmp_path: Path, at: At) -> None:
    with pytest.raises(InputError, match="there is no store"):
        await back_up(at(tmp_path / "none"), tmp_path / "a.tar")

    assert not (tmp_path / "none").exists()


async def test_a_store_with_anything_in_it_is_not_restored_over(
    filled: Settings, backup: Path, tmp_path: Path, at: At
) -> None:
    other = at(tmp_path / "other", tenant="else")
    async with Limner(other) as limner:
        await limner.record("zoe", [{"item_id": "x", "kind": "view", "at": "2026-01-01", "event_id": "z"}])
    before = await _rows(other)

    with pytest.raises(StoreNotEmptyError):
        await restore(other, backup)
    assert await _rows(other) == before

    done = await restore(other, backup, replace=True)
    assert done.tenants == ("default",)
    assert await _rows(other) == await _rows(filled)
    async with Limner(other) as limner:
        assert await limner.doors.catalogue.item_ids() == []


async def test_a_cut_or_changed_file_is_refused_or_the_same(backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    draw, bad = random.Random(7), tmp_path / "bad.tar"
    saved, refused = _read(backup), 0
    cuts = [whole[: draw.randrange(len(whole))] for _ in range(40)]
    flips = [
        whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :]
        for place in (draw.randrange(len(whole)) for _ in range(300))
    ]

    for damaged in cuts + flips:
        bad.write_bytes(damaged)
        try:
            assert _read(bad) == saved  # padding, or a field of the tar that nobody reads
        except BackupDamagedError:
            refused += 1

    assert refused > 100


def _read(path: Path) -> list[Any]:
    backup = BackupReader(path)
    return [backup.manifest, *(list(backup.rows(part)) for part in backup.manifest.tables)]


Parts = list[tuple[str, bytes]]


def _cut(parts: Parts) -> None:
    parts.pop()


def _add(parts: Parts) -> None:
    parts.insert(0, ("../evil", b""))


def _swap(parts: Parts) -> None:
    parts[0] = (parts[0][0], gzip.compress(b"[1]\n"))


def _retell(parts: Parts) -> None:
    parts[-1] = ("manifest.json", parts[-1][1].replace(b'"0', b'"9', 1))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_cut, "has no manifest at its end"),
        (_add, "not those that the manifest names"),
        (_swap, "has a row of 1 entries"),
        (_retell, "manifest"),
    ],
)
async def test_a_forged_file_is_refused_before_anything_is_touched(
    change: Callable[[Parts], None],
    told: str,
    filled: Settings,
    backup: Path,
    tmp_path: Path,
) -> None:
    parts: Parts = []
    with tarfile.open(backup) as tar:
        for name in tar.getnames():
            file = tar.extractfile(name)
            assert file is not None
            parts.append((name, file.read()))
    change(parts)
    with tarfile.open(tmp_path / "forged.tar", "w") as tar:
        for name, data in parts:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    before = await _rows(filled)

    with pytest.raises(BackupDamagedError, match=told):
        await restore(filled, tmp_path / "forged.tar", replace=True)

    assert await _rows(filled) == before


async def test_rows_that_do_not_arrive_leave_the_store_as_it_was(
    filled: Settings, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await _rows(filled)
    honest = BackupReader.rows

    def without_a_user(self: BackupReader, part: Part) -> Iterator[list[Any]]:
        rows = honest(self, part)
        return islice(rows, 1 if part.table == "users" else 0, None)

    backup_rows = "limner.tools.backup.backup_file.BackupReader.rows"
    monkeypatch.setattr(backup_rows, without_a_user)

    with pytest.raises(BackupDamagedError, match="table users did not arrive"):
        await restore(filled, backup, replace=True)

    assert await _rows(filled) == before


async def test_who_was_forgotten_since_stays_forgotten(filled: Settings, backup: Path) -> None:
    async with Limner(filled) as limner:
        await limner.forget("ada")
        await limner.forget_item("roses")
        await limner.forget("bo", event_id="bo-3")
        stones = await limner.doors.store.forgets()

    done = await restore(filled, backup, replace=True)

    assert done.forgotten_again["profiles"] == 3
    everything = json.dumps({table: repr(rows) for table, rows in (await _rows(filled)).items()})
    assert not re.search(r"\bada\b", everything)  # a digest may hold these letters, but not as a word
    assert "roses" not in everything.lower()
    assert "bo-3" not in everything
    assert re.search(r"\bcleo\b", everything)
    assert "cleo-0" in everything
    assert (await examine(filled)).damage == ()
    async with Limner(filled) as limner:
        assert await limner.doors.store.forgets() == stones
        late = [{"event_id": "ada-1", "item_id": "comets", "kind": "view", "at": "2026-03-02"}]
        assert (await limner.record("ada", late)).forgotten == 1


async def test_old_events_and_a_forgotten_tenant_stay_forgotten(
    filled: Settings, backup: Path, at: At, fill: Fill
) -> None:
    bound = datetime(2026, 3, 4, tzinfo=UTC)
    async with Limner(filled) as limner:
        await limner.forget_older(bound)

    await restore(filled, backup, replace=True)

    async with Limner(filled) as limner:
        assert min(event.at for event in await limner.history("cleo")) == bound
        await limner.forget_tenant()

    done = await restore(filled, backup, replace=True)

    async with Limner(filled) as limner:
        assert await limner.counts() == (0, 0, 0, 0, 0, 0)
    assert done.forgotten_again["items"] == 9


async def test_who_came_again_before_the_backup_comes_back(filled: Settings, tmp_path: Path) -> None:
    async with Limner(filled) as limner:
        await limner.forget("ada")
        await limner.record(
            "ada",
            [
                {
                    "event_id": "again",
                    "item_id": "roses",
                    "kind": "view",
                    "at": datetime.now(UTC) + timedelta(1),
                }
            ],
        )
    await back_up(filled, tmp_path / "b.tar")

    done = await restore(filled, tmp_path / "b.tar", replace=True)

    assert done.forgotten_again == {}
    async with Limner(filled) as limner:
        assert await limner.doors.store.has_user("ada")


async def test_another_store_s_tombstones_are_heeded_and_said_to_be_dropped(
    backup: Path, tmp_path: Path, at: At
) -> None:
    other = at(tmp_path / "other")
    async with Limner(other) as limner:
        await limner.record("ada", [{"item_id": "x", "kind": "view", "at": "2026-01-01", "event_id": "z"}])
        await limner.forget("ada")

    done = await restore(other, backup, replace=True)

    assert done.tombstones_dropped == 1
    async with Limner(other) as limner:
        assert not await limner.doors.store.has_user("ada")
        assert await limner.doors.store.has_user("bo")


def _old_backup(path: Path, revision: str) -> None:
    """Write a backup as a version with an older schema did."""
    engine = create_engine(f"sqlite:///{path.with_suffix('.db')}")
    with engine.begin() as connection:
        upgrade(connection, "old", to=revision)
        connection.execute(
            text("INSERT INTO users (tenant, user_id, first_at, shuffle) VALUES ('default', 'ada', 5, 1)")
        )
        connection.execute(
            text(
                "INSERT INTO interactions (tenant, event_id, user_id, item_id, kind, at) "
                "VALUES ('default', 'e1', 'ada', 'x', 'view', 5)"
            )
        )
        connection.execute(text("INSERT INTO tenants (tenant, generation, newest) VALUES ('default', 1, 5)"))
        writer = BackupWriter(path)
        found = save(connection, writer)
        writer.finish(limner="0.0.1", revision=found, database="sqlite", at=datetime.now(UTC))
    engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_backup_of_an_older_schema_is_brought_up_to_date(
    kind: str, tmp_path: Path, at: At, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("database_url") if kind == "postgresql" else None
    _old_backup(tmp_path / "old.tar", "0003")
    settings = at(tmp_path / "new", url)

    await restore(settings, tmp_path / "old.tar")

    assert BackupReader(tmp_path / "old.tar").manifest.revision == "0003"
    assert (await back_up(settings, tmp_path / "new.tar")).revision == head_revision()
    async with Limner(settings) as limner:
        assert [event.event_id for event in await limner.history("ada")] == ["e1"]
        assert (await limner.doors.store.forgets()) == 0


async def test_a_backup_of_a_newer_schema_is_refused(filled: Settings, tmp_path: Path) -> None:
    writer = BackupWriter(tmp_path / "new.tar")
    writer.finish(limner="9.9", revision="9999", database="sqlite", at=datetime.now(UTC))
    before = await _rows(filled)

    with pytest.raises(StoreError, match=r"schema '9999'.*install a newer limner"):
        await restore(filled, tmp_path / "new.tar", replace=True)

    assert await _rows(filled) == before


def test_the_commands_save_and_restore(
    filled: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    file, old, new = str(tmp_path / "a.tar"), str(filled.store), str(tmp_path / "new")

    def limner(*words: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, list(words), input=answer)

    saved = limner("backup", file, "--store", old)
    restored = limner("restore", file, "--store", new, "--json")
    again = limner("restore", file, "--store", new, "--json")
    refused = limner("restore", file, "--store", new, "--replace", answer="n\n")
    replaced = limner("restore", file, "--store", new, "--replace", "--yes")

    assert (saved.exit_code, restored.exit_code, replaced.exit_code) == (0, 0, 0)
    assert (again.exit_code, refused.exit_code) == (1, 1)
    assert json.loads(restored.stdout)["rows"]["profiles"] == 3
    assert json.loads(again.stdout)["error"]["code"] == "store_not_empty"
    assert "3 portraits compared" in replaced.stdout
    with closing(sqlite3.connect(tmp_path / "new" / "limner.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM profiles").fetchone() == (3,)
