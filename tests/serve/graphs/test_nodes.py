"""Nodes of message graphs: where the context stands, that it does not pile up, and what is recorded."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph

from limner import Limner
from limner.serve.graphs.nodes import STABLE_ID, VOLATILE_ID, add_context, record_turn
from limner.tools.clock import ManualClock

LATER = datetime(2030, 1, 1, tzinfo=UTC)

Draw = Callable[[str], Awaitable[None]]
Graph = CompiledStateGraph[Any, Any, Any, Any]


@dataclass
class Asked:
    """Runtime context of an app that names its user there."""

    user_id: str


class Ears:
    """A model that answers `Yes.` and keeps what it was given."""

    def __init__(self) -> None:
        self.heard: list[list[BaseMessage]] = []

    async def answer(self, state: MessagesState) -> dict[str, Any]:
        """Answer, as a node."""
        self.heard.append(list(state["messages"]))
        return {"messages": [AIMessage("Yes.")]}


def build(limner: Limner, ears: Ears) -> Graph:
    graph = StateGraph(MessagesState, context_schema=Asked)
    graph.add_node("add_context", add_context(limner, max_tokens=200))
    graph.add_node("model", ears.answer)
    graph.add_node("record_turn", record_turn(limner))
    graph.add_edge(START, "add_context")
    graph.add_edge("add_context", "model")
    graph.add_edge("model", "record_turn")
    graph.add_edge("record_turn", END)
    return graph.compile(checkpointer=InMemorySaver())


def config(user_id: str | None = "ada", thread: str = "t") -> RunnableConfig:
    named = {} if user_id is None else {"user_id": user_id}
    return {"configurable": {"thread_id": thread, **named}}


async def say(graph: Graph, *messages: BaseMessage, **named: Any) -> None:
    await graph.ainvoke({"messages": list(messages)}, config(**named))


async def said(limner: Limner, user_id: str) -> list[str]:
    return [
        event.text or "" for event in await limner.history(user_id, as_of=LATER) if event.kind == "message"
    ]


async def test_the_context_stands_where_it_is_cached_and_does_not_pile_up(limner: Limner, draw: Draw) -> None:
    await draw("ada")
    ears = Ears()
    graph = build(limner, ears)

    await say(graph, SystemMessage("Be kind."), HumanMessage("Which roses?"))
    await say(graph, HumanMessage("How much water?"))

    first, second = ears.heard
    assert [message.id in (STABLE_ID, VOLATILE_ID) for message in first] == [False, True, True, False]
    assert [(message.type, message.text) for message in second if message.id != VOLATILE_ID] == [
        ("system", "Be kind."),
        ("system", first[1].text),
        ("human", "Which roses?"),
        ("ai", "Yes."),
        ("human", "How much water?"),
    ]
    assert [message.id for message in second].index(VOLATILE_ID) == 4
    assert "roses" in first[1].text


@pytest.mark.parametrize("named", ["configurable", "context", "nowhere"])
async def test_the_user_comes_from_the_configuration_or_the_runtimes_context(
    named: str, limner: Limner, draw: Draw
) -> None:
    await draw("ada")
    ears = Ears()
    user_id, context = (
        ("ada" if named == "configurable" else None),
        (Asked("ada") if named == "context" else None),
    )

    await build(limner, ears).ainvoke(
        {"messages": [HumanMessage("Which roses?")]}, config(user_id), context=context
    )

    assert (len(ears.heard[0]) == 3) == (named != "nowhere")
    assert await said(limner, "ada") == ([] if named == "nowhere" else ["Which roses?"])


async def test_the_context_can_go_to_a_key_of_its_own(limner: Limner, draw: Draw) -> None:
    class State(MessagesState):
        llm_input_messages: list[BaseMessage]

    await draw("ada")
    builder = StateGraph(State)
    builder.add_node("add_context", add_context(limner, into="llm_input_messages"))
    builder.add_edge(START, "add_context")
    graph: Graph = builder.compile()

    for user_id, expected in (("ada", 3), (None, 1)):
        done = await graph.ainvoke({"messages": [HumanMessage("Which roses?")]}, config(user_id))
        assert [message.text for message in done["messages"]] == ["Which roses?"]
        assert len(done["llm_input_messages"]) == expected


async def test_a_turn_is_recorded_once_however_often_the_graph_runs(
    limner: Limner, clock: ManualClock
) -> None:
    graph = build(limner, Ears())
    turn = HumanMessage("I love roses.", id="m1")

    await say(graph, turn)
    clock.advance(60)
    await say(graph, turn)  # a client that sends it again
    await graph.ainvoke(None, config())
    clock.advance(60)
    await say(graph, HumanMessage("I love roses.", id="m2"))
    await say(graph, HumanMessage([{"type": "text", "text": "I hate lilies."}], id="m1"), thread="other")

    assert await said(limner, "ada") == ["I love roses.", "I love roses.", "I hate lilies."]


async def test_only_the_users_own_words_are_recorded(limner: Limner, draw: Draw) -> None:
    await draw("ada")

    await say(
        build(limner, Ears()),
        SystemMessage("Be kind."),
        HumanMessage("An old turn."),
        AIMessage("Indeed."),
        HumanMessage("I love roses."),
        HumanMessage("And ferns."),
    )

    assert sorted(await said(limner, "ada")) == ["And ferns.", "I love roses."]
