"""The recommending graph: score the catalogue, let a model foresee if asked, choose, rank again by pairs if asked, explain.

It is not checkpointed: scores are made in a moment, and answers of models and pairs are durable in the store, so a
recommendation that was killed is asked again and pays for nothing twice.
"""

from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from .choose_items import choose_items
from .explain_items import explain_items
from .recommend_state import RecommendDeps, RecommendState
from .rerank_items import rerank_items
from .score_catalogue import score_catalogue
from .write_next_items import write_next_items

RecommendGraph = CompiledStateGraph[RecommendState, RecommendDeps, RecommendState, RecommendState]


def route_scored(state: RecommendState) -> Literal["write_next_items", "choose_items"]:
    """Let the model write only if somebody wants to."""
    return "write_next_items" if state["wanted"].generate else "choose_items"


def route_chosen(state: RecommendState) -> Literal["rerank_items", "explain_items"]:
    """Rank by pairs only if somebody wants to."""
    return "rerank_items" if state["wanted"].rerank else "explain_items"


def build_recommend_graph() -> RecommendGraph:
    """Compile the graph."""
    graph = StateGraph(RecommendState, context_schema=RecommendDeps)
    graph.add_node("score_catalogue", score_catalogue)
    graph.add_node("write_next_items", write_next_items)
    graph.add_node("choose_items", choose_items)
    graph.add_node("rerank_items", rerank_items)
    graph.add_node("explain_items", explain_items)
    graph.add_edge(START, "score_catalogue")
    graph.add_conditional_edges("score_catalogue", route_scored)
    graph.add_edge("write_next_items", "choose_items")
    graph.add_conditional_edges("choose_items", route_chosen)
    graph.add_edge("rerank_items", "explain_items")
    graph.add_edge("explain_items", END)
    return graph.compile()
