"""The rollout log, read in batches from a store or from the file that `limner export rollouts` writes."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...errors import BadRowError, UnknownFormatError
from ...faults import first_fault
from ...models import Rollout
from ...tools.store import Store
from .filters import inconsistency

BATCH = 500
"""Rollouts in memory at once."""

STORE = "store"
"""What the store's own log is called in messages and manifests."""

_OPTIONAL = {name for name, field in Rollout.model_fields.items() if not field.is_required()}


async def read_store(store: Store) -> AsyncIterator[list[Rollout]]:
    """Stream a store's log in the order of writing.

    Raises:
        BadRowError: An entry is no rollout; the row is the first of the batch that holds it.
    """
    done = 0
    batches = aiter(store.rollouts(batch=BATCH))
    while True:
        try:
            batch = await anext(batches)
        except StopAsyncIteration:
            return
        except ValidationError as error:
            field, reason = _field_and_reason(error)
            raise BadRowError(f"{STORE} (rows from here)", done + 1, field, reason) from None
        for row, rollout in enumerate(batch, start=done + 1):
            _check(rollout, STORE, row)
        done += len(batch)
        yield batch


async def read_parquet(path: Path) -> AsyncIterator[list[Rollout]]:
    """Stream an exported log in the order of its rows.

    Raises:
        UnknownFormatError: The file is not there, no Parquet, or lacks columns of the log.
        BadRowError: A row is no rollout; rows count from 1.
    """
    done = 0
    file = await asyncio.to_thread(_open, path)
    try:
        batches = file.iter_batches(batch_size=BATCH)
        while rows := await asyncio.to_thread(_next, batches, path):
            yield [_rollout(row, path, number) for number, row in enumerate(rows, start=done + 1)]
            done += len(rows)
    finally:
        file.close()


def _open(path: Path) -> Any:
    parquet: Any = importlib.import_module("pyarrow.parquet")
    arrow: Any = importlib.import_module("pyarrow")
    try:
        file = parquet.ParquetFile(path)
    except (OSError, arrow.ArrowException) as error:
        raise UnknownFormatError(str(path), f"is no Parquet file that can be read: {error}") from error
    wanted = {"ts" if name == "at" else name for name in Rollout.model_fields}
    missing = sorted(wanted - _OPTIONAL - set(file.schema_arrow.names))
    if missing:
        file.close()
        reason = f"lacks the columns {', '.join(missing)}; write it with `limner export rollouts`"
        raise UnknownFormatError(str(path), reason)
    return file


def _next(batches: Any, path: Path) -> list[dict[str, Any]]:
    """Return the next rows; none at the end."""
    arrow: Any = importlib.import_module("pyarrow")
    try:
        rows: list[dict[str, Any]] = next(batches).to_pylist()
    except StopIteration:
        return []
    except (OSError, arrow.ArrowException) as error:
        raise UnknownFormatError(str(path), f"is damaged: {error}") from error
    return rows


def _rollout(row: dict[str, Any], path: Path, number: int) -> Rollout:
    """Undo what the export did to a rollout."""
    try:
        rewards: dict[str, Any] = dict(row.pop("rewards") or ())
        rollout = Rollout.model_validate(
            {("at" if name == "ts" else name): value for name, value in row.items()} | {"rewards": rewards}
        )
    except ValidationError as error:
        raise BadRowError(str(path), number, *_field_and_reason(error)) from None
    _check(rollout, str(path), number)
    return rollout


def _field_and_reason(error: ValidationError) -> tuple[str, str]:
    fault = first_fault(error)
    return ("ts" if fault.field == "at" else fault.field), fault.reason


def _check(rollout: Rollout, file: str, number: int) -> None:
    if found := inconsistency(rollout):
        raise BadRowError(file, number, *found)
