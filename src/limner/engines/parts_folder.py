"""A folder of Parquet parts: each is there whole or not at all, and a user is in one of them.

The plan, written before the first part, gives every part a range of user ids (or names its users) and so decides which
file a user's row lies in. Whoever does a part again replaces the same file. Names that start with `_` or `.` are passed
over by readers of Parquet folders.
"""

import importlib
import io
import json
from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from ..errors import InputError
from ..records import Record, Usage
from ..tools.whole_files import whole_file, write_whole
from .jobs import Job, Row

PLAN = "_plan.jsonl"
_FORMAT = "limner-parts/1"


class Bounds(NamedTuple):
    """Which users a part holds."""

    part: int
    """Its number, from 0."""

    first: str
    last: str
    """Every user of the store from `first` to `last`, both included, in the order of code points."""

    ids: tuple[str, ...] = ()
    """Its users by name, in place of the range; sorted."""


class Facts(Record):
    """What a folder was made for."""

    format: str = _FORMAT
    tenant: str
    job: Job
    made_with: dict[str, str]
    """Settings that decide what the rows hold."""

    parts: int
    """How many there are."""


class Part(NamedTuple):
    """One finished part."""

    part: int
    data: bytes | None
    """A Parquet file; absent if the budget refused some of it."""

    rows: int
    failed: int
    """Rows that are errors, or lack the model's words."""

    usage: Usage


class PartsFolder:
    """Parts in a folder.

    Args:
        path: The folder; made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def facts(self) -> Facts | None:
        """Return what the folder was made for; `None` if it is new.

        Raises:
            InputError: There is something else in it, or an unreadable plan.
        """
        if not (self.path / PLAN).is_file():
            if self.path.exists() and not (self.path.is_dir() and not any(self._visible())):
                raise InputError(f"{self.path} is there and holds no parts; name another folder with --out")
            return None
        try:
            with (self.path / PLAN).open(encoding="utf-8") as file:
                return Facts.model_validate_json(file.readline())
        except (ValidationError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path / PLAN} cannot be read; name another folder with --out") from error

    def bounds(self) -> Iterator[Bounds]:
        """Yield every part's users."""
        with (self.path / PLAN).open(encoding="utf-8") as file:
            next(file)
            for part, line in enumerate(file):
                first, last, ids = json.loads(line)
                yield Bounds(part, first, last, tuple(ids))

    def waiting(self, *, retry_failed: bool) -> list[Bounds]:
        """Return the parts that are to be done: those that are not there and, if asked for, those with failures."""
        return [
            bounds
            for bounds in self.bounds()
            if not (there := self.file(bounds.part)).is_file() or (retry_failed and _has_failures(there))
        ]

    def file(self, part: int) -> Path:
        """Return where a part lies."""
        return self.path / f"part-{part:08}.parquet"

    def write(self, part: Part) -> None:
        """Keep a part, in place of an earlier one; parts that the budget refused are left to be done."""
        if part.data is not None:
            write_whole(self.file(part.part), part.data)

    async def plan(
        self, facts: Facts, users: AsyncIterable[str] | None, ids: Iterable[str] | None, size: int
    ) -> Facts:
        """Divide users into parts.

        Args:
            facts: What the folder is for; the number of parts is counted here.
            users: Everybody, in order; ranges are kept of them.
            ids: Users by name, in place of everybody.
            size: Users of a part.
        """
        lines: list[str] = []
        if ids is not None:
            named = sorted(set(ids))
            for start in range(0, len(named), size):
                chunk = named[start : start + size]
                lines.append(_line(chunk, by_name=True))
        else:
            assert users is not None, "one of the two is given"
            lines = [_line(chunk, by_name=False) async for chunk in _chunks(users, size)]
        facts = facts.model_copy(update={"parts": len(lines)})
        with whole_file(self.path / PLAN) as part:
            part.write_text("".join([facts.model_dump_json() + "\n", *lines]), encoding="utf-8")
        return facts

    def _visible(self) -> Iterator[Path]:
        return (path for path in self.path.iterdir() if not path.name.startswith("."))


def part_of(bounds: Bounds, rows: Sequence[Row]) -> Part:
    """Put rows into a Parquet file, in the order of their users."""
    pa, pq = _arrow()
    ordered = sorted(rows, key=lambda row: row.user_id)
    usage = Usage.total(row.usage for row in rows)
    columns: dict[str, Sequence[Any]] = {
        "user_id": [row.user_id for row in ordered],
        "document": [row.document for row in ordered],
        "complete": [row.complete for row in ordered],
        "error": [row.error for row in ordered],
        "error_type": [row.error_type for row in ordered],
        "message": [row.message for row in ordered],
        "calls": [row.usage.calls for row in ordered],
        "prompt_tokens": [row.usage.prompt_tokens for row in ordered],
        "completion_tokens": [row.usage.completion_tokens for row in ordered],
        "cost": [row.usage.cost for row in ordered],
    }
    file = io.BytesIO()
    pq.write_table(pa.table(columns, schema=_schema()), file, compression="zstd")
    failed = sum(not row.complete for row in rows)
    return Part(bounds.part, file.getvalue(), len(rows), failed, usage)


def documents_of(part: Part) -> dict[str, str | None]:
    """Return the documents of a part by user; nothing of one that the budget refused."""
    if part.data is None:
        return {}
    _, pq = _arrow()
    table = pq.read_table(io.BytesIO(part.data), columns=["user_id", "document"])
    return dict(zip(table["user_id"].to_pylist(), table["document"].to_pylist(), strict=True))


def _schema() -> Any:
    """Return the columns of a part; a part without any error has them all the same."""
    pa, _ = _arrow()
    text, whole, count = pa.string(), pa.bool_(), pa.int64()
    names = {
        "user_id": text,
        "document": text,
        "complete": whole,
        "error": text,
        "error_type": text,
        "message": text,
        "calls": count,
        "prompt_tokens": count,
        "completion_tokens": count,
        "cost": pa.float64(),
    }
    return pa.schema(list(names.items()))


def _arrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet part, which are heavy and ship no types."""
    return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")


def _has_failures(path: Path) -> bool:
    _, pq = _arrow()
    column = pq.read_table(path, columns=["complete"]).column("complete")
    return False in column.to_pylist()


def _line(chunk: Sequence[str], *, by_name: bool) -> str:
    return json.dumps([chunk[0], chunk[-1], list(chunk) if by_name else []]) + "\n"


async def _chunks(users: AsyncIterable[str], size: int) -> AsyncIterable[list[str]]:
    chunk: list[str] = []
    async for user in users:
        chunk.append(user)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
