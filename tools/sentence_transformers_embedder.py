"""Encoders of the sentence-transformers library, an optional dependency."""

import asyncio
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingExtraError, ModelUnavailableError
from .checksums import revision_of
from .embedder import FloatArray

PREFIX = "sentence-transformers/"


class SentenceTransformersEmbedder:
    """A folder on disk, or a name that the library can find.

    Args:
        model: The folder or the name; loaded by the first text.

    Raises:
        MissingExtraError: `sentence-transformers` is not installed.
    """

    def __init__(self, model: str) -> None:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise MissingExtraError("sentence-transformers encoders", "encoders")
        self._model = model
        weights = Path(model) / "model.safetensors"
        known = weights.is_file()
        # Weights are told apart by their content, so that no result names a folder of this machine.
        self.name = PREFIX + (f"{Path(model).name}-{revision_of(weights)}" if known else model)
        self.dimension = 0
        self._encoder: Any = None
        self._turn = threading.Lock()

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return unit-norm vectors; `dimension` is 0 until the first text was encoded.

        Raises:
            ModelUnavailableError: The model cannot be loaded.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return await asyncio.to_thread(self._encode, list(texts))

    async def aclose(self) -> None:
        """Drop the model."""
        self._encoder = None

    def _encode(self, texts: list[str]) -> FloatArray:
        with self._turn:
            encoder = self._encoder = self._encoder or self._load()
            vectors: FloatArray = np.asarray(
                encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False), dtype=np.float32
            )
        self.dimension = vectors.shape[1]
        return vectors

    def _load(self) -> Any:
        library = importlib.import_module("sentence_transformers")
        try:
            return library.SentenceTransformer(self._model)
        except (OSError, ValueError) as error:
            raise ModelUnavailableError(f"{PREFIX}{self._model}", 1, str(error)) from error
