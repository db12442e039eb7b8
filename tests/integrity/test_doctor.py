"""Doctor finds planted damage of every kind, names it by ids alone, and mends that and nothing else."""

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint
from sqlalchemy import Connection, text
from typer.testing import CliRunner, Result

from limner import Item, Limner
from limner.cli import app
from limner.doors import open_only_store
from limner.errors import StoreError
from limner.integrity import Examined, examine, mend, tenants_of
from limner.models import Facet
from limner.receipts import Scope
from limner.settings import Settings
from limner.tools.forgetting.forget_checkpoints import checkpoint_metadata
from limner.tools.integrity.damage import KINDS
from limner.tools.sql.sql_tables import micros

NOW = micros(datetime.now(UTC))

ROWS: dict[str, tuple[list[str], list[str]]] = {
    "forgotten": (
        [
            (
                "INSERT INTO interactions (tenant, event_id, user_id, item_id, kind, at) "
                f"VALUES ('default', 'fay-6', 'fay', 'roses', 'view', {NOW})"
            ),
        ],
        ["fay fay-6"],
    ),
    "unreadable": (["UPDATE pairs SET data = '{}' WHERE user_id = 'ada'"], ["pairs ada harbours"]),
    "tenant": (["UPDATE tenants SET newest = 5"], ["default"]),
    "unlisted_users": (
        ["DELETE FROM users WHERE user_id = 'fay'", "UPDATE users SET first_at = 7 WHERE user_id = 'dan'"],
        ["dan", "fay"],
    ),
    "empty_users": (
        ["INSERT INTO users (tenant, user_id, first_at, shuffle) VALUES ('default', 'zoe', 1, 1)"],
        ["zoe"],
    ),
    "cues": (
        [
            (
                "INSERT INTO cues (tenant, subject, cue_id, seq, data) SELECT tenant, 'user:eve by x', 'c9', seq, "
                "REPLACE(data, 'ada-', 'gone-') FROM cues WHERE data LIKE '%ada-%' LIMIT 1"
            ),
        ],
        ["user:eve by x c9"],
    ),
    "cued_events": (
        ["INSERT INTO cued_events (tenant, subject, event_id) VALUES ('default', 'user:eve by x', 'gone-1')"],
        ["user:eve by x gone-1"],
    ),
    "profiles": (
        ["UPDATE profiles SET data = REPLACE(data, 'bo-1', 'gone-1') WHERE user_id = 'bo'"],
        ["bo 1"],
    ),
    "rollouts": (
        [
            (
                "INSERT INTO rollouts (tenant, rollout_id, seq, user_id, item_id, data) SELECT tenant, 'r9', seq + 900, "
                "'zoe', item_id, data FROM rollouts WHERE user_id = 'bo' LIMIT 1"
            ),
        ],
        ["r9"],
    ),
    "pairs": (
        ["INSERT INTO pairs (tenant, user_id, item_id, data) SELECT tenant, 'bo', 'gone', data FROM pairs"],
        ["bo gone"],
    ),
    "cards": (
        [
            (
                "INSERT INTO cards (tenant, fingerprint, item_id, as_of, read_to, created, data) SELECT tenant, 'f9', "
                "'gone', as_of, read_to, created, data FROM cards WHERE item_id = 'roses'"
            ),
        ],
        ["f9 gone"],
    ),
    "memberships": (
        [
            (
                "INSERT INTO group_members (tenant, user_id, group_id, data) SELECT tenant, 'zoe', group_id, data "
                "FROM group_members WHERE user_id = 'bo'"
            ),
            "UPDATE group_members SET group_id = 'gone' WHERE user_id = 'cleo'",
        ],
        ["cleo", "zoe"],
    ),
    "memory_vectors": (
        [
            (
                "INSERT INTO memory_vectors (tenant, namespace, key, encoder, path, vector) SELECT tenant, namespace, "
                "'gone', encoder, path, vector FROM memory_vectors"
            ),
        ],
        ["notes.ada. gone hashing-v1 $"],
    ),
    "version_gaps": (
        [
            (
                "INSERT INTO profiles (tenant, user_id, version, as_of, fingerprint, data) SELECT tenant, user_id, 5, "
                "as_of, 'f', data FROM profiles WHERE user_id = 'bo'"
            ),
        ],
        ["bo 2", "bo 3", "bo 4"],
    ),
    "parents": (
        [
            (
                "UPDATE profiles SET data = REPLACE(data, '\"parent_version\":1', '\"parent_version\":9') "
                "WHERE user_id = 'ada' AND version = 2"
            ),
        ],
        ["ada 2"],
    ),
    "jobs": (["UPDATE jobs SET job_id = 'j1', state = 'running', beat = 1000"], ["j1"]),
}
"""Kind to statements that do the damage, and the examples that doctor names."""


