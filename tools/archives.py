"""Files to import: one, those of a folder, or those of a zip archive, which is unpacked without trusting it."""

import stat
import tempfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..errors import UnknownFormatError

MOST_MEMBERS = 10_000
MOST_BYTES = 4 << 30
"""Bytes that an archive may unpack to whatever its size."""

SMALL_BYTES = 64 << 20
"""Bytes that any archive may unpack to."""

MOST_GAIN = 100
"""Times its size that it may unpack to beyond that."""

CHUNK = 1 << 20
TABLES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".gz"})
DISCARDED = frozenset({"deleted", "orphaned"})
"""Folders in which Letterboxd keeps what its user threw away."""

_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_MAGIC = b"PK\x03\x04"
_ENCRYPTED = 1


class Contents(NamedTuple):
    """What lies at a path."""

    files: dict[str, Path]
    """Name to show to file to read, sorted; a member of an archive is shown behind the archive's path."""

    skipped: dict[str, str]
    """What is left alone, with the reason."""


def is_archive(path: Path) -> bool:
    """Whether this is a zip archive, by its first bytes."""
    try:
        with path.open("rb") as stream:
            return path.is_file() and stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


@contextmanager
def contents(path: Path) -> Generator[Contents]:
    """Give the files at a path; those of an archive last as long as the context.

    Raises:
        UnknownFormatError: A folder cannot be read, or an archive is damaged, encrypted, or not to be trusted.
    """
    if path.is_dir():
        yield Contents({str(file): file for file in _files_of(path)}, {})
    elif path.is_file() and is_archive(path):  # a pipe is not looked into
        with tempfile.TemporaryDirectory(prefix="limner-") as folder:
            yield _unpack(path, Path(folder))
    else:
        yield Contents({str(path): path}, {})


def _files_of(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise UnknownFormatError(str(folder), f"cannot be read: {error}") from error


def _unpack(archive: Path, folder: Path) -> Contents:
    """Write the tables of an archive under names of our own, and no more bytes than are plausible."""
    left = min(MOST_BYTES, SMALL_BYTES + MOST_GAIN * archive.stat().st_size)
    limit = left
    found = Contents({}, {})
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            if len(members) > MOST_MEMBERS:
                raise UnknownFormatError(str(archive), f"holds more than {MOST_MEMBERS:,} files")
            for number, member in enumerate(members):
                name = f"{archive}/{member.filename}"
                if reason := _unwanted(archive, member):
                    found.skipped[name] = reason
                elif not member.is_dir():
                    # Its suffix tells what it is; the rest of its name is not trusted with a place on the disk.
                    suffixes = "".join(
                        suffix
                        for suffix in PurePosixPath(member.filename).suffixes
                        if suffix.lower() in TABLES
                    )
                    target = folder / f"{number}{suffixes}"
                    left = _write(opened, member, target, left)
                    if left < 0:
                        raise UnknownFormatError(
                            str(archive),
                            f"unpacks to more than {limit:,} bytes; unpack it yourself, if it is right",
                        )
                    found.files[name] = target
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise UnknownFormatError(str(archive), f"is a zip archive that cannot be read: {error}") from error
    return Contents(dict(sorted(found.files.items())), found.skipped)


def _unwanted(archive: Path, member: zipfile.ZipInfo) -> str | None:
    """Say why a member is left alone; one that nobody honest writes ends it all."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise UnknownFormatError(str(archive), f"names a file outside of itself: {member.filename[:100]!r}")
    if member.is_dir():
        return None
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    if any(part.startswith((".", "__MACOSX")) for part in path.parts):
        return "is hidden"
    if DISCARDED & set(path.parts[:-1]):
        return "was thrown away by its user"
    if path.suffix.lower() not in TABLES:
        return "is no table by its name"
    if member.flag_bits & _ENCRYPTED:
        raise UnknownFormatError(str(archive), "is encrypted; unpack it first")
    if member.compress_type not in _METHODS:
        raise UnknownFormatError(str(archive), "is compressed in an unusual way; unpack it first")
    return None


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Unpack one member and return how many bytes may still come; below 0 it was cut off."""
    with opened.open(member) as source, target.open("wb") as sink:
        while chunk := source.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                return left
            sink.write(chunk)
    return left
