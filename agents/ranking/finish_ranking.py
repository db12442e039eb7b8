"""Node: say the last word.

Reads everything; writes `ranking`. No model call.
"""

from typing import TypedDict

from langgraph.runtime import Runtime

from ...pairings import Ranking
from .rank_state import RankDeps, RankState, ranking_of


class Update(TypedDict):
    """The keys this node may change."""

    ranking: Ranking


async def finish_ranking(state: RankState, runtime: Runtime[RankDeps]) -> Update:
    """Mark the ranking final."""
    return {"ranking": ranking_of(runtime.context, state, final=True)}
