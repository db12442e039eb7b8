"""How well a question is answered by what is known of a user: by meaning, and a little by recency."""

from collections.abc import Sequence

import numpy as np

from ...records import Interaction, Item
from ...tools.embedder import Embedder, FloatArray

_CHUNK = 240
"""Characters embedded as one, as of the user's words elsewhere, so that vectors are shared."""

_MOST_CHUNKS = 4
_RECENCY = 0.05
_HALF = 20
"""Places after which recency counts half."""


async def relevance(embedder: Embedder, question: FloatArray, texts: Sequence[Sequence[str]]) -> list[float]:
    """Score entries by the best cosine of their texts with a question, plus at most `_RECENCY` for the newest.

    Args:
        embedder: Encodes what it has not cached, all in one batch.
        question: Unit vector, shape `(D,)`.
        texts: The texts of each entry, oldest entry first; one without any scores 0.
    """
    flat = [text for entry in texts for text in entry]
    cosines = (await embedder.embed(flat)) @ question if flat else np.zeros(0, dtype=np.float32)
    scores: list[float] = []
    start = 0
    for age, entry in zip(range(len(texts) - 1, -1, -1), texts, strict=True):
        best = float(cosines[start : start + len(entry)].max()) if entry else 0.0
        scores.append(best + _RECENCY * 0.5 ** (age / _HALF))
        start += len(entry)
    return scores


def texts_of(event: Interaction, item: Item | None) -> list[str]:
    """Return the texts that an interaction is found by: its item's, and the user's words in pieces."""
    words = " ".join((event.text or "").split())
    pieces = [words[start : start + _CHUNK] for start in range(0, len(words), _CHUNK)][:_MOST_CHUNKS]
    described = item.describe() if item else ""
    return [text for text in (described, *pieces) if text]
