"""SHA-256 of large files, remembered in a stamp beside the file until it changes."""

import hashlib
import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from .whole_files import write_whole


def revision_of(path: Path) -> str:
    """Return the first 12 digits of a file's sha256; reads the file only if it changed since last asked."""
    return known_sha256(path)[:12]


def known_sha256(path: Path) -> str:
    """Return a file's sha256, from the stamp if length and time of change are as stamped."""
    status = path.stat()
    return _known(path, status.st_size, status.st_mtime_ns)


def sha256_of(path: Path) -> str:
    """Return a file's sha256, having read all of it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remember_sha256(path: Path, digest: str) -> None:
    """Stamp a file whose sha256 is known."""
    status = path.stat()
    _write(path, {"size": status.st_size, "changed": status.st_mtime_ns, "sha256": digest})


@lru_cache(maxsize=64)
def _known(path: Path, size: int, changed: int) -> str:
    stamp = _read(path)
    if stamp and (stamp["size"], stamp["changed"]) == (size, changed):
        return str(stamp["sha256"])
    digest = sha256_of(path)
    _write(path, {"size": size, "changed": changed, "sha256": digest})
    return digest


def _stamp_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.stamp")


def _read(path: Path) -> dict[str, Any]:
    try:
        stamp: Any = json.loads(_stamp_of(path).read_text(encoding="utf-8"))
        return {name: stamp[name] for name in ("size", "changed", "sha256")}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _write(path: Path, stamp: dict[str, int | str]) -> None:
    """Keep a stamp if the folder can be written to; without one the file is read once a process."""
    with suppress(OSError):
        write_whole(_stamp_of(path), json.dumps(stamp))
