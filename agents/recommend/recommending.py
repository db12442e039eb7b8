"""Recommend: find the index for a moment and run the graph for one user."""

from datetime import datetime
from pathlib import Path
from typing import cast

from ...errors import InputError
from ...recommendations import Filters, Recommendations
from ...tools.budget import Budget
from ...tools.recommender.recommender_index import RecommenderIndex
from ..drawing import Drawing
from .recommend_graph import build_recommend_graph
from .recommend_keeping import IndexKeeper
from .recommend_state import Rank, RecommendDeps, RecommendState, Wanted

MOST = 1000
"""Items that one answer may hold."""


def wanted_of(
    user_id: str,
    *,
    k: int,
    as_of: datetime,
    filters: Filters | None,
    diversity: float,
    explain: bool,
    rerank: int | None,
    generate: bool,
    outcome: str | None,
) -> Wanted:
    """Check what is asked.

    Raises:
        InputError: A number is out of range.
    """
    if not 1 <= k <= MOST:
        raise InputError(f"`k` must be from 1 to {MOST}, got {k!r}")
    if not 0 <= diversity <= 1:
        raise InputError(f"`diversity` must be from 0 to 1, got {diversity!r}")
    if rerank is not None and not 0 <= rerank <= MOST:
        raise InputError(
            f"`rerank` must be from 0 to {MOST}, got {rerank!r}; it says how many items to rank again"
        )
    return Wanted(
        user_id=user_id,
        as_of=as_of,
        k=k,
        filters=filters or Filters(),
        diversity=diversity,
        explain=explain,
        rerank=rerank or 0,
        generate=generate,
        outcome=outcome,
    )


class Recommending:
    """Recommends; safe to use from many tasks at once.

    Args:
        drawing: What may be touched.
        folder: Where the store keeps files.
        tenant: Whose.
        rank: Ranks by pairs.
    """

    def __init__(self, drawing: Drawing, folder: Path, tenant: str, rank: Rank) -> None:
        self.drawing = drawing
        self._keeper = IndexKeeper(folder, tenant)
        self._rank = rank
        self._graph = build_recommend_graph()

    async def index(self, as_of: datetime) -> RecommenderIndex:
        """Return the index for a moment, built anew if what it rests on changed.

        Raises:
            InputError: The catalogue is empty.
        """
        return await self._keeper.index(self.drawing.deps, as_of)

    async def recommend(self, wanted: Wanted, index: RecommenderIndex, budget: Budget) -> Recommendations:
        """Return what a user may choose next.

        Raises:
            UnknownUserError: The user was never recorded.
        """
        deps = self.drawing.deps_for(f"user:{wanted.user_id}", budget)
        context = RecommendDeps(deps=deps, index=index, rank=self._rank)
        async with self.drawing.concerning(wanted.user_id):
            done = await self._graph.ainvoke(RecommendState(wanted=wanted, notes=[]), context=context)
        return cast(RecommendState, done)["found"]  # LangGraph types a graph's output as a plain dict