async def _run(settings: Settings, *statements: str) -> None:
    """Change rows behind everybody's back."""

    def change(connection: Connection) -> None:
        for statement in statements:
            done = connection.execute(text(statement.replace(":", r"\:")))  # a colon names no parameter here
            assert done.rowcount > 0, statement

    async with open_only_store(settings) as store:
        await store.engine.write(change)


def _told(examined: Examined) -> dict[str, list[str]]:
    return {found.kind: list(found.examples) for found in examined.damage}


async def test_a_whole_store_has_nothing_wrong_and_nothing_to_mend(filled: Settings) -> None:
    found = await mend(filled)

    assert (found.damage, found.unseen, found.mended) == ((), {}, {})


@pytest.mark.parametrize("kind", ROWS)
async def test_damaged_rows_are_found_and_mended(kind: str, filled: Settings) -> None:
    statements, examples = ROWS[kind]
    await _run(filled, *statements)

    found = await examine(filled)
    mended = await mend(filled)

    assert _told(found) == {kind: examples}
    assert (mended.damage, mended.mended) == ((), {kind: len(examples)})


async def test_a_server_s_rows_are_found_and_mended_all_at_once(
    database_url: str,
    tmp_path: Path,
    at: Callable[..., Settings],
    fill: Callable[[Settings], Awaitable[None]],
) -> None:
    settings = at(tmp_path / "store", database_url)
    await fill(settings)
    apart = ("unlisted_users", "empty_users", "unreadable")  # what these do hides or explains others
    together = [kind for kind in ROWS if kind not in apart]
    await _run(settings, *(statement for kind in together for statement in ROWS[kind][0]))

    found = await examine(settings)
    mended = await mend(settings)

    assert set(_told(found)) == set(together)
    # Forgetting again renews the note of the newest event, and removing versions says that they are gone.
    assert (mended.damage, set(together) - set(mended.mended)) == ((), {"tenant", "version_gaps"})


async def test_examining_changes_nothing(filled: Settings) -> None:
    await _run(filled, *ROWS["cues"][0], *ROWS["parents"][0])
    with closing(sqlite3.connect(filled.store / "limner.db")) as database:
        before = list(database.iterdump())

    await examine(filled)

    with closing(sqlite3.connect(filled.store / "limner.db")) as database:
        assert list(database.iterdump()) == before


async def test_mending_a_cue_has_the_rest_of_its_evidence_read_again(filled: Settings) -> None:
    def first(connection: Connection) -> tuple[str, str, list[str]]:
        row = connection.execute(
            text("SELECT subject, cue_id, data FROM cues WHERE data LIKE '%ada-%'")
        ).first()
        assert row is not None
        return row.subject, row.cue_id, json.loads(row.data)["evidence"]

    async with open_only_store(filled) as store:
        subject, cue_id, [event_id, *_] = await store.engine.read(first)
    with closing(sqlite3.connect(filled.store / "limner.db")) as database:
        database.execute(
            "UPDATE cues SET data = REPLACE(data, ?, ?) WHERE cue_id = ?",
            (f'"evidence":["{event_id}"', f'"evidence":["{event_id}","gone"', cue_id),
        )
        database.commit()

    await mend(filled)

    async with open_only_store(filled) as store:
        assert cue_id not in {cue.cue_id for cue in await store.cues(subject)}
        assert event_id not in await store.cued_events(subject)


