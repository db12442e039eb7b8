"""Recognise the files of a data set by their content, and go through the rows of each.

Besides the forms that `limner import` reads there are Google Local reviews and places, the parts of a published
split (`NAME.train.csv`, `NAME.valid.csv`, `NAME.test.csv`), tags, and sequence files with `user item item …` a
line.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from ...errors import UnknownFormatError
from ...tools.cells import BadField
from ...tools.forms import Recognised, recognise
from ...tools.lines import Splitter, Unread
from ...tools.readers import CHUNK, GZIP, BadLine, Fields, Row, Table

Holds = Literal["events", "sequences", "items", "tags"]
Part = Literal["train", "valid", "test"]

SAMPLE = 100
"""Rows looked at to tell what a file holds."""

_PART = re.compile(r"\.(train|valid|test)\.csv(\.gz)?$")
_TOKEN = re.compile(r"[\w.:-]*\d[\w.:-]*")
_TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".json"})
_GOOGLE_REVIEW = {"gmap_id": "item_id", "time": "timestamp"}
_GOOGLE_PLACE = {"gmap_id": "item_id", "name": "title"}


@dataclass(kw_only=True)
class Rejected:
    """What a file had that could not be used."""

    count: int = 0
    first: str = ""
    """Line, column and reason of the first."""

    def add(self, line: int, column: str, reason: str) -> None:
        """Count a row."""
        self.count += 1
        self.first = self.first or f"line {line}, `{column}`: {reason}"


@dataclass(kw_only=True)
class Source:
    """A file that was recognised."""

    path: Path
    holds: Holds
    form: str
    """`amazon2023`, `google-local`, `movielens`, or another name of the form of its rows."""

    table: Table | None
    how: Recognised | None
    """How its columns are read; absent, with `table`, for a sequence file."""

    part: Part | None = None
    """Which part of a published split it is."""

    rejected: Rejected = field(default_factory=Rejected)

    def rows(self) -> Iterator[tuple[int, Fields]]:
        """Yield line numbers and rows; an unreadable line is counted in `rejected`."""
        for row in self.table if self.table is not None else _token_rows(self.path):
            if isinstance(row, Row):
                yield row.line, row.fields
            else:
                self.rejected.add(row.line, row.field, row.reason)

    def reject(self, line: int, error: BadField) -> None:
        """Count a row that was readable and is of no use."""
        self.rejected.add(line, error.field, error.reason)


def sources_of(path: Path) -> list[Source]:
    """Open a file, or every file of a folder that fits a form; subfolders and hidden files are left alone.

    Raises:
        UnknownFormatError: The path is missing, or nothing there fits a form.
    """
    if not path.is_dir():
        return [open_source(path)]
    found: list[Source] = []
    skipped: list[str] = []
    for file in sorted(path.iterdir()):
        if file.name.startswith(".") or not file.is_file():
            continue
        try:
            found.append(open_source(file))
        except UnknownFormatError as error:
            skipped.append(f"{file.name} {error.reason}")
    if not found:
        raise UnknownFormatError(str(path), f"holds no file of a known form{_after(': ', skipped)}")
    return found


def _after(separator: str, parts: list[str]) -> str:
    return separator + "; ".join(parts) if parts else ""


def open_source(path: Path) -> Source:
    """Recognise one file.

    Raises:
        UnknownFormatError: It cannot be read, or its content fits no form.
    """
    table = Table(path)
    if table.container == "csv" and _is_token_file(path):
        return Source(path=path, holds="sequences", form="lines", table=None, how=None)
    sample = list(islice(table, SAMPLE))
    good = [row.fields for row in sample if isinstance(row, Row)]
    if not good:
        reason = next(
            (f"line {bad.line} {bad.reason}" for bad in sample if isinstance(bad, BadLine)), "no rows"
        )
        raise table.unreadable(f"has no readable row at its start: {reason}")
    columns = {name for row in good for name in row}
    mapping = _google_mapping(columns)
    how = recognise(str(path), good, mapping=mapping)
    if how.makes == "turns":
        raise table.unreadable("holds chats, which have no items to rank")
    part = _PART.search(path.name)
    return Source(
        path=path,
        holds="tags" if how.makes == "interactions" and _is_tags(columns) else _held(how),
        form="google-local" if mapping else how.form,
        table=table,
        how=how,
        part=part and part[1],  # type: ignore[arg-type]  # one of the three by the pattern
    )


def _held(how: Recognised) -> Holds:
    return how.makes if how.makes == "items" or how.makes == "sequences" else "events"


def _is_tags(columns: set[str]) -> bool:
    return "tag" in columns and "rating" not in columns


def _google_mapping(columns: set[str]) -> dict[str, str]:
    if "gmap_id" not in columns:
        return {}
    mapping = _GOOGLE_REVIEW if "user_id" in columns else _GOOGLE_PLACE
    return {column: name for column, name in mapping.items() if column in columns}


def _is_token_file(path: Path) -> bool:
    """Whether every line is a user and one item or more, each with a digit, with single spaces between."""
    if _TABLE_SUFFIXES & set(path.suffixes[-2:]):
        return False
    lines = [line for line in islice(_raw_lines(path), SAMPLE) if isinstance(line, Unread) or line.strip()]
    return bool(lines) and all(
        not isinstance(line, Unread) and _tokens(line.decode("utf-8", "replace")) for line in lines
    )


def _tokens(line: str) -> list[str] | None:
    tokens = line.split()
    return tokens if len(tokens) > 1 and all(map(_TOKEN.fullmatch, tokens)) else None


def _token_rows(path: Path) -> Iterator[Row | BadLine]:
    for number, line in enumerate(_raw_lines(path), start=1):
        if isinstance(line, Unread):
            yield BadLine(number, "row", line.reason, line.shown)
            continue
        tokens = line.decode("utf-8", "replace").split()
        if tokens:
            yield Row(number, {"user_id": tokens[0], "item_ids": tokens[1:]})


def _raw_lines(path: Path) -> Iterator[bytes | Unread]:
    splitter = Splitter()
    with path.open("rb") as raw:
        gzipped = raw.read(2) == GZIP
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if gzipped else raw
        try:
            while chunk := stream.read1(CHUNK):
                yield from splitter.split(chunk)
        except (EOFError, OSError) as error:
            yield Unread(f"the rest of the file cannot be read: {error}")
            return
        yield from splitter.last()
