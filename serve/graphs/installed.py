"""Graphs for LangGraph's own tools, which find them by `langgraph.json`: they run with nothing but an input.

`profile`, `rank` and `recommend` ask Limner's verbs; what those run inside is `profile_machine`, `rank_machine` and
`recommend_machine`, to be looked at. `assistant` is a chat that knows its user: give it `user_id` as configurable.
Settings come from the environment and `limner.toml`, and are read when a graph first runs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, TypeVar

from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph

from ...agents.graph import ProfileGraph, build_graph
from ...agents.ranking.rank_graph import RankGraph, build_rank_graph
from ...agents.recommend.recommend_graph import RecommendGraph, build_recommend_graph
from ...settings import load_settings
from ..backroom import Backroom
from .nodes import Node, add_context, answer, record_turn

if TYPE_CHECKING:
    from ...contexts import Context, Heard
    from ...face import Limner
    from ..http.rooms import Rooms

T = TypeVar("T")
Graph = CompiledStateGraph[Any, Any, Any, Any]


class AskedProfile(TypedDict):
    """Whose portrait."""

    user_id: str


class Drawn(AskedProfile, total=False):
    """The portrait, as on the wire."""

    profile: dict[str, Any]


class AskedRanking(TypedDict):
    """For whom which items are ranked."""

    user_id: str
    item_ids: list[str]


class Ranked(AskedRanking, total=False):
    """The ranking, as on the wire."""

    ranking: dict[str, Any]


class AskedItems(TypedDict):
    """To whom how many items are recommended; ten if not said."""

    user_id: str
    k: NotRequired[int]


class Recommended(AskedItems, total=False):
    """The recommendations, as on the wire."""

    recommendations: dict[str, Any]


class _Shared:
    """An open Limner in a thread of its own, for graphs that run in anybody's event loop."""

    async def context(self, user_id: str, query: str | None = None, *, max_tokens: int = 400) -> "Context":
        return await _ask(lambda limner: limner.context(user_id, query, max_tokens=max_tokens))

    async def listen(
        self, user_id: str, messages: Sequence[Mapping[str, Any]], *, conversation_id: str | None = None
    ) -> "Heard":
        return await _ask(lambda limner: limner.listen(user_id, messages, conversation_id=conversation_id))


async def _ask(work: "Callable[[Limner], Awaitable[T]]") -> T:
    async def run(rooms: "Rooms") -> T:
        async with rooms.limner(rooms.settings.tenant) as limner:
            return await work(limner)

    return await asyncio.wrap_future((await asyncio.to_thread(_backroom)).ask(run))


@cache
def _backroom() -> Backroom:
    return Backroom(load_settings())


async def _draw(state: AskedProfile) -> dict[str, Any]:
    profile = await _ask(lambda limner: limner.profile(state["user_id"]))
    return {"profile": profile.model_dump(mode="json")}


async def _rank(state: AskedRanking) -> dict[str, Any]:
    ranking = await _ask(lambda limner: limner.rank(state["user_id"], state["item_ids"]))
    return {"ranking": ranking.model_dump(mode="json")}


async def _recommend(state: AskedItems) -> dict[str, Any]:
    found = await _ask(lambda limner: limner.recommend(state["user_id"], k=state.get("k", 10)))
    return {"recommendations": found.model_dump(mode="json")}


async def _say(state: MessagesState) -> dict[str, Any]:
    return await _ask(lambda limner: answer(limner)(state))


def _one_step(asked: type, done: type, name: str, node: Node) -> Graph:
    graph: StateGraph[Any, Any, Any, Any] = StateGraph(done, input_schema=asked)
    graph.add_node(name, node)
    graph.add_edge(START, name)
    graph.add_edge(name, END)
    return graph.compile(name=name)


def _assistant() -> Graph:
    shared = _Shared()
    graph = StateGraph(MessagesState)
    graph.add_node("add_context", add_context(shared))
    graph.add_node("answer", _say)
    graph.add_node("record_turn", record_turn(shared))
    graph.add_edge(START, "add_context")
    graph.add_edge("add_context", "answer")
    graph.add_edge("answer", "record_turn")
    graph.add_edge("record_turn", END)
    return graph.compile(name="assistant")


def profile_machine() -> ProfileGraph:
    """Return the graph that draws a portrait; it needs its dependencies as context."""
    return build_graph()


def rank_machine() -> RankGraph:
    """Return the graph that ranks by pairs; it needs its dependencies as context."""
    return build_rank_graph()


def recommend_machine() -> RecommendGraph:
    """Return the graph that recommends; it needs its dependencies as context."""
    return build_recommend_graph()


profile = _one_step(AskedProfile, Drawn, "profile", _draw)
rank = _one_step(AskedRanking, Ranked, "rank", _rank)
recommend = _one_step(AskedItems, Recommended, "recommend", _recommend)
assistant = _assistant()
