"""Take deleted bytes out of an embedded Chroma's files.

Chroma only marks what is deleted: the vectors stay in the files of their collection, the words in free pages and in
the full-text index of its database, and the folder of a dropped collection stays whole. So what is left is copied to
a new collection, the old folder is removed, and the database is optimised and vacuumed. What Chroma never wrote on
purpose, the memory behind empty slots, is overwritten too.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ...errors import StoreError
from . import chroma_vacuum

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

    from .chroma_connection import ChromaConnection

FORGOTTEN = "forgotten"
"""In a collection's metadata while its files may hold what was forgotten."""

_WHOLE = "whole"
"""In a copy's metadata once nothing is missing from it."""

_HEADER = struct.Struct("<iQQQQ")
"""Of an index: version, where level 0 begins, slots, slots in use, bytes of a slot."""

_HEADER_VERSION = 1
_LENGTH_BYTES = 4
_PAGE = 1000
_FILE = "chroma.sqlite3"


def rewrite_collection(client: "Client", name: str) -> bool:
    """Copy a collection that something was forgotten of to a new one of the same name; return whether it was.

    The copy takes the name when it is whole. A kill in between leaves the old one, or a whole copy that takes the
    name at the next call.
    """
    copy_name = f"{name}-rewritten"
    old, copy = _find(client, name), _find(client, copy_name)
    stale = old is not None and bool((old.metadata or {}).get(FORGOTTEN))
    if copy is not None and (stale or not (copy.metadata or {}).get(_WHOLE)):
        client.delete_collection(copy_name)
        copy = None
    if old is not None and stale:
        copy = client.create_collection(
            copy_name,
            embedding_function=None,
            metadata=_kept(old),
            configuration={"hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 200}},
        )
    if copy is None:
        return False
    if old is not None:  # where a copy was whole already, this is what was written since
        _copy(old, copy, min(_PAGE, client.get_max_batch_size()))
        copy.modify(metadata={**_kept(copy), _WHOLE: 1})
        client.delete_collection(name)
    copy.modify(name=name)
    return True


def scrub_folder(connection: "ChromaConnection") -> None:
    """Remove the folders of dropped collections, and write the database anew without what was deleted.

    Raises:
        StoreError: The database cannot be rewritten.
    """
    folder = Path(connection.place)
    used = vacuum(folder)
    for path in _segments(folder):
        if path.name not in used:
            shutil.rmtree(path, ignore_errors=True)
    blank_unused_slots(folder)


def vacuum(folder: Path) -> set[str]:
    """Write the database anew in a process of its own, see there, and return the ids of the indexes that are in use.

    Raises:
        StoreError: The database cannot be rewritten.
    """
    command = [sys.executable, "-I", chroma_vacuum.__file__, str(folder / _FILE)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        used: list[str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        raise StoreError(str(folder), f"deleted bytes are still in it: {said}") from error
    return set(used)


def blank_unused_slots(folder: Path) -> None:
    """Overwrite the slots of index files that hold no vector.

    Chroma writes a new index with all its empty slots as the memory behind them happens to be, and that can be
    anything this process has read or written, words of users among it.
    """
    for segment in _segments(folder):
        header, data, lengths = (segment / name for name in ("header.bin", "data_level0.bin", "length.bin"))
        if not (header.is_file() and data.is_file() and lengths.is_file()):
            continue
        head = header.read_bytes()[: _HEADER.size]
        if len(head) < _HEADER.size:
            continue
        version, _, slots, used, size = _HEADER.unpack(head)
        if version != _HEADER_VERSION or used > slots:
            continue
        for path, width in ((data, size), (lengths, _LENGTH_BYTES)):
            _blank(path, used * width)


def _blank(path: Path, start: int) -> None:
    """Overwrite a file from a place on, unless it is blank there."""
    with path.open("r+b") as file:
        file.seek(start)
        rest = len(file.read().strip(b"\0"))
        if rest:
            end = path.stat().st_size
            file.seek(start)
            file.write(bytes(end - start))
            file.flush()
            os.fsync(file.fileno())


def _segments(folder: Path) -> list[Path]:
    """Return the folders of indexes."""
    return [path for path in folder.iterdir() if path.is_dir() and _is_segment(path.name)]


def _find(client: "Client", name: str) -> "Collection | None":
    from chromadb.errors import NotFoundError

    try:
        return client.get_collection(name, embedding_function=None)
    except NotFoundError:
        return None


def _kept(collection: "Collection") -> dict[str, Any]:
    """Return what a collection says about itself, but nothing about rewriting."""
    return {
        key: value for key, value in (collection.metadata or {}).items() if key not in (FORGOTTEN, _WHOLE)
    }


def _copy(old: "Collection", new: "Collection", step: int) -> None:
    offset = 0
    while True:
        page: Any = old.get(limit=step, offset=offset, include=["embeddings", "metadatas"])
        if not page["ids"]:
            return
        new.upsert(page["ids"], embeddings=page["embeddings"], metadatas=page["metadatas"])
        offset += len(page["ids"])


def _is_segment(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True
