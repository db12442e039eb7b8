"""Files and folders that are there whole or not at all: written under another name beside their place, then renamed."""

import glob
import os
import secrets
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError

_ABANDONED = 86_400.0
"""Seconds without a write after which a part was left by a killed process."""


@contextmanager
def whole_file(path: Path) -> Generator[Path]:
    """Give a path beside `path` to write to; on disk and called `path` if the block ends well, else gone.

    Folders above are made. Until the block ends, and after a failure, an earlier file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = beside(path)
    try:
        yield part
        settle(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file as `whole_file` does; text as UTF-8."""
    data = content.encode() if isinstance(content, str) else content
    with whole_file(path) as part:
        part.write_bytes(data)


def settle(part: Path, path: Path) -> None:
    """Put a finished part on disk, then under its name."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)


@contextmanager
def new_folder(out: Path) -> Generator[Path]:
    """Give a folder beside `out` that becomes `out` if the block ends well and disappears if it does not.

    Raises:
        InputError: `out` is there and is not an empty folder.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out} is already there; choose another folder for `out`, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = beside(out)
    part.mkdir()
    try:
        yield part
        part.replace(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def beside(path: Path) -> Path:
    """Return a new name for a part, hidden, in the same folder and hence on the same file system.

    Parts of the same name that a killed process left, and that nobody has written to for a day, go.
    """
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if _is_abandoned(part):
            shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)
    return path.parent / f".{path.name}.{secrets.token_hex(4)}.part"


def _is_abandoned(part: Path) -> bool:
    try:
        newest = max(entry.stat().st_mtime for entry in (part, *part.rglob("*")))
    except FileNotFoundError:  # somebody is at it
        return False
    return time.time() - newest > _ABANDONED
