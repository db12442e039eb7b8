"""Read a table row by row: JSONL, a JSON array, CSV or Parquet, plain or gzipped.

Memory stays bounded whatever the file holds. What is wrong with one line comes out in its place as a
`BadLine` and reading goes on; a file that cannot be read as a table at all raises `UnknownFormatError`.
"""

import csv
import gzip
import importlib
import json
import tempfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import orjson

from ..errors import UnknownFormatError
from .json_values import ValueSplitter
from .lines import BOM, SHOWN, Splitter, TextLines, Unread, UnreadError, printable

Container = Literal["jsonl", "json", "csv", "parquet"]
Fields = dict[str, object]
"""A row: column name to value, as the file gives it."""

CHUNK = 1 << 20
PARQUET_ROWS = 5000
PARQUET_UNPACKED = 64 << 20
"""Bytes that a gzipped Parquet file may unpack to whatever its size."""

MOST_GAIN = 20
"""Times its size that it may unpack to beyond that."""

DELIMITERS = ",\t;"
WHOLE_ROW = "row"
GZIP = b"\x1f\x8b"
BROKEN_STREAM = (EOFError, OSError, zlib.error)
ARROW_ERRORS = (OSError, ValueError, NotImplementedError)
FOREIGN = {
    b"\xff\xfe": "is UTF-16 text; convert it to UTF-8",
    b"\xfe\xff": "is UTF-16 text; convert it to UTF-8",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"\xfd7zXZ": "is compressed with xz; unpack it, or use gzip",
    b"(\xb5/\xfd": "is compressed with zstd; unpack it, or use gzip",
    b"BZh": "is compressed with bzip2; unpack it, or use gzip",
}


class Row(NamedTuple):
    """A row that could be read."""

    line: int
    """Where it starts, from 1; in a Parquet file, which has no lines, the number of the row."""

    fields: Fields


class BadLine(NamedTuple):
    """A line, or the rest of a file, that could not be read."""

    line: int
    field: str
    """The column, or `row` if it concerns the line as a whole."""

    reason: str
    row: object
    """What stood there, as far as it can be shown."""


