"""The tables of a training set as Parquet files that appear all at once."""

import importlib
import os
from pathlib import Path
from typing import Any

from ...tools.checksums import sha256_of
from .manifest import MANIFEST, Manifest, TableFile
from .splits import SPLITS, Split
from .table_schemas import table_schema
from .training_rows import TABLES, TrainingRow

ROWS = 500
"""Rows in one row group, and in memory for each table."""

_NAMES = {kind: name for name, kind in TABLES.items()}


class TableFiles:
    """Writes every table of every split; memory does not grow with them.

    Args:
        folder: Where they go, as `SPLIT/TABLE.parquet`. A table without rows is written too.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[tuple[Split, str], Any] = {}
        self._waiting: dict[tuple[Split, str], list[dict[str, Any]]] = {}
        self._rows: dict[tuple[Split, str], int] = {}
        parquet: Any = importlib.import_module("pyarrow.parquet")
        for split in SPLITS:
            (folder / split).mkdir()
            for name in TABLES:
                key = (split, name)
                path, schema = folder / split / f"{name}.parquet", table_schema(name)
                self._writers[key] = parquet.ParquetWriter(path, schema, compression="zstd")
                self._waiting[key], self._rows[key] = [], 0

    def add(self, split: Split, row: TrainingRow) -> None:
        """Write a row to the table of its kind."""
        key = (split, _NAMES[type(row)])
        self._waiting[key].append(_plain(row))
        self._rows[key] += 1
        if len(self._waiting[key]) >= ROWS:
            self._flush(key)

    def finish(self) -> tuple[TableFile, ...]:
        """Write what waits and return what was written."""
        for key, rows in self._waiting.items():
            if rows:
                self._flush(key)
        self.close()
        for path in self._folder.glob("*/*.parquet"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        return tuple(self._file(split, name) for split, name in self._writers)

    def close(self) -> None:
        """Close the files; nothing happens if they are closed."""
        for writer in self._writers.values():
            writer.close()

    def _flush(self, key: tuple[Split, str]) -> None:
        arrow: Any = importlib.import_module("pyarrow")
        self._writers[key].write_table(
            arrow.Table.from_pylist(self._waiting[key], schema=self._writers[key].schema)
        )
        self._waiting[key] = []

    def _file(self, split: Split, name: str) -> TableFile:
        path = self._folder / split / f"{name}.parquet"
        return TableFile(path=f"{split}/{name}.parquet", rows=self._rows[split, name], sha256=sha256_of(path))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, on disk when it returns."""
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _plain(row: TrainingRow) -> dict[str, Any]:
    """Return a row as Arrow takes it: a map is a list of pairs."""
    values = row.model_dump()
    return {name: list(value.items()) if name == "rewards" else value for name, value in values.items()}
