"""Texts to vectors by any encoder, each text once: vectors stay on disk, by the text's content."""

import hashlib
import re
import time
from collections.abc import Sequence

import numpy as np

from ..records import Item, content_hash
from ..tools.embedder import Embedder
from ..tools.sentence_transformers_embedder import PREFIX
from ..tools.waiting import wait_for
from .dataset import FloatArray
from .vector_files import VectorFiles
from .workspace import Workspace

BATCH = 512
"""Texts encoded between two writes: what an interrupted run does over again at most."""

_QUIET_SECONDS = 10.0


class Encoding:
    """An `Embedder` whose vectors outlive the process.

    Args:
        name: `minilm`, `sentence-transformers/FOLDER_OR_NAME`, a LiteLLM embedding model, or `hashing`.
        workspace: Where vectors are kept; its settings say how encoders are reached.

    Raises:
        WeightsMissingError: The weights of `minilm` are not on disk.
        MissingExtraError: `sentence-transformers` is not installed.
    """

    def __init__(self, name: str, workspace: Workspace) -> None:
        from ..tools.encoders import open_embedder

        settings = workspace.settings
        self._inner: Embedder = open_embedder(
            name,
            models_dir=settings.models_dir,
            chat=settings.chat,
            store=None,
            chat_model=settings.model,
        )
        self._notice = workspace.notice
        self.label = label_of(name)
        folder = f"{_slug(self.label)}-{content_hash(self.name)[:8]}"
        self._files = VectorFiles(workspace.folder / "vectors" / folder)
        self._width = 0
        self._catalogue: tuple[Sequence[Item], FloatArray] | None = None

    @property
    def name(self) -> str:
        """Identity of the encoder and its weights."""
        return self._inner.name

    @property
    def dimension(self) -> int:
        """Length of a vector; 0 while none has been seen."""
        return self._inner.dimension or self._width

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return unit-norm vectors, shape `(len(texts), dimension)`, in the order of `texts`.

        Raises:
            ModelUnavailableError: A remote encoder kept failing.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        keys = [key_of(text) for text in texts]
        text_of = dict(zip(keys, texts, strict=True))
        found = self._files.find(list(text_of))
        missing = [key for key in text_of if key not in found]
        started = told = time.monotonic()
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            vectors = await self._inner.embed([text_of[key] for key in part])
            self._files.add(part, vectors)
            found |= zip(part, vectors, strict=True)
            if (now := time.monotonic()) - told > _QUIET_SECONDS:
                told, done = now, start + len(part)
                rate = done / (now - started)
                self._notice(f"{self.label}: {done} of {len(missing)} texts encoded, {rate:.0f} a second")
        matrix: FloatArray = np.stack([found[key] for key in keys])
        self._width = matrix.shape[1]
        return matrix

    async def aclose(self) -> None:
        """Let go of the encoder."""
        await self._inner.aclose()

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Do what `embed` does, for plain code."""
        return wait_for(self.embed(texts))

    def encode_each(self, texts: Sequence[Sequence[str]]) -> list[FloatArray]:
        """Return the vectors of several texts of each of several users, shape `(F_u, dimension)`."""
        flat = self.encode([text for of_one in texts for text in of_one])
        ends = np.cumsum([len(of_one) for of_one in texts], dtype=np.int64)
        return list(np.split(flat, ends[:-1])) if texts else []

    def encode_items(self, items: Sequence[Item]) -> FloatArray:
        """Return the vector of every item of a catalogue, shape `(len(items), dimension)`.

        An item without any text gets the vector of the empty text. The last catalogue is kept in memory.
        """
        if self._catalogue is None or self._catalogue[0] is not items:
            self._catalogue = (items, self.encode([item.describe() for item in items]))
        return self._catalogue[1]


def key_of(text: str) -> bytes:
    """Return the key a text's vector is kept under."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def label_of(name: str) -> str:
    """Return an encoder's name as tables show it, without the folder it lies in.

    Examples:
        >>> label_of("minilm"), label_of("sentence-transformers/some/where/mpnet/")
        ('minilm', 'mpnet')
    """
    if not name.startswith(PREFIX):
        return name
    return name.removeprefix(PREFIX).rstrip("/").rpartition("/")[2]


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", label.casefold()).strip("-")
