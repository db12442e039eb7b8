"""Limner's questions under Inspect AI, run in a process of its own: loopback answers, logs in an empty folder."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from limner.evals.bench.loopback_server import LoopbackServer

pytest.importorskip("inspect_ai", reason="the extra `evals` is not installed")


DRIVER = """
import json, sys
import limner.evals.inspect_tasks  # makes the provider `litellm` known
from inspect_ai import eval
given = json.loads(sys.argv[1])
eval(**given, display="none", log_format="json", ctl_server=False)
"""


async def inspect(root: Path, folder: Path, task: str, url: str, **arguments: Any) -> dict[str, Any]:
    """Run a task by its file, as `inspect eval` does, and return the log; all is written into the folder."""
    given = {
        "tasks": f"{root / 'evals' / 'inspect_tasks.py'}@{task}",
        "model": "litellm/openai/loopback",
        "model_base_url": url,
        "task_args": arguments,
        "log_dir": str(folder / "logs"),
    }
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", DRIVER, json.dumps(given)]
    own = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "LIMNER_EMBEDDER": "hashing"}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, **own},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    logs = sorted((folder / "logs").glob("*.json"))
    assert process.returncode == 0 and logs, said.decode()
    log: dict[str, Any] = json.loads(logs[-1].read_text(encoding="utf-8"))
    assert log["status"] == "success", log.get("error")
    return log


def accuracy_of(log: Mapping[str, Any]) -> float:
    """Return what Inspect's choice scorer found."""
    [score] = log["results"]["scores"]
    value: float = score["metrics"]["accuracy"]["value"]
    return value


async def test_prefeval_runs_under_inspect_with_limners_own_gateway(
    root: Path, tmp_path: Path, advice: Path
) -> None:
    async with LoopbackServer("B") as server:
        log = await inspect(
            root,
            tmp_path,
            "prefeval",
            server.url,
            data=str(advice),
            condition="history",
        )
        prompts = [request["messages"][-1]["content"] for request in server.requests]

    assert accuracy_of(log) == 0.25  # a constant letter, eight arranged questions
    assert len(prompts) == 8
    assert all("What is known of the person:\nPerson: Hello" in prompt for prompt in prompts)


async def test_next_item_runs_under_inspect_and_shows_words_alone(
    root: Path, tmp_path: Path, shop: Path
) -> None:
    async with LoopbackServer("I cannot say") as server:
        log = await inspect(
            root,
            tmp_path,
            "next_item",
            server.url,
            data=str(shop),
            condition="profile",
            users=4,
        )

    assert accuracy_of(log) == 0.0  # no letter was named
    assert len(log["samples"]) == 4
    for sample in log["samples"]:
        asked = sample["messages"][1]["content"]
        assert sample["choices"]["ABCD".index(sample["target"])] in asked
        assert "B0" not in asked