class Table:
    """A file of rows. Every iteration reads it again from the start.

    Raises:
        UnknownFormatError: The path is missing, not a readable file, empty, or no table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.share = 0.0
        """Part of the file read in the latest iteration, 0 to 1."""
        self.taken = 0
        """Bytes read in the latest iteration, unpacked."""
        try:
            if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
                raise self.unreadable("is a directory" if path.is_dir() else "is not a regular file")
            with path.open("rb") as raw:
                self._gzipped = raw.read(2) == GZIP
            with self._stream() as stream:
                head = stream.read1(CHUNK)
        except (*BROKEN_STREAM, ValueError) as error:
            raise self.unreadable(f"cannot be read: {error}") from error
        self.container: Container = self._recognise(head)

    def __iter__(self) -> Iterator[Row | BadLine]:
        """Yield what the file holds, in order; blank lines are passed over."""
        self.share, self.taken = 0.0, 0
        if self.container == "parquet":
            return self._parquet()
        if self.container == "json":
            return self._json()
        return self._jsonl() if self.container == "jsonl" else self._csv()

    def unreadable(self, reason: str) -> UnknownFormatError:
        """Return the error that says why this file is of no use."""
        return UnknownFormatError(str(self.path), reason)

    def _recognise(self, head: bytes) -> Container:
        text = head.removeprefix(BOM).lstrip()
        if not text:
            raise self.unreadable("is empty")
        if head.startswith(b"PAR1"):
            return "parquet"
        for magic, reason in FOREIGN.items():
            if head.startswith(magic):
                raise self.unreadable(reason)
        suffixes = {suffix.lower() for suffix in self.path.suffixes[-2:]}
        if suffixes & {".parquet", ".pq"}:
            raise self.unreadable("has the name of a Parquet file and not its content")
        if suffixes & {".csv", ".tsv"}:
            return "csv"
        if suffixes & {".jsonl", ".ndjson"}:
            return "jsonl"
        if text.startswith(b"[") or (".json" in suffixes and _spread(text)):
            return "json"
        if text.startswith(b"{"):
            return "jsonl"
        return "csv"

    @contextmanager
    def _stream(self) -> Generator[BufferedReader | gzip.GzipFile]:
        with self.path.open("rb") as raw:
            if not self._gzipped:
                yield raw
                return
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield unpacked

    def _chunks(self) -> Iterator[bytes | Unread]:
        size = self.path.stat().st_size or 1
        with self.path.open("rb") as raw:
            stream = gzip.GzipFile(fileobj=raw) if self._gzipped else raw
            try:
                while chunk := stream.read1(CHUNK):
                    self.share = min(raw.tell() / size, 1.0)
                    self.taken += len(chunk)
                    yield chunk
            except BROKEN_STREAM as error:
                yield Unread(f"the rest of the file cannot be read: {error}")

    def _lines(self) -> Iterator[bytes | Unread]:
        splitter = Splitter()
        for chunk in self._chunks():
            if isinstance(chunk, Unread):
                yield chunk
                return
            yield from splitter.split(chunk)
        yield from splitter.last()

    def _json(self) -> Iterator[Row | BadLine]:
        splitter = ValueSplitter()
        for chunk in self._chunks():
            if isinstance(chunk, Unread):
                yield BadLine(splitter.line, WHOLE_ROW, chunk.reason, chunk.shown)
                return
            for value in splitter.split(chunk):
                yield _value_row(value.line, value.text)
        for value in splitter.last():
            yield _value_row(value.line, value.text)

    def _jsonl(self) -> Iterator[Row | BadLine]:
        for number, line in enumerate(self._lines(), start=1):
            if isinstance(line, Unread) or line.strip():
                yield _value_row(number, line)

    def _csv(self) -> Iterator[Row | BadLine]:
        source = TextLines(self._lines())
        first = source.peek()
        delimiter = max(DELIMITERS, key=first.count)
        reader = csv.reader(source, delimiter=delimiter, strict=True)
        try:
            header = [cell.strip() for cell in next(reader)]
        except (csv.Error, StopIteration, UnreadError) as error:
            raise self.unreadable(f"has no readable header line: {error}") from error
        if source.undecodable or "\0" in first:
            raise self.unreadable("has a header line that is not UTF-8 text")
        if repeated := {name for name in header if header.count(name) > 1}:
            raise self.unreadable(f"names a column twice: {', '.join(sorted(repeated))}")
        while True:
            source.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except UnreadError as error:
                yield BadLine(source.start, WHOLE_ROW, error.unread.reason, error.unread.shown)
            except csv.Error as error:
                shown = printable(source.taken[0].rstrip("\r\n"))[:SHOWN]
                yield BadLine(source.start, WHOLE_ROW, f"is not valid CSV: {error}", shown)
                source.retry()
            else:
                if cells:
                    yield _csv_row(source, header, cells)

    def _parquet(self) -> Iterator[Row | BadLine]:
        parquet: Any = importlib.import_module("pyarrow.parquet")  # costs 0.1 s; untyped
        with self._seekable() as stream:
            try:
                table = parquet.ParquetFile(stream)
                names: list[str] = table.schema_arrow.names
                total = max(int(table.metadata.num_rows), 1)
            except ARROW_ERRORS as error:
                raise self.unreadable(f"is a damaged Parquet file: {error}") from error
            if len(set(names)) < len(names):
                raise self.unreadable("names a column twice")
            batches = table.iter_batches(batch_size=PARQUET_ROWS)
            done = 0
            while True:
                try:
                    batch = next(batches, None)
                except ARROW_ERRORS as error:
                    reason = f"the rest of the file cannot be read: {error}"
                    yield BadLine(done + 1, WHOLE_ROW, reason, None)
                    return
                if batch is None:
                    return
                self.taken += int(batch.nbytes)
                yield from _arrow_rows(batch, done)
                done += int(batch.num_rows)
                self.share = min(done / total, 1.0)

    @contextmanager
    def _seekable(self) -> Generator[BinaryIO]:
        """Open the file for random access; a gzipped one is unpacked to a temporary file first."""
        with self._stream() as stream:
            if isinstance(stream, BufferedReader):
                yield stream
                return
            with tempfile.TemporaryFile() as unpacked:
                try:
                    self._unpack(stream, unpacked)
                except BROKEN_STREAM as error:
                    raise self.unreadable(f"cannot be unpacked: {error}") from error
                unpacked.seek(0)
                yield unpacked

    def _unpack(self, stream: gzip.GzipFile, unpacked: BinaryIO) -> None:
        """Unpack to a file, but not without end: Parquet is packed already, so gzip gains little on an honest one."""
        most = PARQUET_UNPACKED + MOST_GAIN * self.path.stat().st_size
        while chunk := stream.read(CHUNK):
            if unpacked.tell() + len(chunk) > most:
                raise self.unreadable(
                    f"unpacks to more than {most:,} bytes; unpack it yourself, if it is what it says"
                )
            unpacked.write(chunk)


def _spread(text: bytes) -> bool:
    """Whether a file that begins with an object spreads it over several lines."""
    first, ended, _ = text.partition(b"\n")
    return bool(ended) and first.startswith(b"{") and not first.rstrip().endswith(b"}")


def _value_row(number: int, text: bytes | Unread) -> Row | BadLine:
    if isinstance(text, Unread):
        return BadLine(number, WHOLE_ROW, text.reason, text.shown)
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return _second_reading(number, text, error)
    return _object_row(number, value)


def _object_row(number: int, value: object) -> Row | BadLine:
    if isinstance(value, dict):
        return Row(number, value)
    return BadLine(number, WHOLE_ROW, f"is a JSON {type(value).__name__}, not an object", value)


def _second_reading(number: int, line: bytes, error: ValueError) -> Row | BadLine:
    """Say what is wrong with a line that is not JSON; `NaN`, which Python writes, is let through.

    The field that holds the `NaN` may be one that nobody needs.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError as bad:
        shown = line[:SHOWN].decode("utf-8", "replace")
        return BadLine(number, WHOLE_ROW, f"is not UTF-8: {bad.reason} at byte {bad.start}", shown)
    if "NaN" in text or "Infinity" in text:
        try:
            value: object = json.loads(text)
            orjson.dumps(value)  # refuses the half characters that the standard library lets through
        except (ValueError, TypeError, RecursionError):
            pass
        else:
            return _object_row(number, value)
    return BadLine(number, WHOLE_ROW, f"is not valid JSON: {error}", text[:SHOWN])


