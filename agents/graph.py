"""The profile graph: cues, drafts, critique, revision, grounding, a judge for pairs, publication.

One machine for profiles and, with an item in the state, for pairs. Graph assembly is the only place where
LangGraph's generics leave types partly unknown.
"""

from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from .choosing import wants_revision
from .critique_profiles import critique_profiles
from .draft_profiles import draft_profiles
from .extract_cues import extract_cues
from .ground_claims import ground_claims
from .pairing.judge_pairs import judge_pairs
from .publish_profiles import publish_profiles
from .revise_profiles import revise_profiles
from .state import Deps, State

ProfileGraph = CompiledStateGraph[State, Deps, State, State]


def route_critique(state: State, runtime: Runtime[Deps]) -> Literal["revise_profiles", "ground_claims"]:
    """Revise until accepted, no gain, or budget spent."""
    settings = runtime.context.settings.drafting
    if not state["exhausted"] and wants_revision(state["drafts"], state["round"], settings):
        return "revise_profiles"
    return "ground_claims"


def route_grounded(state: State) -> Literal["judge_pairs", "publish_profiles"]:
    """Only pairs are judged."""
    return "judge_pairs" if state.get("item_id") else "publish_profiles"


def build_graph(checkpointer: "BaseCheckpointSaver[Any] | None" = None) -> ProfileGraph:
    """Compile the graph; with a checkpointer a run can be resumed after a kill."""
    graph = StateGraph(State, context_schema=Deps)
    graph.add_node("extract_cues", extract_cues)
    graph.add_node("draft_profiles", draft_profiles)
    graph.add_node("critique_profiles", critique_profiles)
    graph.add_node("revise_profiles", revise_profiles)
    graph.add_node("ground_claims", ground_claims)
    graph.add_node("judge_pairs", judge_pairs)
    graph.add_node("publish_profiles", publish_profiles)
    graph.add_edge(START, "extract_cues")
    graph.add_edge("extract_cues", "draft_profiles")
    graph.add_edge("draft_profiles", "critique_profiles")
    graph.add_conditional_edges("critique_profiles", route_critique)
    graph.add_edge("revise_profiles", "critique_profiles")
    graph.add_conditional_edges("ground_claims", route_grounded)
    graph.add_edge("judge_pairs", "publish_profiles")
    graph.add_edge("publish_profiles", END)
    return graph.compile(checkpointer=checkpointer)
