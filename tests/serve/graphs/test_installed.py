"""The graphs that `langgraph.json` names open, and run on settings alone."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limner import LimnerSync
from limner.serve.graphs import installed
from limner.settings import Settings


@pytest.fixture
def told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three users in the store that the environment names."""
    monkeypatch.setenv("LIMNER_STORE", str(settings.store))
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    monkeypatch.setenv("LIMNER_MODEL", "none")
    with LimnerSync(settings) as limner:
        limner.add_items([{"item_id": f"i{ix}", "title": f"The book of {ix}"} for ix in range(6)])
        for user in range(3):
            at = "2026-01-05"
            limner.record(
                f"u{user}",
                [{"item_id": f"i{user + step}", "kind": "purchase", "at": at} for step in range(3)],
            )
    yield
    room: Any = installed._backroom  # pyright: ignore[reportPrivateUsage] # closes what the graphs opened
    room().close()
    room.cache_clear()


def test_every_graph_that_is_named_opens(root: Path) -> None:
    named = json.loads((root / "langgraph.json").read_text("utf-8"))["graphs"]

    assert set(named) >= {"assistant", "profile", "rank", "recommend"}
    for path in named.values():
        module, _, name = path.partition(":")
        found = getattr(importlib.import_module(module), name)
        graph: Any = found() if callable(found) else found
        assert graph.get_graph().nodes


def test_langgraphs_own_tool_takes_the_file(root: Path) -> None:
    pytest.importorskip("langgraph_cli", reason="LangGraph's command line is not installed")
    command = [str(Path(sys.executable).parent / "langgraph"), "validate", "-c", str(root / "langgraph.json")]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


async def test_they_run_on_an_input_alone(told: None) -> None:
    drawn = await installed.profile.ainvoke({"user_id": "u0"})
    ranked = await installed.rank.ainvoke({"user_id": "u0", "item_ids": ["i4", "i5"]})
    found = await installed.recommend.ainvoke({"user_id": "u0", "k": 2})

    assert drawn["profile"]["user_id"] == "u0"
    assert {entry["item_id"] for entry in ranked["ranking"]["items"]} == {"i4", "i5"}
    assert len(found["recommendations"]["items"]) == 2
