"""Vectors on disk by key: files that are written once, whole, and never changed."""

import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..tools.whole_files import whole_file
from .dataset import FloatArray

KEY_BYTES = 32

_KEYS = ".keys.npy"
_VECTORS = ".vectors.npy"


class VectorFiles:
    """Vectors of one encoder in a folder; several processes may add to it at once.

    Args:
        folder: Where the files lie; made by the first `add`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: set[str] = set()
        self._shards: list[FloatArray] = []
        self._places: dict[bytes, tuple[int, int]] = {}

    def find(self, keys: Sequence[bytes]) -> dict[bytes, FloatArray]:
        """Return the vectors that are there, by key."""
        self._refresh()
        places = ((key, self._places.get(key)) for key in keys)
        return {key: self._shards[place[0]][place[1]] for key, place in places if place is not None}

    def add(self, keys: Sequence[bytes], vectors: FloatArray) -> None:
        """Keep vectors, shape `(len(keys), D)`; durable when it returns."""
        stem = self._folder / uuid.uuid4().hex
        with whole_file(stem.with_suffix(_VECTORS)) as part, part.open("wb") as file:
            np.save(file, np.ascontiguousarray(vectors, dtype=np.float32))
        # A reader takes a pair once its keys are there, so they come last.
        table = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), KEY_BYTES)
        with whole_file(stem.with_suffix(_KEYS)) as part, part.open("wb") as file:
            np.save(file, table)

    def _refresh(self) -> None:
        for path in sorted(self._folder.glob(f"*{_KEYS}")):
            if path.name not in self._read:
                self._read.add(path.name)
                self._take(path)

    def _take(self, path: Path) -> None:
        table: np.ndarray[tuple[int, int], np.dtype[np.uint8]] = np.load(path)
        vectors: FloatArray = np.load(path.with_name(path.name.replace(_KEYS, _VECTORS)), mmap_mode="r")
        shard = len(self._shards)
        self._shards.append(vectors)
        for row, key in enumerate(table):
            self._places[key.tobytes()] = (shard, row)
