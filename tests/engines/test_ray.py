"""The engine `ray` on a cluster of two nodes: the same rows, once each, whoever is killed meanwhile."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from limner import Limner
from limner.cli import app
from limner.evals.bench.loopback_server import LoopbackServer
from limner.evals.bench.server import plausible
from limner.evals.result_files import load_result
from limner.settings import Settings

Fill = Callable[[Settings, int], Any]
Read = Callable[[Path], list[dict[str, Any]]]
Wait = Callable[[Callable[[], bool]], Awaitable[None]]

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(500)]  # processes start slowly on a busy machine


def _actors() -> list[int]:
    """Return the processes of the pipeline's actors."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and b"MapWorker(" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:  # ended meanwhile
            continue
    return found


def _calls(settings: Settings, server: LoopbackServer) -> Settings:
    """Return settings that draw with the server, in few calls."""
    chat = settings.chat.model_copy(update={"api_base": server.url, "concurrency": 2})
    return settings.model_copy(update={"model": "openai/any", "chat": chat})


async def test_a_killed_driver_and_a_killed_worker_lose_and_double_nothing(
    served: Settings,
    fill: Fill,
    read: Read,
    driver: Callable[[Settings], Any],
    wait_for: Wait,
    tmp_path: Path,
) -> None:
    await fill(served, 240)  # sixty parts
    limner, out = driver(served), tmp_path / "out"
    words = ("profile", "--all", "--engine", "ray", "--out", str(out))

    first = limner.start(*words)
    await wait_for(lambda: first.poll() is not None or len(list(out.glob("part-*"))) >= 2)
    first.kill()
    await asyncio.to_thread(first.communicate)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert 2 <= len(before) < 60
    await wait_for(lambda: not _actors())
    second = limner.start(*words, "--json")
    await wait_for(lambda: second.poll() is not None or len(list(out.glob("part-*"))) > len(before))
    assert second.poll() is None, second.communicate()
    [victim, *_] = _actors()
    os.kill(victim, signal.SIGKILL)
    assert len(list(out.glob("part-*"))) < 60
    said, told = await asyncio.to_thread(second.communicate, timeout=100)

    rows = read(out)
    assert second.returncode == 0, told
    assert json.loads(said)["skipped"] == len(before)
    assert [row["user_id"] for row in rows] == [f"u{number:03}" for number in range(240)]
    assert {row["error"] for row in rows} == {None}
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    async with Limner(served) as reader:
        versions = [await reader.doors.store.profile_versions(row["user_id"]) for row in rows]
    assert {len(each) for each in versions} == {1}


async def test_workers_share_a_budget_that_is_not_passed(
    served: Settings, fill: Fill, read: Read, driver: Callable[[Settings], Any], tmp_path: Path
) -> None:
    await fill(served, 24)  # six parts
    words = ("profile", "--all", "--drafts", "1", "--rounds", "0", "--out", str(tmp_path / "out"))
    async with LoopbackServer(plausible) as server:
        limner = driver(_calls(served, server))
        few = ("--engine", "ray", "--budget-calls", "20")
        report = await asyncio.to_thread(lambda: limner.run(*words, *few))
        asked = server.count
        drafting = served.drafting.model_copy(update={"drafts": 1, "rounds": 0})
        own = _calls(served, server).model_copy(update={"drafting": drafting})
        async with Limner(own) as here:  # the other engine goes on in the same folder
            rest = await here.profiles_to(tmp_path / "out", budget=1000)

    assert asked <= 20
    assert report["left"] > 0
    assert (rest.left, rest.skipped) == (0, 6 - report["left"])
    assert [row["user_id"] for row in read(tmp_path / "out")] == [f"u{number:03}" for number in range(24)]


_VERBS = """
import asyncio, json, sys
from datetime import UTC, datetime
from pathlib import Path
import ray
from limner import Limner
from limner.cli import app
from limner.settings import load_settings

async def main():
    async with Limner() as limner:
        moment = datetime(2026, 6, 1, tzinfo=UTC)
        report = await limner.recommend_to(Path("next"), k=3, as_of=moment, explain=True, engine="ray")
        refreshed = await limner.refresh(as_of=moment, engine="ray")
        return report.rows, refreshed.portraits, refreshed.failed

ray.init(address=load_settings().engine.address, log_to_driver=False)
print(json.dumps(asyncio.run(main())))
app(["eval", "sequential", "--data", "ring", "--system", "popularity", "--system", "bigram", "--out", "results",
     "--engine", "ray"], standalone_mode=False)
"""


async def test_recommendations_refreshes_and_evaluations_are_those_of_this_process(
    served: Settings, fill: Fill, read: Read, driver: Callable[[Settings], Any], ring: Path, tmp_path: Path
) -> None:
    """In one driver, which stays in the cluster that it joined."""
    await fill(served, 9)
    limner = driver(served)
    limner.env["LIMNER_GROUPS"] = json.dumps({"portraits": True, "minimum": 2})

    told = await asyncio.to_thread(lambda: limner.script(_VERBS))
    async with Limner(served) as here:
        moment = datetime(2026, 6, 1, tzinfo=UTC)
        await here.recommend_to(tmp_path / "here", k=3, as_of=moment, explain=True)
        drawn = [await here.stored_profile(f"u00{number}") for number in range(9)]
    own = ["eval", "sequential", "--data", str(ring), "--system", "popularity", "--system", "bigram", "--out"]
    assert CliRunner().invoke(app, [*own, str(tmp_path / "own")]).exit_code == 0

    assert json.loads(told.splitlines()[0]) == [9, 9, 0], told
    assert None not in drawn
    assert read(tmp_path / "next") == read(tmp_path / "here")
    results = [
        [load_result(path).rows for path in sorted((tmp_path / name).glob("*.json"))]
        for name in ("results", "own")
    ]
    assert len(results[0]) == 2
    assert results[0] == results[1]
