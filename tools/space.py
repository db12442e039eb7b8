"""A space taught on top of a frozen encoder: one linear map for what speaks of users, one for items.

Sentences of a portrait and the items of a history stand on the user's side, what is to be ranked on the item's
side. Everything scores by cosine and late interaction as in the encoder's own space, so a space can take that
one's place wherever sentences score items. Nothing here needs more than numpy; `distill.space` teaches.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SpaceFileError, WrongSpaceError
from .embedder import FloatArray
from .whole_files import whole_file

HalfArray = NDArray[np.float16]

FORMAT = 1
"""Of the file; a reader refuses any other."""

IDENTITY = "identity"
"""Name of the encoder's own space."""

_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
_LEAST_NORM = 1e-9
_UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, EOFError, AttributeError),
    *(zipfile.BadZipFile, zlib.error, RuntimeError),
)
"""What a file that is no space, or half of one, makes its readers raise."""

_ENCODER_NAME_SHOWN = 80


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One linear map. Weights are kept in half precision: what is saved is what was measured."""

    weights: HalfArray
    """Shape `(D, K)`; a vector `x` becomes `x @ weights + bias` at unit length."""

    bias: HalfArray
    """Shape `(K,)`."""

    @classmethod
    def of(cls, weights: NDArray[Any], bias: NDArray[Any] | None = None) -> "Side":
        """Round weights, shape `(D, K)`, and a bias, shape `(K,)`; absent for zeros."""
        return cls(
            weights=np.ascontiguousarray(weights, dtype=np.float16),
            bias=np.ascontiguousarray(np.zeros(weights.shape[1]) if bias is None else bias, dtype=np.float16),
        )

    def apply(self, vectors: FloatArray) -> FloatArray:
        """Map vectors, shape `(..., D)`, to unit-norm vectors, shape `(..., K)`."""
        mapped = vectors @ self._weights + self._bias
        norms = np.maximum(np.linalg.norm(mapped, axis=-1, keepdims=True), _LEAST_NORM)
        unit: FloatArray = (mapped / norms).astype(np.float32)
        return unit

    @cached_property
    def _weights(self) -> FloatArray:
        return self.weights.astype(np.float32)

    @cached_property
    def _bias(self) -> FloatArray:
        return self.bias.astype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """Where sentences score items.

    Without sides it is the encoder's own space, and vectors pass through unchanged, bit by bit.
    """

    encoder: str = ""
    """`Embedder.name` of the encoder whose vectors it takes; empty for any."""

    user: Side | None = None
    """For sentences about users and for what users had; absent to change nothing."""

    item: Side | None = None
    """For items that are ranked; absent to change nothing."""

    decay: float | None = None
    """Weight of an item of a history relative to the next newer one; absent if it was not learned."""

    temperature: float | None = None
    """Of the late interaction in this space, in cosine units; absent to use the critic's."""

    share: float | None = None
    """Share of the portrait where the newest items score beside it; absent if it was not learned."""

    taught: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Where it comes from: data, seed, steps, validation. JSON; no part of the name."""

    def __post_init__(self) -> None:
        """Check that both sides fit each other.

        Raises:
            ValueError: They do not.
        """
        if self.user and self.item and self.user.weights.shape != self.item.weights.shape:
            shapes = (self.user.weights.shape, self.item.weights.shape)
            raise ValueError(f"`user` and `item` must have one shape, got {shapes[0]} and {shapes[1]}")
        if (self.user is None) != (self.item is None):
            raise ValueError("`user` and `item` are given together or not at all")

    @cached_property
    def name(self) -> str:
        """`identity`, or a hash of all that changes a score: vectors of different names are never compared."""
        if self.user is None or self.item is None:
            return IDENTITY
        digest = hashlib.blake2b(digest_size=8)
        digest.update(repr((FORMAT, self.encoder, self.decay, self.temperature, self.share)).encode())
        for part in (self.user.weights, self.user.bias, self.item.weights, self.item.bias):
            digest.update(repr(part.shape).encode() + part.astype("<f2").tobytes())
        return f"space-{digest.hexdigest()}"

    @property
    def is_identity(self) -> bool:
        """Whether vectors pass through unchanged."""
        return self.user is None

    @property
    def dimension(self) -> int | None:
        """Length of the encoder's vectors; absent for any."""
        return None if self.user is None else self.user.weights.shape[0]

    def users(self, vectors: FloatArray) -> FloatArray:
        """Map vectors of sentences about users, or of what they had, shape `(..., D)`."""
        return vectors if self.user is None else self.user.apply(vectors)

    def items(self, vectors: FloatArray) -> FloatArray:
        """Map vectors of items to be ranked, shape `(..., D)`."""
        return vectors if self.item is None else self.item.apply(vectors)

    def check(self, encoder: str) -> None:
        """Refuse vectors that the space was not taught on.

        Args:
            encoder: `Embedder.name`.

        Raises:
            WrongSpaceError: They come from another encoder.
        """
        if self.encoder not in ("", encoder):
            raise WrongSpaceError(self.name, self.encoder, encoder)