async def test_a_version_that_was_removed_is_not_given_again(filled: Settings) -> None:
    await _run(filled, *ROWS["profiles"][0])

    await mend(filled)

    async with Limner(filled) as limner:
        assert await limner.stored_profile("bo") is None
        assert (await limner.profile("bo")).version == 2


async def test_a_version_follows_the_one_it_was_drawn_after(filled: Settings) -> None:
    await _run(filled, *ROWS["parents"][0])

    await mend(filled)

    async with Limner(filled) as limner:
        drawn = await limner.stored_profile("ada", version=2)
        assert drawn is not None and drawn.parent_version == 1


async def test_versions_that_a_forget_took_are_no_gap(filled: Settings) -> None:
    async with Limner(filled) as limner:
        await limner.forget("bo", event_id="bo-6")
        await limner.profile("bo")

    assert (await examine(filled)).damage == ()


async def test_forgotten_events_that_are_back_go_with_what_was_made_of_them(filled: Settings) -> None:
    await _run(filled, *ROWS["forgotten"][0])
    async with Limner(filled) as limner:
        await limner.profile("fay")

    await mend(filled)

    async with Limner(filled) as limner:
        assert await limner.stored_profile("fay") is None
        assert "fay-6" not in {event.event_id for event in await limner.history("fay")}


async def test_an_unfinished_forget_is_found_and_finished(filled: Settings) -> None:
    async with open_only_store(filled) as store:
        await store.begin_forget(Scope(kind="user", user_id="cleo", at=datetime.now(UTC)))

    found = await examine(filled)
    mended = await mend(filled)

    # What the forget has not reached yet counts as back.
    assert set(_told(found)) == {"forgets", "forgotten", "recommender"}
    assert mended.damage == ()
    async with open_only_store(filled) as store:
        assert not await store.has_user("cleo")


async def test_the_index_is_compared_with_the_items_and_the_portraits(filled: Settings) -> None:
    async with Limner(filled) as limner:
        await limner.reindex()
        catalogue = limner.doors.catalogue
        await catalogue.forget_items(["roses", "knots"])
        await catalogue.upsert([Item(item_id="stray", title="Nobody's")])
        await catalogue.publish_facets(
            "zoe", [Facet(name="maps", text="Enjoys maps.")], np.ones((1, 64), dtype=np.float32)
        )

    found = await examine(filled)
    mended = await mend(filled)

    assert _told(found) == {
        "missing_items": ["knots", "roses"],
        "foreign_items": ["stray"],
        "foreign_portraits": ["zoe"],
    }
    assert mended.damage == ()
    async with Limner(filled) as limner:
        assert set(await limner.doors.catalogue.item_ids()) == {item async for item in _items(limner)}
        assert set(await limner.doors.catalogue.portrayed()) == {"ada", "bo"}


async def _items(limner: Limner) -> AsyncIterator[str]:
    async for batch in limner.doors.store.all_items():
        for item in batch:
            yield item.item_id


async def test_checkpoints_that_nobody_takes_up_are_found(filled: Settings) -> None:
    whose: dict[str, tuple[str, Mapping[str, object]]] = {
        "ended": ("ada", {"profile": "drawn"}),
        "stray": ("zoe", {}),
        "open": ("ada", {"round": 1}),
    }
    async with Limner(filled) as limner:
        for thread, (user_id, values) in whose.items():
            checkpoint = empty_checkpoint()
            checkpoint["channel_values"] = dict(values)
            config: RunnableConfig = {
                "configurable": {"thread_id": thread, "checkpoint_ns": ""},
                "metadata": checkpoint_metadata("default", user_id, None),
            }
            await limner.doors.saver.aput(config, checkpoint, {}, {})

    found = await examine(filled)
    mended = await mend(filled)

    assert _told(found) == {"checkpoints": ["ended", "stray"]}
    assert mended.damage == ()
    async with Limner(filled) as limner:
        assert await limner.doors.saver.aget_tuple({"configurable": {"thread_id": "open"}}) is not None


