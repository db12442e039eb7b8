"""The rollout log as Parquet."""

import importlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limner.distill.log.export_rollouts import export_rollouts
from limner.models import Profile, Rollout
from limner.records import Message, Usage
from limner.tools.sql.sql_store import SqlStore, open_store
from limner.tools.store import Published

parquet: Any = importlib.import_module("pyarrow.parquet")
MOMENT = datetime(2024, 1, 1, 12, 30, 0, 7, tzinfo=UTC)


def rollout(number: int, **changes: Any) -> Rollout:
    fields: dict[str, Any] = {
        "rollout_id": f"r{number}",
        "run_id": "run",
        "user_id": "u",
        "round": 0,
        "draft_ix": number,
        "group_key": "g",
        "messages": (Message(role="system", content="Be brief."), Message(role="user", content="Draw.")),
        "completion": "Draws maps.",
        "profile_text": "Draws maps.",
        "finish_reason": "stop",
        "backend": "scripted",
        "model_rev": "1",
        "temperature": 0.9,
        "top_p": 0.95,
        "selected": number == 0,
        "selection_propensity": 0.25,
        "rewards": {"total": 0.5, "rank": -0.25},
        "critic_version": "c1",
        "as_of": MOMENT,
        "held": ("e1",),
        "neg_seed": 3,
        "prompt_id": "draft",
        "prompt_version": 2,
        "usage": Usage(calls=1, prompt_tokens=10, cost=0.125),
        "at": MOMENT,
    }
    return Rollout(**(fields | changes))


async def logged(store: SqlStore, rollouts: list[Rollout]) -> None:
    profile = Profile(
        user_id="u",
        version=1,
        as_of=MOMENT,
        text="Draws maps.",
        language="en",
        source="model",
        critic_version="c1",
        fingerprint="f",
        created_at=MOMENT,
    )
    await store.publish(Published(profile, tuple(rollouts)))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty store."""
    opened = await open_store(folder=tmp_path / "store", database_url=None, tenant="default")
    yield opened
    await opened.aclose()


async def test_every_rollout_is_written_with_its_types(store: SqlStore, tmp_path: Path) -> None:
    bare = rollout(0, messages=(), rewards={})
    whole = rollout(1, item_id="i", seed=2**40, token_ids=(5, 6), token_logprobs=(-0.5, -1.5))
    await logged(store, [bare, whole])

    assert await export_rollouts(store, tmp_path / "new" / "log.parquet") == 2

    table = parquet.read_table(tmp_path / "new" / "log.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert types["rewards"] == "map<string, double ('rewards')>"
    assert types["messages"] == "list<element: struct<role: string not null, content: string not null>>"
    assert types["token_ids"] == "list<element: int64>"
    assert types["token_logprobs"] == "list<element: double>"
    assert types["ts"] == "timestamp[us, tz=UTC]"
    assert set(types) == {*Rollout.model_fields, "ts"} - {"at"}
    rows = table.to_pylist()
    assert (rows[0]["messages"], rows[0]["rewards"], rows[0]["token_ids"], rows[0]["seed"]) == (
        [],
        [],
        None,
        None,
    )
    for row, source in zip(rows, (bare, whole), strict=True):
        row["at"] = row.pop("ts")
        row["rewards"] = dict(row["rewards"])
        assert Rollout(**row) == source


async def test_a_long_log_is_written_in_row_groups_in_its_order(store: SqlStore, tmp_path: Path) -> None:
    await logged(store, [rollout(number) for number in range(1100)])

    assert await export_rollouts(store, tmp_path / "log.parquet") == 1100

    file = parquet.ParquetFile(tmp_path / "log.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [500, 500, 100]
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.read(["draft_ix"])["draft_ix"].to_pylist() == list(range(1100))


async def test_an_empty_log_is_an_empty_file_with_columns(store: SqlStore, tmp_path: Path) -> None:
    assert await export_rollouts(store, tmp_path / "log.parquet") == 0

    table = parquet.read_table(tmp_path / "log.parquet")
    assert (table.num_rows, "rewards" in table.column_names) == (0, True)


async def test_a_failed_export_leaves_the_earlier_file_and_nothing_else(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await logged(store, [rollout(0)])
    folder = tmp_path / "out"
    await export_rollouts(store, folder / "log.parquet")
    before = (folder / "log.parquet").read_bytes()

    async def breaking(batch: int) -> AsyncIterator[list[Rollout]]:
        yield [rollout(1)]
        raise ConnectionError("gone")

    monkeypatch.setattr(store, "rollouts", breaking)
    with pytest.raises(ConnectionError, match="gone"):
        await export_rollouts(store, folder / "log.parquet")

    assert [path.name for path in folder.iterdir()] == ["log.parquet"]
    assert (folder / "log.parquet").read_bytes() == before
