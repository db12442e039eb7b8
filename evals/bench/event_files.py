"""Files of invented events, as a shop exports them: users, items, ratings and times, in the order of time."""

import csv
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

_START = 1_700_000_000
_GAP = 7
"""Seconds between two events."""

_PART = 50_000


class Event(NamedTuple):
    """One row."""

    user_id: str
    item_id: str
    rating: float
    timestamp: int


def invent_events(*, users: int, items: int, rows: int, seed: int) -> Iterator[list[Event]]:
    """Yield events in parts: everybody about equally often, the n-th item of so many the less often the larger n."""
    rng = np.random.default_rng(seed)
    for first in range(0, rows, _PART):
        size = min(_PART, rows - first)
        who, what = rng.integers(users, size=size), (items * rng.random(size) ** 2).astype(np.int64)
        rated = rng.integers(2, 11, size=size) / 2
        yield [
            Event(f"u{user:06}", f"i{item:05}", rating, _START + _GAP * (first + place))
            for place, (user, item, rating) in enumerate(
                zip(who.tolist(), what.tolist(), rated.tolist(), strict=True)
            )
        ]


def write_csv(path: Path, parts: Iterator[list[Event]]) -> None:
    """Write a CSV file with a header line."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(Event._fields)
        for part in parts:
            writer.writerows(part)


def write_jsonl(path: Path, parts: Iterator[list[Event]]) -> None:
    """Write one JSON object a line."""
    with path.open("wb") as stream:
        for part in parts:
            stream.writelines(orjson.dumps(event._asdict()) + b"\n" for event in part)


def write_parquet(path: Path, parts: Iterator[list[Event]]) -> None:
    """Write a Parquet file."""
    arrow: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    writer: Any = None
    for part in parts:
        columns = dict(zip(Event._fields, zip(*part, strict=True), strict=True))
        table = arrow.table({name: list(values) for name, values in columns.items()})
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


WRITERS: Mapping[str, Callable[[Path, Iterator[list[Event]]], None]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}
