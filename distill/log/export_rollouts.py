"""The rollout log as one Parquet file, typed for training."""

import asyncio
import importlib
from pathlib import Path
from typing import Any

from ...models import Rollout
from ...tools.store import Store
from ...tools.whole_files import beside, settle

BATCH = 500
"""Rollouts in memory and in one row group."""


def rollout_schema() -> Any:
    """Return the columns of the file: the fields of `Rollout`, with `at` named `ts`."""
    pa = _arrow()
    text, whole, real = pa.string(), pa.int64(), pa.float64()
    message = pa.struct([pa.field("role", text, False), pa.field("content", text, False)])
    facet = pa.struct([pa.field(name, text, False) for name in ("name", "text", "polarity")])
    claim = pa.struct(
        [
            pa.field("text", text, False),
            pa.field("evidence", pa.list_(text), False),
            pa.field("confidence", real, False),
        ]
    )
    side = pa.struct([pa.field(name, text, False) for name in ("cue", "instruction", "profile")])
    judgement = pa.struct(
        [
            pa.field("fit", real, False),
            *(pa.field(name, real, True) for name in ("expected", "said")),
            pa.field("interval", pa.list_(real), True),
            *(pa.field(name, pa.list_(real), False) for name in ("shares", "bare")),
        ]
    )
    outcome = pa.struct(
        [
            *(pa.field(name, text, False) for name in ("event_id", "item_id")),
            pa.field("chosen", pa.bool_(), False),
            pa.field("rating", real, True),
        ]
    )
    counted = ("calls", "cached_calls", "prompt_tokens", "completion_tokens", "unpriced_calls")
    usage = pa.struct(
        [pa.field(name, whole, False) for name in counted]
        + [pa.field(name, real, False) for name in ("cost", "seconds")]
    )
    columns: dict[str, tuple[Any, bool]] = {
        "rollout_id": (text, False),
        "run_id": (text, False),
        "user_id": (text, False),
        "item_id": (text, True),
        "round": (whole, False),
        "draft_ix": (whole, False),
        "group_key": (text, False),
        "messages": (pa.list_(message), False),
        "completion": (text, False),
        "profile_text": (text, False),
        "facets": (pa.list_(facet), False),
        "claims": (pa.list_(claim), False),
        "sides": (pa.list_(side), True),
        "judgement": (judgement, True),
        "outcome": (outcome, True),
        "finish_reason": (text, False),
        "backend": (text, False),
        "model_rev": (text, False),
        "temperature": (real, False),
        "top_p": (real, False),
        "seed": (whole, True),
        "token_ids": (pa.list_(whole), True),
        "token_logprobs": (pa.list_(real), True),
        "selected": (pa.bool_(), False),
        "selection_propensity": (real, False),
        "rewards": (pa.map_(text, real), False),
        "critic_version": (text, False),
        "critic_rank": (real, True),
        "as_of": (pa.timestamp("us", tz="UTC"), False),
        "held": (pa.list_(text), False),
        "neg_seed": (whole, False),
        "prompt_id": (text, False),
        "prompt_version": (whole, False),
        "usage": (usage, False),
        "ts": (pa.timestamp("us", tz="UTC"), False),
        "consent": (pa.bool_(), True),
    }
    return pa.schema([pa.field(name, kind, nullable) for name, (kind, nullable) in columns.items()])


async def export_rollouts(store: Store, path: Path) -> int:
    """Write the whole log to `path` and return how many rollouts it holds.

    The file takes its name when it is complete: until then, and after a failure, an earlier file stays.
    Memory does not grow with the log.
    """
    parquet: Any = importlib.import_module("pyarrow.parquet")
    schema = rollout_schema()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = beside(path)
    written = 0
    try:
        with parquet.ParquetWriter(part, schema, compression="zstd") as writer:
            async for batch in store.rollouts(batch=BATCH):
                await asyncio.to_thread(_append, writer, schema, batch)
                written += len(batch)
        await asyncio.to_thread(settle, part, path)
    finally:
        part.unlink(missing_ok=True)
    return written


def _arrow() -> Any:
    """Return pyarrow, which is heavy and ships no types."""
    return importlib.import_module("pyarrow")


def _append(writer: Any, schema: Any, batch: list[Rollout]) -> None:
    """Write a row group."""
    writer.write_table(_arrow().Table.from_pylist([_row(rollout) for rollout in batch], schema=schema))


def _row(rollout: Rollout) -> dict[str, Any]:
    row = rollout.model_dump()
    row["ts"] = row.pop("at")
    row["rewards"] = list(rollout.rewards.items())
    return row