ENCODERS_OWN = Space()
"""The encoder's own space."""


def save_space(space: Space, path: Path) -> None:
    """Write a space to one file; the same space always gives the same bytes, and no reader sees half of it.

    Raises:
        ValueError: It is the encoder's own space: there is nothing to save.
    """
    if space.user is None or space.item is None:
        raise ValueError("the encoder's own space has no file; leave `critic.space` unset instead")
    facts = {
        "format": FORMAT,
        "name": space.name,
        "encoder": space.encoder,
        "dimension": space.dimension,
        "decay": space.decay,
        "temperature": space.temperature,
        "share": space.share,
        "taught": dict(space.taught),
    }
    parts: dict[str, bytes] = {
        "space.json": json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True).encode(),
        "user_weights.npy": _packed(space.user.weights),
        "user_bias.npy": _packed(space.user.bias),
        "item_weights.npy": _packed(space.item.weights),
        "item_bias.npy": _packed(space.item.bias),
    }
    with whole_file(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _FIRST_DATE), content, zipfile.ZIP_DEFLATED)


def load_space(path: Path, *, encoder: str | None = None) -> Space:
    """Read a space from its file.

    Args:
        path: Written by `save_space`.
        encoder: `Embedder.name` of the encoder that it will be used with; absent to take any.

    Raises:
        SpaceFileError: There is no such file, or it is no space, damaged, or of a newer format.
        WrongSpaceError: It was taught on another encoder.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            facts: dict[str, Any] = json.loads(archive.read("space.json"))
            arrays = {
                name: np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
                for name in ("user_weights", "user_bias", "item_weights", "item_bias")
            }
        if facts["format"] != FORMAT:
            raise SpaceFileError(str(path), f"has format {facts['format']!r}; this version reads {FORMAT}")
        space = Space(
            encoder=facts["encoder"],
            user=Side.of(arrays["user_weights"], arrays["user_bias"]),
            item=Side.of(arrays["item_weights"], arrays["item_bias"]),
            decay=facts["decay"],
            temperature=facts["temperature"],
            share=facts["share"],
            taught=facts["taught"],
        )
        wanted = facts["name"]
    except _UNREADABLE as error:
        raise SpaceFileError(str(path), f"cannot be read: {error}") from error
    if space.name != wanted:
        raise SpaceFileError(str(path), f"is damaged: it holds {space.name}, but says {wanted!r}")
    if encoder is not None:
        space.check(encoder)
    return space


def open_space(path: Path | None, *, encoder: str) -> Space:
    """Return the space that a setting names; the encoder's own if it names none.

    Raises:
        SpaceFileError: There is no such file, or it is no space, damaged, or of a newer format.
        WrongSpaceError: It was taught on another encoder.
    """
    return ENCODERS_OWN if path is None else load_space(path, encoder=encoder)


def _packed(array: HalfArray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array.astype("<f2"))
    return buffer.getvalue()
