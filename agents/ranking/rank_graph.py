"""The ranking graph: score everything without a model, then pair what could change the top, until nothing can.

It is not checkpointed: every pair is durable in the store under the fingerprint of what it was written from before the
next is chosen, so a ranking that was killed goes on by being asked again, and pays for nothing twice.
"""

from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from .choose_passes import choose_passes
from .finish_ranking import finish_ranking
from .pair_candidates import pair_candidates
from .rank_state import RankDeps, RankState
from .score_candidates import score_candidates

RankGraph = CompiledStateGraph[RankState, RankDeps, RankState, RankState]


def route_chosen(
    state: RankState, runtime: Runtime[RankDeps]
) -> Literal["pair_candidates", "finish_ranking"]:
    """Go on until no pass is chosen."""
    return "pair_candidates" if state["chosen"] else "finish_ranking"


def build_rank_graph() -> RankGraph:
    """Compile the graph."""
    graph = StateGraph(RankState, context_schema=RankDeps)
    graph.add_node("score_candidates", score_candidates)
    graph.add_node("choose_passes", choose_passes)
    graph.add_node("pair_candidates", pair_candidates)
    graph.add_node("finish_ranking", finish_ranking)
    graph.add_edge(START, "score_candidates")
    graph.add_edge("score_candidates", "choose_passes")
    graph.add_conditional_edges("choose_passes", route_chosen)
    graph.add_edge("pair_candidates", "choose_passes")
    graph.add_edge("finish_ranking", END)
    return graph.compile()
