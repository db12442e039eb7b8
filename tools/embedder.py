"""The embedder door: text in, unit vectors out."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Embedder(Protocol):
    """A sentence encoder."""

    @property
    def name(self) -> str:
        """Identity of the encoder and its weights; vectors of different names are never compared."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return unit-norm vectors, shape `(len(texts), dimension)`, in the order of `texts`.

        Raises:
            ModelUnavailableError: A remote encoder kept failing.
        """
        ...

    async def aclose(self) -> None:
        """Release what is held."""
        ...


class HashingEmbedder:
    """A double: signed feature hashing of words. Same words, same vector; no weights, no meaning.

    Args:
        dimension: Length of a vector.
        remember: Whether to keep every text in `texts`, for tests that look at them.
    """

    name = "hashing-v1"

    def __init__(self, dimension: int = 64, *, remember: bool = True) -> None:
        self.dimension = dimension
        self._remember = remember
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return unit-norm bag-of-words vectors; an empty text gives the first basis vector."""
        if self._remember:
            self.texts.extend(texts)
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            sums = [0.0] * self.dimension
            for word in text.casefold().split():
                place, sign = _feature(word)
                sums[place % self.dimension] += sign
            if not any(sums):
                sums[0] = 1.0
            vectors[row] = sums
        unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    async def aclose(self) -> None:
        """Hold nothing."""


@lru_cache(maxsize=10_000)
def _feature(word: str) -> tuple[int, float]:
    digest = hashlib.blake2b(word.strip(".,;:!?\"'()").encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "big"), 1.0 if digest[4] % 2 else -1.0
