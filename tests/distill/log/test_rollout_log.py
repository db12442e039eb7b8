"""The log is read as it was written, and a broken row is named."""

import importlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from limner.distill.log.export_rollouts import export_rollouts, rollout_schema
from limner.distill.log.manifest import Recipe
from limner.distill.log.prepare import Source, prepare
from limner.distill.log.rollout_log import read_parquet, read_store
from limner.distill.log.splits import Splitting
from limner.errors import BadRowError, UnknownFormatError
from limner.models import Rollout
from limner.pairings import Pair, PairSide
from limner.records import Message
from limner.tools.sql.sql_store import SqlStore, open_store

arrow: Any = importlib.import_module("pyarrow")
parquet: Any = importlib.import_module("pyarrow.parquet")
Draft = Callable[..., Rollout]
RECIPE = Recipe(splitting=Splitting(validation=0.0, test=0.0))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty store."""
    opened = await open_store(folder=tmp_path / "store", database_url=None, tenant="default")
    yield opened
    await opened.aclose()


async def logged(store: SqlStore, drafts: list[Rollout]) -> None:
    """Log drafts along with some pair, which is the shortest thing to publish."""
    side = PairSide(cue="c", instruction="i", profile="p")
    pair = Pair(
        user_id="ada",
        item_id="i",
        as_of=drafts[0].as_of,
        user=side,
        item=side,
        affinity=0.0,
        expected_rating=None,
        reasons=(),
        language="en",
        source="model",
        critic_version="c1",
        fingerprint="f",
        created_at=drafts[0].at,
    )
    await store.put_pair(pair, drafts)


def write(path: Path, drafts: list[Rollout], **changes: Any) -> Path:
    """Write a log by hand, with columns of its last row changed."""
    rows = [each.model_dump() for each in drafts]
    for row in rows:
        row["ts"], row["rewards"] = row.pop("at"), list(row["rewards"].items())
    rows[-1] |= changes
    loose = arrow.schema([field.with_nullable(True) for field in rollout_schema()])
    parquet.write_table(arrow.Table.from_pylist(rows, schema=loose), path)
    return path


async def test_the_store_and_its_export_give_the_same_training_set(
    store: SqlStore, draft: Draft, tmp_path: Path
) -> None:
    messages = (Message(role="system", content="Be brief."), Message(role="user", content="Dráw."))
    drafts = [
        draft(number / 600, messages=messages, token_logprobs=(-0.1, -float(number)), consent=True)
        for number in range(600)
    ]
    await logged(store, drafts)
    await export_rollouts(store, tmp_path / "log.parquet")

    mine = await prepare(Source("log", read_store(store)), tmp_path / "a", RECIPE)
    theirs = await prepare(Source("log", read_parquet(tmp_path / "log.parquet")), tmp_path / "b", RECIPE)

    assert mine == theirs
    assert mine.funnel.rollouts == 600


async def test_a_log_written_before_a_field_existed_is_read(draft: Draft, tmp_path: Path) -> None:
    path = write(tmp_path / "log.parquet", [draft(0.5)])
    parquet.write_table(parquet.read_table(path).drop_columns(["consent"]), path)

    [[read]] = [batch async for batch in read_parquet(path)]

    assert read.consent is None


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"user_id": None}, "user_id", "valid string"),
        ({"ts": None}, "ts", "valid datetime"),
        (
            {"messages": [{"role": "judge", "content": "x"}]},
            "messages.0.role",
            "'system', 'user' or 'assistant'",
        ),
        ({"rewards": [("total", float("nan"))]}, "rewards", "'total' is nan, not a finite number"),
        ({"rewards": [("total", None)]}, "rewards.total", "valid number"),
        ({"token_ids": [1, 2], "token_logprobs": [-1.0]}, "token_logprobs", "1 values for 2 `token_ids`"),
    ],
    ids=["no-user", "no-time", "role", "nan", "no-reward", "tokens"],
)
async def test_a_broken_row_is_named_and_nothing_is_written(
    draft: Draft, tmp_path: Path, changes: dict[str, Any], field: str, reason: str
) -> None:
    path = write(tmp_path / "log.parquet", [draft(number / 600) for number in range(600)], **changes)

    with pytest.raises(BadRowError) as caught:
        await prepare(Source("log", read_parquet(path)), tmp_path / "set", RECIPE)

    assert (caught.value.file, caught.value.line, caught.value.field) == (str(path), 600, field)
    assert reason in caught.value.reason
    assert [left.name for left in tmp_path.iterdir()] == ["log.parquet"]


async def test_a_broken_entry_of_the_store_is_named(draft: Draft, store: SqlStore) -> None:
    await logged(store, [draft(0.1), draft(0.9, rewards={"total": float("inf")})])

    with pytest.raises(BadRowError, match=r"^store.*: `rewards"):
        [batch async for batch in read_store(store)]


@pytest.mark.parametrize("content", [None, b"", b"user_id,reward\n"], ids=["missing", "empty", "csv"])
async def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "log.parquet"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UnknownFormatError, match=r"log\.parquet: is no Parquet file that can be read"):
        [batch async for batch in read_parquet(path)]


async def test_a_table_of_something_else_is_told_what_it_lacks(draft: Draft, tmp_path: Path) -> None:
    path = write(tmp_path / "log.parquet", [draft(0.5)])
    parquet.write_table(parquet.read_table(path).drop_columns(["ts", "held"]), path)

    with pytest.raises(UnknownFormatError, match=r"lacks the columns held, ts; write it with `limner export"):
        [batch async for batch in read_parquet(path)]
