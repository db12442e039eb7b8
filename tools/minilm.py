"""The embedded sentence encoder: all-MiniLM-L6-v2 with 8-bit weights, on onnxruntime."""

import asyncio
import importlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .checksums import revision_of
from .embedder import FloatArray
from .weights import weights_path

MAX_TOKENS = 256
"""Longer texts are cut: the model was trained on no longer ones."""

_SLICE = 32
_MODEL, _TOKENIZER = "model_quantized.onnx", "tokenizer.json"


class _Loaded(NamedTuple):
    """The parts of a loaded model; neither library has types."""

    session: Any
    tokenizer: Any


class MiniLMEmbedder:
    """Texts to vectors, in worker threads; loaded by the first text.

    Each text runs alone. The weights' quantisation takes its scale from everything in a batch, padding
    included, so that in a batch a text's vector would depend on its neighbours: by up to 0.04 in cosine.
    Alone it does not, and on a CPU a batch is not faster either.

    Args:
        models_dir: Folder that holds the weights `minilm`.
        threads: Texts encoded at once.

    Raises:
        WeightsMissingError: The weights are not on disk.
    """

    dimension = 384

    def __init__(self, models_dir: Path, threads: int = 1) -> None:
        self._folder = weights_path("minilm", models_dir)
        self.name = f"minilm-{revision_of(self._folder / _MODEL)}"
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="limner-minilm")
        self._loading = threading.Lock()
        self._loaded: _Loaded | None = None

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return unit-norm vectors, shape `(len(texts), 384)`; the same text always gives the same vector."""
        loop = asyncio.get_running_loop()
        slices = [texts[start : start + _SLICE] for start in range(0, len(texts), _SLICE)]
        parts = await asyncio.gather(
            *(loop.run_in_executor(self._pool, self._encode, part) for part in slices)
        )
        return np.concatenate([np.zeros((0, self.dimension), dtype=np.float32), *parts])

    async def aclose(self) -> None:
        """Drop the model; texts that wait are not encoded."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
        self._loaded = None

    def _encode(self, texts: Sequence[str]) -> FloatArray:
        model = self._load()
        return np.stack([_encode_one(model, text) for text in texts])

    def _load(self) -> _Loaded:
        with self._loading:
            if self._loaded is None:
                onnxruntime: Any = importlib.import_module("onnxruntime")
                tokenizers: Any = importlib.import_module("tokenizers")
                tokenizer = tokenizers.Tokenizer.from_file(str(self._folder / _TOKENIZER))
                tokenizer.enable_truncation(MAX_TOKENS)
                tokenizer.no_padding()
                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                options.log_severity_level = 3
                session = onnxruntime.InferenceSession(
                    str(self._folder / _MODEL), options, providers=["CPUExecutionProvider"]
                )
                self._loaded = _Loaded(session, tokenizer)
            return self._loaded


def _encode_one(model: _Loaded, text: str) -> FloatArray:
    """Return the unit-norm mean of a text's token vectors. Every token counts: there is no padding."""
    tokens = np.array([model.tokenizer.encode(text).ids], dtype=np.int64)
    inputs = {
        "input_ids": tokens,
        "attention_mask": np.ones_like(tokens),
        "token_type_ids": np.zeros_like(tokens),
    }
    hidden: FloatArray = np.asarray(model.session.run(None, inputs)[0], dtype=np.float32)
    mean = hidden[0].mean(axis=0, dtype=np.float64)
    unit: FloatArray = (mean / np.linalg.norm(mean)).astype(np.float32)
    return unit
