"""Encoders by name, and a cache in front of any."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..sections import ChatSettings
from .embedder import Embedder, FloatArray, HashingEmbedder
from .litellm_embedder import LiteLLMEmbedder
from .minilm import MiniLMEmbedder
from .sentence_transformers_embedder import PREFIX, SentenceTransformersEmbedder
from .store import Store

__all__ = [
    "CachedEmbedder",
    "LiteLLMEmbedder",
    "MiniLMEmbedder",
    "SentenceTransformersEmbedder",
    "open_embedder",
]


def open_embedder(
    name: str, *, models_dir: Path, chat: ChatSettings, store: Store | None, chat_model: str | None = None
) -> Embedder:
    """Return the encoder of this name; vectors of all but the double are cached.

    Args:
        name: As of `open_encoder`, as all that follow but one.
        models_dir: Folder that weights lie in.
        chat: Address, key and retries of a remote encoder, and threads of an embedded one.
        store: Where vectors are cached; absent to cache them in memory only.
        chat_model: The language model that `chat` is about.

    Raises:
        WeightsMissingError: The weights of `minilm` are not on disk.
        MissingExtraError: `sentence-transformers` is not installed.
    """
    return cached(open_encoder(name, models_dir=models_dir, chat=chat, chat_model=chat_model), store)


def open_encoder(
    name: str, *, models_dir: Path, chat: ChatSettings, chat_model: str | None = None
) -> Embedder:
    """Return the encoder of this name, without a cache.

    Args:
        name: `minilm`, `hashing` (the double), `sentence-transformers/FOLDER_OR_NAME`, or a LiteLLM
            embedding model.
        models_dir: Folder that weights lie in.
        chat: Address, key and retries of a remote encoder, and threads of an embedded one.
        chat_model: The language model that `chat` is about. With it, its address and key go to the encoder
            only if both have the same provider; without it, always.

    Raises:
        WeightsMissingError: The weights of `minilm` are not on disk.
        MissingExtraError: `sentence-transformers` is not installed.
    """
    if name == "hashing":
        return HashingEmbedder(remember=False)
    if name == "minilm":
        return MiniLMEmbedder(models_dir, chat.threads)
    if name.startswith(PREFIX):
        return SentenceTransformersEmbedder(name.removeprefix(PREFIX))
    ours = chat_model is None or _provider(chat_model) == _provider(name)
    key = chat.api_key.get_secret_value() if chat.api_key is not None and ours else None
    return LiteLLMEmbedder(name, api_base=chat.api_base if ours else None, api_key=key, settings=chat)


def cached(encoder: Embedder, store: Store | None) -> Embedder:
    """Return an encoder with a cache in front of it; the double needs none."""
    return encoder if isinstance(encoder, HashingEmbedder) else CachedEmbedder(encoder, store)


def without_store(encoder: Embedder, *, in_memory: int) -> Embedder:
    """Return the encoder behind a cache with one in memory alone, for texts of which nothing must be kept."""
    inner = encoder.encoder if isinstance(encoder, CachedEmbedder) else encoder
    return inner if isinstance(inner, HashingEmbedder) else CachedEmbedder(inner, in_memory=in_memory)


class CachedEmbedder:
    """Remembers vectors by the text's content: first in memory, then in the store.

    Args:
        inner: The encoder.
        store: Where vectors survive; absent to keep them in memory only.
        in_memory: Vectors kept in memory at most; the least recently used go first.
    """

    def __init__(self, inner: Embedder, store: Store | None = None, *, in_memory: int = 20_000) -> None:
        self._inner, self._store, self._in_memory = inner, store, in_memory
        self._recent: OrderedDict[str, FloatArray] = OrderedDict()
        self._dimension = 0

    @property
    def encoder(self) -> Embedder:
        """The encoder behind the cache."""
        return self._inner

    @property
    def name(self) -> str:
        """The encoder's own name."""
        return self._inner.name

    @property
    def dimension(self) -> int:
        """Length of a vector; 0 while neither the encoder nor the cache has shown one."""
        return self._inner.dimension or self._dimension

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return unit-norm vectors, in the order of `texts`; each new text is encoded once."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]
        text_of = dict(zip(keys, texts, strict=True))
        found = {key: self._recent[key] for key in text_of if key in self._recent}
        found |= await self._from_store([key for key in text_of if key not in found])
        found |= await self._encode({key: text for key, text in text_of.items() if key not in found})
        found |= await self._encode({key: text_of[key] for key in self._odd(found)})
        self._remember(found)
        return np.stack([found[key] for key in keys])

    def forget(self) -> None:
        """Drop the vectors in memory; texts are encoded, or read from the store, again."""
        self._recent.clear()

    async def aclose(self) -> None:
        """Close the encoder; the store is somebody else's."""
        await self._inner.aclose()

    async def _from_store(self, keys: Sequence[str]) -> dict[str, FloatArray]:
        if self._store is None or not keys:
            return {}
        kept = await self._store.cached_vectors(self.name, keys)
        return {key: np.frombuffer(raw, dtype="<f4").astype(np.float32) for key, raw in kept.items()}

    def _odd(self, found: Mapping[str, FloatArray]) -> list[str]:
        """Return whose cached vectors are of another length: the model behind the name was changed."""
        lengths = {len(vector) for vector in found.values()}
        length = self._inner.dimension
        if len(lengths) == 1 and (not length or length in lengths):
            return []
        return [key for key, vector in found.items() if not length or len(vector) != length]

    async def _encode(self, missing: Mapping[str, str]) -> dict[str, FloatArray]:
        if not missing:
            return {}
        vectors = await self._inner.embed(list(missing.values()))
        new = dict(zip(missing, vectors, strict=True))
        if self._store is not None:
            raw = {key: vector.astype("<f4").tobytes() for key, vector in new.items()}
            await self._store.cache_vectors(self.name, raw)
        return new

    def _remember(self, found: Mapping[str, FloatArray]) -> None:
        for key, vector in found.items():
            # A row of many would keep all of them in memory for as long as one of them is in use.
            self._recent[key] = vector if vector.base is None else vector.copy()
            self._recent.move_to_end(key)
            self._dimension = len(vector)
        while len(self._recent) > self._in_memory:
            self._recent.popitem(last=False)


def _provider(model: str) -> str:
    """Return whose model this is; LiteLLM reads a bare name as OpenAI's.

    Examples:
        >>> _provider("hosted_vllm/org/name"), _provider("text-embedding-3-small")
        ('hosted_vllm', 'openai')
    """
    provider, found, _ = model.partition("/")
    return provider if found else "openai"
