"""A backup as one file: a tar with every table as gzipped JSON lines, and at its end a manifest that vouches for them.

Rows are arrays in the order of the table's key, so that the same rows have the same checksum whichever database they
lie in. The manifest comes last: a file that ends too early has none.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ...errors import BackupDamagedError
from ...records import Moment, Record
from ..whole_files import beside

MANIFEST = "manifest.json"
_BYTES = "base64"
_COMPRESSION = 6
_BROKEN = (tarfile.TarError, OSError, EOFError, ValueError, KeyError, zlib.error)


class Part(Record):
    """One table."""

    table: str
    """Its name."""

    columns: tuple[str, ...]
    """What each entry of a row is."""

    rows: int
    """How many there are."""

    sha256: str
    """Of the rows as lines, in the order of the table's key."""

    @property
    def member(self) -> str:
        """Its name in the file."""
        return f"tables/{self.table}.jsonl.gz"


class Manifest(Record):
    """What a backup holds."""

    format: Literal["limner-backup/1"] = "limner-backup/1"
    """Form of the file."""

    limner: str
    """Version that wrote it."""

    revision: str
    """Schema of the tables."""

    database: str
    """Kind of database it was taken from."""

    at: Moment
    """When it was taken; everything that was acknowledged before is in it."""

    tables: tuple[Part, ...]
    """Every table that there is."""

    sha256: str = ""
    """Of all that is above."""

    def sealed(self) -> "Manifest":
        """Return it with its own checksum."""
        return self.model_copy(update={"sha256": self.digest()})

    def digest(self) -> str:
        """Return the checksum of all but the checksum."""
        told = self.model_dump(mode="json", exclude={"sha256"})
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def encode_row(row: Iterable[object]) -> bytes:
    r"""Return a row as a line.

    Examples:
        >>> encode_row(["a", 1, None, b"\x00"])
        b'["a",1,null,{"base64":"AA=="}]\n'
        >>> decode_row(encode_row(["é", 0.1, b"x"]))
        ['é', 0.1, b'x']
    """
    values = [
        {_BYTES: base64.b64encode(value).decode("ascii")} if isinstance(value, bytes | memoryview) else value
        for value in row
    ]
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def decode_row(line: bytes) -> list[Any]:
    """Return the row of a line.

    Raises:
        ValueError: It is none.
    """
    values: Any = json.loads(line)
    if not isinstance(values, list):
        raise ValueError("a row is no list")  # noqa: TRY004 - of a damaged file, as all that is wrong with one
    return [
        base64.b64decode(value[_BYTES], validate=True) if isinstance(value, dict) else value
        for value in values  # pyright: ignore[reportUnknownVariableType]  # JSON
    ]


class BackupWriter:
    """Writes a backup part by part; whoever made it renames the file when it is whole.

    Args:
        path: Where; a new file that only its owner may read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: list[Part] = []
        self._tar = tarfile.open(fileobj=_private(path), mode="w")  # noqa: SIM115 - closed by `close`

    def add(self, table: str, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
        """Add a table, its rows in the order of its key."""
        spool = beside(self._path)
        digest, count = hashlib.sha256(), 0
        try:
            with (
                _private(spool) as raw,
                gzip.GzipFile("", "wb", _COMPRESSION, raw, mtime=0) as file,
            ):
                for row in rows:
                    line = encode_row(row)
                    digest.update(line)
                    file.write(line)
                    count += 1
            part = Part(table=table, columns=tuple(columns), rows=count, sha256=digest.hexdigest())
            with spool.open("rb") as file:
                self._tar.addfile(_member(part.member, spool.stat().st_size), file)
        finally:
            spool.unlink(missing_ok=True)
        self._parts.append(part)

    def finish(self, *, limner: str, revision: str, database: str, at: Moment) -> Manifest:
        """Add the manifest and close the file."""
        tables = tuple(self._parts)
        manifest = Manifest(
            limner=limner, revision=revision, database=database, at=at, tables=tables
        ).sealed()
        told = manifest.model_dump_json(indent=2).encode()
        self._tar.addfile(_member(MANIFEST, len(told)), io.BytesIO(told))
        self.close()
        return manifest

    def close(self) -> None:
        """Close the file, whole or not."""
        self._tar.close()
        if self._tar.fileobj is not None:
            self._tar.fileobj.close()


class BackupReader:
    """Reads a backup; nothing of it is unpacked to disk.

    Args:
        path: The file.

    Raises:
        BackupDamagedError: There is no such file, or it is no whole backup.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._told():
            self._members = self._look()
            self.manifest = self._read_manifest()

    def check(self) -> None:
        """Read everything and compare it with the manifest.

        Raises:
            BackupDamagedError: Something differs.
        """
        for part in self.manifest.tables:
            for _ in self.rows(part):
                pass

    def rows(self, part: Part) -> Iterator[list[Any]]:
        """Yield the rows of a table.

        Raises:
            BackupDamagedError: They are not those that the manifest tells of; raised at the end at the latest.
        """
        digest, count = hashlib.sha256(), 0
        with self._told(), tarfile.open(self.path, "r:") as tar, self._open(tar, part.member) as raw:
            with gzip.GzipFile(fileobj=raw) as file:
                for line in file:
                    digest.update(line)
                    count += 1
                    yield self._row(line, part)
            if (count, digest.hexdigest()) != (part.rows, part.sha256):
                raise ValueError(
                    f"table {part.table} has {count:,} rows that are not the {part.rows:,} saved"
                )

    @staticmethod
    def _row(line: bytes, part: Part) -> list[Any]:
        row = decode_row(line)
        if len(row) != len(part.columns):
            raise ValueError(f"table {part.table} has a row of {len(row)} entries")
        return row

    def _look(self) -> list[str]:
        with tarfile.open(self.path, "r:") as tar:
            return tar.getnames()

    def _read_manifest(self) -> Manifest:
        if not self._members or self._members[-1] != MANIFEST:
            raise ValueError("it has no manifest at its end: it was cut short, or is no backup")
        with tarfile.open(self.path, "r:") as tar, self._open(tar, MANIFEST) as file:
            manifest = Manifest.model_validate_json(file.read())
        if manifest.sha256 != manifest.digest():
            raise ValueError("its manifest was changed")
        if self._members != [*(part.member for part in manifest.tables), MANIFEST]:
            raise ValueError("its tables are not those that the manifest names")
        return manifest

    @staticmethod
    def _open(tar: tarfile.TarFile, name: str) -> Any:
        file = tar.extractfile(name)
        if file is None:
            raise ValueError(f"{name} is no file")
        return file

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn whatever reading raises into the one typed error."""
        try:
            yield
        except ValidationError as error:
            raise BackupDamagedError(str(self.path), "its manifest is none of this version's") from error
        except FileNotFoundError as error:
            raise BackupDamagedError(str(self.path), "there is no such file") from error
        except _BROKEN as error:
            raise BackupDamagedError(str(self.path), " ".join(str(error).split())) from error


def _private(path: Path) -> Any:
    """Open a new file that nobody else may read."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")


def _member(name: str, size: int) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size, found.mode = size, 0o600
    return found