async def test_files_that_serve_nobody_are_found(filled: Settings) -> None:
    (filled.store / "recommender" / "default.npz").write_bytes(b"no archive")
    part = filled.store / "recommender" / ".default.npz.0f0f.part"
    fresh = filled.store / ".export.jsonl.0f0f.part"
    for path in (part, fresh):
        path.write_bytes(b"half")
    os.utime(part, (time.time() - 7200, time.time() - 7200))

    found = await examine(filled)
    mended = await mend(filled)

    assert _told(found) == {
        "recommender": ["recommender/default.npz"],
        "parts": ["recommender/.default.npz.0f0f.part"],
    }
    assert mended.damage == ()
    assert fresh.exists()


async def test_a_broken_file_is_told_and_left_to_a_backup(filled: Settings) -> None:
    file = filled.store / "limner.db"
    with closing(sqlite3.connect(file)) as database:
        [(root,)] = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_interactions_tenant_user_id_at'"
        )
        [(size,)] = database.execute("PRAGMA page_size")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with file.open("r+b") as raw:
        raw.seek((root - 1) * size + size // 2)
        raw.write(b"\xff" * (size // 2))

    found = await examine(filled)

    assert [damage.kind for damage in found.damage if not damage.remedy] == ["database"]


async def test_an_index_in_use_is_not_looked_at_and_said_so(
    filled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise StoreError("chroma", "another process has it open")

    monkeypatch.setattr("limner.doors.open_shared", refused)

    found = await examine(filled)

    assert found.unseen == {
        "index and checkpoints of tenant 'default'": "store chroma: another process has it open"
    }


async def test_each_tenant_s_damage_is_its_own(filled: Settings, at: Callable[..., Settings]) -> None:
    other = at(filled.store, tenant="other")
    async with Limner(other) as limner:
        await limner.record("ada", [{"item_id": "x", "kind": "view", "at": "2026-01-01", "event_id": "e"}])
    await _run(filled, "DELETE FROM users WHERE tenant = 'other'")

    assert (await examine(filled)).damage == ()
    assert _told(await examine(filled, await tenants_of(filled))) == {"unlisted_users": ["ada"]}
    assert (await mend(filled)).mended == {}
    assert (await mend(other)).mended == {"unlisted_users": 1}


def test_every_kind_says_what_is_wrong_and_each_but_two_what_mending_does() -> None:
    assert set(ROWS) | {
        "database",
        "unreadable_items",
        "forgets",
        "checkpoints",
        "missing_items",
        "foreign_items",
        "foreign_portraits",
        "recommender",
        "parts",
    } == set(KINDS)
    assert [name for name, kind in KINDS.items() if not kind.remedy] == ["database", "unreadable_items"]


def test_the_command_tells_then_asks_then_mends(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    asyncio.run(_run(filled, *ROWS["memory_vectors"][0]))
    words = ["doctor", "--store", str(filled.store), "--model", "none"]

    def doctor(*more: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, [*words, *more], input=answer)

    looked, refused = doctor("--json"), doctor("--fix", answer="n\n")
    unsure, fixed, again = doctor("--fix", "--json"), doctor("--fix", "--yes", "--json"), doctor("--json")

    [wrong] = [entry for entry in json.loads(looked.stdout) if not entry["ok"]]
    assert (looked.exit_code, refused.exit_code, unsure.exit_code) == (1, 1, 1)
    assert (wrong["kind"], wrong["count"], wrong["examples"]) == (
        "memory_vectors",
        1,
        ["notes.ada. gone hashing-v1 $"],
    )
    assert "Takes no sugar" not in looked.stdout + refused.stdout
    assert json.loads(unsure.stdout)["error"]["code"] == "input"
    assert [entry["kind"] for entry in json.loads(fixed.stdout) if entry["check"] == "mended"] == [
        "memory_vectors"
    ]
    assert (fixed.exit_code, again.exit_code) == (0, 0)
