"""People in a store, embedded or on servers, and a cluster of two nodes on this machine."""

import asyncio
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from limner import Limner
from limner.settings import Settings, load_settings

START = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = ("roses", "compost", "orchids", "comets", "nebulae", "planets", "dinghies", "knots", "harbours")


def events_of(number: int) -> list[dict[str, Any]]:
    """Return seven events of a user, with ids of their own."""
    return [
        {
            "user_id": f"u{number:03}",
            "event_id": f"u{number:03}-{day}",
            "item_id": (word := WORDS[(number + day) % len(WORDS)]),
            "kind": "review",
            "rating": 4.0,
            "at": START + timedelta(days=day),
            "text": f"Lovely {word}, number {number}.",
        }
        for day in range(7)
    ]


@pytest.fixture
def fill() -> Callable[[Settings, int], Any]:
    """A function that puts users and nine items into a store."""

    async def put(settings: Settings, users: int) -> None:
        async with Limner(settings) as limner:
            await limner.add_items([{"item_id": word, "title": word.capitalize()} for word in WORDS])
            await limner.record_many([event for number in range(users) for event in events_of(number)])

    return put


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    """An embedded store, no model, parts of four."""
    return load_settings(store=tmp_path / "store", model="none", embedder="hashing", engine={"part": 4})


@pytest.fixture
def served(embedded: Settings, tmp_path: Path, database_url: str, chroma_server: str) -> Settings:
    """The same on servers."""
    return embedded.model_copy(
        update={
            "store": tmp_path / "beside",
            "database_url": SecretStr(database_url),
            "chroma_url": chroma_server,
            "tenant": f"t{uuid4().hex[:12]}",
        }
    )


@pytest.fixture
def read() -> Callable[[Path], list[dict[str, Any]]]:
    """A function that reads a folder of parts as any reader of Parquet does."""
    parquet: Any = importlib.import_module("pyarrow.parquet")  # ships no types

    def rows(folder: Path) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = parquet.read_table(folder).to_pylist()
        return sorted(found, key=lambda row: row["user_id"])

    return rows


_CLUSTER = """
import sys
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
cluster.add_node(**node)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""

RAY_ENV = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_worker_niceness": "0",
}
"""No statistics; addresses on loopback, which Ray uses elsewhere than on Linux; and workers that are not so polite as to
stand still on a busy machine."""


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """Address of a cluster of two nodes, each with a raylet of its own."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    with subprocess.Popen(
        [sys.executable, "-c", _CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | RAY_ENV,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        address = next((line.strip() for line in lines if line.startswith("127.0.0.1:")), "")
        assert address, "the cluster did not start"
        yield address
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


class Driver:
    """Runs `limner` in a process of its own on the cluster."""

    def __init__(self, settings: Settings, address: str) -> None:
        assert settings.database_url is not None
        self.env = os.environ | RAY_ENV
        self.env |= {
            "LIMNER_STORE": str(settings.store),
            "LIMNER_DATABASE_URL": settings.database_url.get_secret_value(),
            "LIMNER_CHROMA_URL": str(settings.chroma_url),
            "LIMNER_TENANT": settings.tenant,
            "LIMNER_MODEL": settings.model,
            "LIMNER_EMBEDDER": settings.embedder,
            "LIMNER_ENGINE": json.dumps({"address": address, "workers": 2, "part": settings.engine.part}),
        }
        if settings.chat.api_base:
            self.env["LIMNER_CHAT__API_BASE"] = settings.chat.api_base
            self.env["LIMNER_CHAT__CONCURRENCY"] = str(settings.chat.concurrency)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start it."""
        return subprocess.Popen(
            [sys.executable, "-c", "from limner.cli import main; main()", *words],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> dict[str, Any]:
        """Run it to its end and return the document that it prints."""
        process = self.start(*words, "--json")
        out, err = process.communicate(timeout=200)
        assert out, err
        document: dict[str, Any] = json.loads(out)
        return document

    def script(self, code: str) -> str:
        """Run Python and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def driver(ray_cluster: str) -> Callable[[Settings], Driver]:
    """A function that makes a driver for a store."""
    return lambda settings: Driver(settings, ray_cluster)


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """A function that waits until something is so."""

    async def wait(happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(200):
            while not happened():
                await asyncio.sleep(0.02)

    return wait