def _csv_row(source: TextLines, header: list[str], cells: list[str]) -> Row | BadLine:
    fields: Fields = dict(zip(header, cells, strict=False))
    if source.undecodable:
        for name, cell in zip(header, cells, strict=False):
            if printable(cell) != cell:
                shown = {key: printable(str(value)) for key, value in fields.items()}
                return BadLine(source.start, name, "is not UTF-8", shown)
    if len(cells) != len(header):
        name = header[len(cells)] if len(cells) < len(header) else WHOLE_ROW
        reason = f"the row has {len(cells)} columns and the header {len(header)}"
        return BadLine(source.start, name, reason, [printable(cell) for cell in cells])
    return Row(source.start, fields)


def _arrow_rows(batch: Any, done: int) -> list[Row | BadLine]:
    """Turn an Arrow batch into rows; if a value cannot be represented, only its row is lost."""
    batch = _microseconds(batch)
    try:
        return [Row(done + ix, fields) for ix, fields in enumerate(batch.to_pylist(), start=1)]
    except (ValueError, OverflowError):
        return [_arrow_row(batch, ix, done + ix + 1) for ix in range(batch.num_rows)]


def _microseconds(batch: Any) -> Any:
    """Cut nanosecond times, which Python's datetimes cannot hold, to microseconds."""
    arrow: Any = importlib.import_module("pyarrow")
    for ix, column in enumerate(batch.schema):
        if arrow.types.is_timestamp(column.type) and column.type.unit == "ns":
            kept = batch.column(ix).cast(arrow.timestamp("us", tz=column.type.tz), safe=False)
            batch = batch.set_column(ix, column.name, kept)
    return batch


def _arrow_row(batch: Any, ix: int, line: int) -> Row | BadLine:
    fields: Fields = {}
    for name in batch.schema.names:
        try:
            fields[name] = batch.column(name)[ix].as_py()
        except (ValueError, OverflowError) as error:
            return BadLine(line, str(name), f"cannot be read: {error}", dict(fields))
    return Row(line, fields)
