"""Nobody who was forgotten is learned from, whatever an older file says."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from limner.distill.log.forgotten import known_by, refuse_forgotten
from limner.errors import InputError
from limner.receipts import Scope
from limner.records import Interaction
from limner.tools.sql.sql_store import SqlStore, open_store

ASKED = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """Ada was forgotten and came back, Bo stayed, Cy was forgotten and did not come back."""
    opened = await open_store(folder=tmp_path / "store", database_url=None, tenant="default")
    for user in ("ada", "cy"):
        await opened.forget_rows(await opened.begin_forget(Scope(kind="user", user_id=user, at=ASKED)))
    later = ASKED + timedelta(days=1)
    await opened.record(
        [Interaction(user_id=user, item_id="i", kind="view", at=later) for user in ("ada", "bo")]
    )
    yield opened
    await opened.aclose()


async def test_of_a_file_those_who_came_back_are_left_out_too(store: SqlStore) -> None:
    of_log, of_file = known_by(store, from_file=False), known_by(store, from_file=True)

    assert [await of_log(user) for user in ("ada", "bo", "cy")] == [True, True, False]
    assert [await of_file(user) for user in ("ada", "bo", "cy")] == [False, True, False]


def training_set(folder: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow.parquet as pq

    pa: Any = import_module("pyarrow")  # tells no types
    (folder / "train").mkdir(parents=True)
    schema = pa.schema([("user_id", pa.string()), ("as_of", pa.timestamp("us", tz="UTC"))])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "train" / "prompt_only.parquet")
    return folder


async def test_a_training_set_from_before_a_forget_is_refused(store: SqlStore, tmp_path: Path) -> None:
    before, after = ASKED - timedelta(days=1), ASKED + timedelta(days=2)
    fine = [{"user_id": "ada", "as_of": after}, {"user_id": "bo", "as_of": before}]

    await refuse_forgotten(training_set(tmp_path / "fine", fine), store)
    with pytest.raises(InputError, match="drafts of 1 users who were forgotten"):
        await refuse_forgotten(
            training_set(tmp_path / "old", [*fine, {"user_id": "cy", "as_of": before}]), store
        )
