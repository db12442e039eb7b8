"""Checkpoints: a graph's state survives a process, on SQLite and on PostgreSQL."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, NotRequired, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

from limner.errors import StoreError
from limner.models import Cue
from limner.records import Interaction, Usage
from limner.tools.checkpoints import open_checkpointer

MOMENT = datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
EVENT = Interaction(user_id="u", item_id="i", kind="review", at=MOMENT, text="🗺")
CUE = Cue(cue_id="c", text="maps", polarity="like", facet="maps", evidence=(EVENT.event_id,))
THREAD: RunnableConfig = {"configurable": {"thread_id": "u"}}


@dataclass(frozen=True)
class Draft:
    """A type that only a graph knows."""

    text: str


class State(TypedDict):
    """What the graph keeps."""

    events: NotRequired[list[Interaction]]
    cues: NotRequired[tuple[Cue, ...]]
    usage: Usage
    draft: NotRequired[Draft]


def extract(state: State) -> State:
    return {"cues": (CUE,), "usage": Usage(calls=1), "draft": Draft("maps")}


def stop(state: State) -> NoReturn:
    raise RuntimeError("killed")


def finish(state: State) -> State:
    return {"usage": state["usage"] + Usage(calls=1)}


async def run(saver: BaseCheckpointSaver[Any], events: State | None, *, last: Any = finish) -> dict[str, Any]:
    graph: Any = StateGraph(State)
    graph.add_node("extract", extract)
    graph.add_node("last", last)
    graph.add_edge(START, "extract")
    graph.add_edge("extract", "last")
    graph.add_edge("last", END)
    result: dict[str, Any] = await graph.compile(checkpointer=saver).ainvoke(events, THREAD)
    return result


async def test_a_graph_resumes_with_the_same_objects(
    place: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with open_checkpointer(**place) as saver:
        with pytest.raises(RuntimeError, match="killed"):
            await run(saver, {"events": [EVENT], "usage": Usage()}, last=stop)

    with caplog.at_level(logging.WARNING):
        async with open_checkpointer(**place, state_types=[Draft]) as saver:
            state = await run(saver, None)

    assert state == {"events": [EVENT], "cues": [CUE], "usage": Usage(calls=2), "draft": Draft("maps")}
    assert caplog.records == []


async def test_a_type_nobody_named_does_not_come_back_to_life(place: dict[str, Any]) -> None:
    async with open_checkpointer(**place) as saver:
        await run(saver, {"events": [EVENT], "usage": Usage()})
        kept = await saver.aget(THREAD)

    assert kept is not None
    assert kept["channel_values"]["draft"] == {"text": "maps"}


async def test_a_deleted_thread_is_gone(place: dict[str, Any]) -> None:
    async with open_checkpointer(**place) as saver:
        await run(saver, {"events": [EVENT], "usage": Usage()})
        await run(saver, {"events": [EVENT], "usage": Usage()})

        await saver.adelete_thread("nobody")
        assert (
            len([kept async for kept in saver.alist(THREAD)]) == 8
        )  # two runs: input, start and two nodes each
        await saver.adelete_thread("u")
        assert [kept async for kept in saver.alist(THREAD)] == []


async def test_checkpointers_that_open_at_once_do_not_break(place: dict[str, Any]) -> None:
    async def use(thread: str) -> None:
        async with open_checkpointer(**place) as saver:
            await saver.adelete_thread(thread)

    await asyncio.gather(*(use(f"t{number}") for number in range(5)))


async def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://ann:secret@127.0.0.1:1/limner"

    with pytest.raises(StoreError, match=r"^store postgresql://ann:\*\*\*@127\.0\.0\.1:1/limner: "):
        async with open_checkpointer(folder=tmp_path, database_url=url):
            pass


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints.db").write_text("not a database, but long enough to have a header " * 10)

    with pytest.raises(StoreError, match=r"checkpoints\.db: file is not a database; check the file"):
        async with open_checkpointer(folder=tmp_path, database_url=None):
            pass


async def test_an_error_inside_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_checkpointer(folder=tmp_path / "new", database_url=None):
            _ = 1 / 0
