"""The end of the profile graph for a pair whose drafts are there already: criticise, ground, judge, publish."""

from functools import cache
from typing import cast

from langgraph.graph import END, START, StateGraph

from ...pairings import Pair
from ..critique_profiles import critique_profiles
from ..graph import ProfileGraph
from ..ground_claims import ground_claims
from ..publish_profiles import publish_profiles
from ..state import Deps, State
from .judge_pairs import judge_pairs


async def finish_pair(deps: Deps, state: State) -> Pair:
    """Publish the best of a pair's drafts.

    Args:
        deps: What the nodes may touch; holds the run's case.
        state: All that the nodes before would have written; its first draft is the extractive floor.
    """
    done = await _graph().ainvoke(state, context=deps)
    return cast(State, done)["pair"]  # LangGraph types a graph's output as a plain dict


@cache
def _graph() -> ProfileGraph:
    """Compile the graph; nothing is checkpointed, since the drafts' completions are cached already."""
    graph = StateGraph(State, context_schema=Deps)
    graph.add_node("critique_profiles", critique_profiles)
    graph.add_node("ground_claims", ground_claims)
    graph.add_node("judge_pairs", judge_pairs)
    graph.add_node("publish_profiles", publish_profiles)
    graph.add_edge(START, "critique_profiles")
    graph.add_edge("critique_profiles", "ground_claims")
    graph.add_edge("ground_claims", "judge_pairs")
    graph.add_edge("judge_pairs", "publish_profiles")
    graph.add_edge("publish_profiles", END)
    return graph.compile()
