"""Judges that no profiler is trained on: another encoder, and BM25. They sit the critic's own exam.

Both rank the held-back items among the critic's negatives by what a portrait says the user likes, and give
`tools.reward.rank_reward`: the mean of `1 / log2(1 + rank)`, with mid-ranks for ties. A portrait that cannot be read
ties everything, which is chance.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ...tools.bm25 import Bm25Index
from ...tools.embedder import Embedder, FloatArray
from ...tools.late_interaction import score_items
from ...tools.reward import rank_reward
from .grading import Reading
from .sitters import Sitter


class Measure(Protocol):
    """Says one number of each portrait of a sitter."""

    @property
    def name(self) -> str:
        """Name of the number in histories, tables and files."""
        ...

    async def measure(self, sitter: Sitter, readings: Sequence[Reading]) -> list[float]:
        """Return a number for each reading; NaN where there is nothing to measure."""
        ...


class EncoderJudge:
    """Another encoder sits the critic's exam, with the critic's late interaction.

    Args:
        embedder: An encoder of another family than the critic's.
        temperature: Sharpness of the soft maximum over sentences, in cosine units, > 0.
        name: Name of the number.
    """

    def __init__(self, embedder: Embedder, *, temperature: float, name: str = "judge/held_out") -> None:
        self.name = name
        self._embedder, self._temperature = embedder, temperature

    async def measure(self, sitter: Sitter, readings: Sequence[Reading]) -> list[float]:
        """Return the reward term `rank` by this encoder, in (0, 1]."""
        items = await self._embedder.embed([*sitter.positives, *sitter.negatives])
        scores = await _scores(self._embedder, readings, items, self._temperature)
        held = len(sitter.positives)
        return [rank_reward(row[:held], row[held:]) for row in scores]


class LexicalJudge:
    """BM25 sits the critic's exam: which items share rare words with the portrait?

    Args:
        texts: Texts of the catalogue, which decide what is rare; must hold every text that is judged.
        name: Name of the number.

    Raises:
        MissingExtraError: `bm25s` is not installed.
    """

    def __init__(self, texts: Sequence[str], *, name: str = "judge/bm25") -> None:
        self.name = name
        different = list(dict.fromkeys(texts))
        self._index = Bm25Index(different)
        self._place = {text: place for place, text in enumerate(different)}

    async def measure(self, sitter: Sitter, readings: Sequence[Reading]) -> list[float]:
        """Return the reward term `rank` by BM25, in (0, 1]."""
        columns = [self._place[text] for text in (*sitter.positives, *sitter.negatives)]
        asked = [reading.liked[-1] if reading.liked else "" for reading in readings]
        scores = self._index.score(asked)[:, columns]
        held = len(sitter.positives)
        return [rank_reward(row[:held], row[held:]) for row in scores]


class HistoryLikeness:
    """How much a portrait is about what its user did: whether the words still mean the user.

    Args:
        embedder: An encoder, better not the critic's.
        temperature: As for `EncoderJudge`.
        name: Name of the number.
    """

    def __init__(self, embedder: Embedder, *, temperature: float, name: str = "meaning/history") -> None:
        self.name = name
        self._embedder, self._temperature = embedder, temperature

    async def measure(self, sitter: Sitter, readings: Sequence[Reading]) -> list[float]:
        """Return the mean score of the recent items by the portrait, in cosine units."""
        if not sitter.history:
            return [np.nan] * len(readings)
        items = await self._embedder.embed(sitter.history)
        scores = await _scores(self._embedder, readings, items, self._temperature)
        return [
            float(row.mean()) if reading.facets else np.nan
            for row, reading in zip(scores, readings, strict=True)
        ]


async def _scores(
    embedder: Embedder, readings: Sequence[Reading], items: FloatArray, temperature: float
) -> list[FloatArray]:
    """Score items, shape `(N, D)`, by each reading; a malformed one gives zeros, shape `(N,)`."""
    texts = [text for reading in readings for text in reading.liked]
    vectors = await embedder.embed(texts) if texts else items[:0]
    scores: list[FloatArray] = []
    start = 0
    for reading in readings:
        facets = vectors[start : start + len(reading.liked)]
        start += len(reading.liked)
        none = np.zeros(len(items), dtype=np.float32)
        scores.append(score_items(facets, items, temperature=temperature) if len(facets) else none)
    return scores
