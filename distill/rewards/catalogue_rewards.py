"""Rewards by the rank in the whole catalogue: LangPTune's, and R²ec's, which adds the similarity."""

from collections.abc import Sequence

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt

from ...records import Record
from ...tools.embedder import FloatArray
from ...tools.reward import FLOOR
from .reading import Reading
from .reward import Bounds, Terms, grade_readable
from .whole_catalogue import WholeCatalogue, discounted_gain


class LangPTuneOptions(Record):
    """Settings of LangPTune's reward."""

    k: PositiveInt = 5000
    """Depth of the list; in the thousands, else most completions earn nothing."""

    facets: bool = False
    """Score items by each sentence and a soft maximum, as Limner does; else by one vector of the whole."""


class R2ecOptions(LangPTuneOptions):
    """Settings of R²ec's reward."""

    similarity: NonNegativeFloat = 0.05
    """Weight of the cosine."""


class LangPTune:
    """`total = NDCG@k` of the held-back items in the whole catalogue, history left out; bounded to [0, 1].

    Terms: `ndcg`; `rank`, the mean mid-rank. A completion that cannot be read gets -1.

    Source:
        LangPTune, https://arxiv.org/abs/2410.18870: the recommender's NDCG as reward. Differs: the
        encoder is Limner's and frozen; each held-back item is sought by itself; ties count half.

    Args:
        options: Settings.
        catalogue: Every item, shared between rewards.
    """

    name = "langptune"

    def __init__(self, options: LangPTuneOptions, catalogue: WholeCatalogue) -> None:
        self._options, self._catalogue = options, catalogue
        self.bounds = Bounds(FLOOR, 1.0)

    async def grade(self, readings: Sequence[Reading]) -> list[Terms]:
        """See `Reward`."""
        return await grade_readable(readings, self.bounds.low, self._grade)

    async def _grade(self, readings: Sequence[Reading]) -> list[Terms]:
        return [await self._terms(reading, self._portrait(reading)) for reading in readings]

    async def _terms(self, reading: Reading, portrait: FloatArray) -> Terms:
        ranks = await self._catalogue.ranks(portrait, reading.case)
        gain = discounted_gain(ranks, self._options.k)
        return {"rank": float(np.mean(ranks)), "ndcg": gain, "total": gain}

    def _portrait(self, reading: Reading) -> FloatArray:
        assert reading.vectors is not None, "only what could be read is graded"
        return reading.vectors.liked if self._options.facets else reading.vectors.liked[-1:]


class R2ec(LangPTune):
    """`total = NDCG@k + w · cosine` of the portrait and the held-back items, w = 0.05; bounded to [-w, 1 + w].

    Terms: `ndcg`, `rank`, `similarity`, the mean cosine. A completion that cannot be read gets -1.

    Source:
        R²ec, https://arxiv.org/abs/2505.16994: a discrete and a continuous reward. Differs: the
        continuous one is the cosine instead of a softmax share, and is added instead of mixed in.
    """

    name = "r2ec"

    def __init__(self, options: R2ecOptions, catalogue: WholeCatalogue) -> None:
        super().__init__(options, catalogue)
        self._weight = options.similarity
        self.bounds = Bounds(FLOOR, 1.0 + options.similarity)

    async def _terms(self, reading: Reading, portrait: FloatArray) -> Terms:
        terms = await super()._terms(reading, portrait)
        similarity = float((reading.case.exam.positives @ portrait.T).max(axis=1).mean())
        total = terms["ndcg"] + self._weight * similarity
        return {**terms, "similarity": similarity, "total": total}
