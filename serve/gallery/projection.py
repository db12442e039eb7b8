"""Two axes that lay a catalogue's vectors out on a page, kept so that the map stays the same from day to day.

The file holds numbers about the catalogue as a whole: no item, no user and no word is in it.
"""

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...tools.embedder import FloatArray
from ...tools.whole_files import write_whole

_FORMAT = 1
_EDGE = 0.5
"""Percent of the items, at either end of an axis, that are drawn at the edge."""

_GROWN = 2.0
"""A catalogue that grew or shrank by this factor gets new axes."""


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Where vectors go on a page."""

    encoder: str
    """Name of the encoder whose vectors it takes."""

    items: int
    """How large the catalogue was."""

    mean: FloatArray
    """Shape `(D,)`."""

    axes: FloatArray
    """Shape `(2, D)`, rows of unit length."""

    low: FloatArray
    """Where the page begins along each axis, shape `(2,)`."""

    high: FloatArray
    """Where it ends, shape `(2,)`."""

    def place(self, vectors: FloatArray) -> FloatArray:
        """Return places between 0 and 1, shape `(N, 2)`, of vectors of shape `(N, D)`."""
        along = (vectors - self.mean) @ self.axes.T
        places: FloatArray = np.clip((along - self.low) / (self.high - self.low), 0.0, 1.0)
        return places

    def fits(self, encoder: str, items: int) -> bool:
        """Whether it is still right for a catalogue."""
        return self.encoder == encoder and self.items / _GROWN < items < self.items * _GROWN


def fit_projection(vectors: FloatArray, *, encoder: str, items: int) -> Projection:
    """Find the two directions along which vectors differ most.

    Args:
        vectors: Of some or all items, shape `(N, D)`, N > 0.
        encoder: Name of the encoder.
        items: How large the catalogue is.

    Source:
        Principal components: Pearson 1901, https://doi.org/10.1080/14786440109462720.
    """
    mean = vectors.mean(axis=0)
    centred = (vectors - mean).astype(np.float64)
    _, found = np.linalg.eigh(centred.T @ centred)  # ascending
    axes = found[:, ::-1][:, :2].T
    strongest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    axes = (axes * np.sign(strongest)).astype(np.float32)  # an axis and its mirror image are equally good
    along = centred @ axes.T
    low, high = np.percentile(along, [_EDGE, 100.0 - _EDGE], axis=0)
    wide = np.maximum(high - low, 1e-6)
    return Projection(
        encoder=encoder,
        items=items,
        mean=mean.astype(np.float32),
        axes=axes,
        low=(low - 0.03 * wide).astype(np.float32),
        high=(high + 0.03 * wide).astype(np.float32),
    )


def sample_ids(item_ids: Sequence[str], most: int) -> list[str]:
    """Choose items by a hash of their ids, so that a choice changes little when items come or go.

    Examples:
        >>> sample_ids(["a", "b"], 3)
        ['a', 'b']
    """
    if len(item_ids) <= most:
        return list(item_ids)
    return sorted(sorted(item_ids, key=lambda item_id: zlib.crc32(item_id.encode()))[:most])


def read_projection(path: Path) -> Projection | None:
    """Read a kept projection; `None` if there is none, or none that can be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            if int(kept["format"]) != _FORMAT:
                return None
            numbers = {name: kept[name].astype(np.float32) for name in ("mean", "axes", "low", "high")}
            return Projection(encoder=str(kept["encoder"]), items=int(kept["items"]), **numbers)
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile):
        return None


def keep_projection(path: Path, projection: Projection) -> None:
    """Write a projection, replacing an earlier one at once."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        format=_FORMAT,
        encoder=projection.encoder,
        items=projection.items,
        mean=projection.mean,
        axes=projection.axes,
        low=projection.low,
        high=projection.high,
    )
    write_whole(path, buffer.getvalue())
