"""Files in the store's folder made of what is forgotten: rejected rows, the recommender's index, the map's axes."""

import json
import re
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ...receipts import Scope
from ..whole_files import whole_file

REJECTS = "rejects"
RECOMMENDER = "recommender"
MAPS = "maps"
UPLOADS = "uploads"
_ABANDONED = 900.0
"""Seconds without a write after which a part of a file is taken for what a killed process left."""

_LEFT_OVER = 86_400.0
"""The same for files that were sent to be imported, which go when their import ends."""


def forget_files(folder: Path, tenant: str, scope: Scope, *, dry_run: bool = False) -> dict[str, int]:
    """Remove what files of a store's folder hold of a scope; returns place to number of entries.

    The recommender's index goes whole and is built anew when it is asked next. Rejected rows do not say whose tenant
    they are: those that name what is forgotten go in any case.
    """
    return {
        "recommender index": _forget_index(folder / RECOMMENDER, tenant, dry_run=dry_run),
        "rejected rows": _forget_rejects(folder / REJECTS, scope, dry_run=dry_run)
        # Only a forget writes parts here, and one at a time: what lies there was left by one that was killed.
        + _remove(sorted((folder / REJECTS).glob(".*.part")), dry_run=dry_run),
        "map of the catalogue": _forget_map(folder / MAPS, tenant, scope, dry_run=dry_run),
        "uploads": _remove(_older(folder / UPLOADS, "*", _LEFT_OVER), dry_run=dry_run),
    }


def _forget_index(folder: Path, tenant: str, *, dry_run: bool) -> int:
    indexes = [path for path in (folder / f"{tenant}.npz", folder / f"{tenant}.past.npz") if path.is_file()]
    return _remove([*indexes, *_older(folder, f".{tenant}.*.part", _ABANDONED)], dry_run=dry_run)


def _forget_map(folder: Path, tenant: str, scope: Scope, *, dry_run: bool) -> int:
    """The axes of the map were found from the items' vectors, and know nothing of users."""
    path = folder / f"{tenant}.npz"
    goes = scope.kind in ("item", "tenant") and path.is_file()
    return _remove([path] if goes else [], dry_run=dry_run)


def _older(folder: Path, pattern: str, seconds: float) -> list[Path]:
    """Return files that nobody has written to for so long."""
    last = time.time() - seconds
    return [path for path in folder.glob(pattern) if path.is_file() and path.stat().st_mtime < last]


def _remove(files: Sequence[Path], *, dry_run: bool) -> int:
    for path in () if dry_run else files:
        path.unlink(missing_ok=True)
    return len(files)


def _forget_rejects(folder: Path, scope: Scope, *, dry_run: bool) -> int:
    removed = 0
    for path in sorted(folder.glob("*.jsonl")):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [] if _all_of(path, scope) else [line for line in lines if not _names(line, scope)]
        removed += len(lines) - len(kept)
        if dry_run or len(kept) == len(lines):
            continue
        if kept:
            with whole_file(path) as part:
                part.write_bytes(b"".join(kept))
        else:
            path.unlink()
    return removed


def _all_of(path: Path, scope: Scope) -> bool:
    """Whether a whole file goes: everything is forgotten, or everything as old as it is."""
    if scope.kind == "older" and scope.before is not None:
        return path.stat().st_mtime < scope.before.timestamp()
    return scope.kind == "tenant"


def _names(line: bytes, scope: Scope) -> bool:
    """Whether a rejected row names what is forgotten; the most particular id decides."""
    wanted = scope.event_id or (None if scope.kind == "user_item" else scope.user_id or scope.item_id)
    ids = [wanted] if wanted else [name for name in (scope.user_id, scope.item_id) if name]
    return bool(ids) and all(_says(line, name) for name in ids)


def _says(line: bytes, name: str) -> bool:
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return name.encode() in line
    whole = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return any(text == name or whole.search(text) for text in _texts(entry))


def _texts(entry: object) -> Collection[str]:
    """Return every name and value of a JSON document as text."""
    if isinstance(entry, Mapping):
        pairs = cast("Mapping[str, Any]", entry).items()  # JSON
        return [text for pair in pairs for part in pair for text in _texts(part)]
    if isinstance(entry, list):
        return [text for part in entry for text in _texts(part)]  # pyright: ignore[reportUnknownVariableType]  # JSON
    return [str(entry)]
