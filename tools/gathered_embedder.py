"""An encoder that is asked by many tasks at once and reads all their texts in one call."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from .behalf import on_nobodys_behalf
from .embedder import Embedder, FloatArray


class GatheredEmbedder:
    """Puts together what tasks of one event loop ask for in the same turn; equal texts are encoded once.

    It does not own the encoder behind it, so closing it leaves that one open.

    Args:
        embedder: Who encodes.
        keep: Texts whose vectors are kept, the newest ones.
    """

    def __init__(self, embedder: Embedder, *, keep: int = 4096) -> None:
        self._embedder, self._keep = embedder, keep
        self._kept: OrderedDict[str, FloatArray] = OrderedDict()
        self._places: dict[str, int] = {}
        self._encoding: asyncio.Task[FloatArray] | None = None

    @property
    def name(self) -> str:
        """That of the encoder behind it."""
        return self._embedder.name

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._embedder.dimension

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return unit-norm vectors, shape `(len(texts), dimension)`, in the order of `texts`.

        Raises:
            ModelUnavailableError: A remote encoder kept failing.
        """
        found = {text: self._kept[text] for text in texts if text in self._kept}
        missing = [text for text in texts if text not in found]
        if missing:
            if self._encoding is None:
                self._encoding = asyncio.create_task(self._encode())
            encoding, places = self._encoding, self._places
            rows = {text: places.setdefault(text, len(places)) for text in missing}
            # One that is cancelled must not take the others' vectors along.
            vectors = await asyncio.shield(encoding)
            found |= {text: vectors[row] for text, row in rows.items()}
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        wanted: FloatArray = np.stack([found[text] for text in texts])
        return wanted

    async def aclose(self) -> None:
        """Hold nothing."""

    async def _encode(self) -> FloatArray:
        """Encode what was asked for. A task starts behind those that are ready to run, so they have all asked."""
        places, self._places, self._encoding = self._places, {}, None
        with on_nobodys_behalf():  # this task began on one caller's, and the texts are all callers'
            vectors = await self._embedder.embed(list(places))
        self._kept |= dict(zip(places, vectors, strict=True))
        while len(self._kept) > self._keep:
            self._kept.popitem(last=False)
        return vectors
