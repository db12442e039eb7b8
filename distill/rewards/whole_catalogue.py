"""Ranks among the whole catalogue, with the history left out."""

import asyncio

import numpy as np

from ...agents.case import Case
from ...agents.critic import critic_settings
from ...agents.state import Deps
from ...tools.embedder import FloatArray
from ...tools.late_interaction import mid_ranks, score_items

_BATCH = 4096


class WholeCatalogue:
    """Every item of the index in the critic's space, read once and kept: 4 bytes for each item and dimension.

    Args:
        deps: With the index and the space.
    """

    def __init__(self, deps: Deps) -> None:
        self._catalogue, self._space = deps.catalogue, deps.space
        self._temperature = critic_settings(deps).temperature
        self._reading = asyncio.Lock()
        self._matrix: FloatArray | None = None
        self._places: dict[str, int] = {}

    async def ranks(self, facets: FloatArray, case: Case) -> list[float]:
        """Return the mid-rank of each held-back item among all items the user has not had; 1 is best.

        Other held-back items do not compete.

        Args:
            facets: Unit vectors of the portrait in the critic's space, shape `(F, D)`.
            case: Names history and held-back items.
        """
        matrix = await self._read()
        scores = score_items(facets, matrix, temperature=self._temperature)
        rivals = np.ones(len(scores), dtype=bool)
        rivals[[self._places[item] for item in case.items if item in self._places]] = False
        places = [self._places[item] for item in case.positives if item in self._places]
        ranks: list[float] = mid_ranks(scores[places], scores[rivals]).tolist()
        return ranks

    async def _read(self) -> FloatArray:
        async with self._reading:
            if self._matrix is None:
                ids = await self._catalogue.item_ids()
                parts = [
                    await self._catalogue.vectors(ids[start : start + _BATCH])
                    for start in range(0, len(ids), _BATCH)
                ]
                self._matrix = self._space.items(np.concatenate(parts))
                self._places = {item: place for place, item in enumerate(ids)}
        return self._matrix


def discounted_gain(ranks: list[float], k: int) -> float:
    """Mean NDCG@k of items that are sought one at a time: `1 / log2(1 + rank)` up to rank k, else 0.

    Examples:
        >>> discounted_gain([1.0, 3.0, 11.0], k=10)  # (1 + 1/2 + 0) / 3
        0.5
    """
    gains = [1.0 / np.log2(1.0 + rank) if rank <= k else 0.0 for rank in ranks]
    return float(np.mean(gains)) if gains else 0.0
