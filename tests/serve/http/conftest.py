"""The API as an app in this process: a real store and index in a folder, only the model is scripted."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from limner.serve.http.app import create_app
from limner.serve.http.rooms import Rooms
from limner.settings import Settings, load_settings
from limner.tools.chat import ChatRequest
from limner.tools.clock import ManualClock
from limner.tools.keys import KeyRing
from limner.tools.scripted import Scripted, ScriptedChat

START = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = ("roses", "compost", "orchids", "comets", "nebulae", "planets", "dinghies", "knots", "harbours")


def answer(request: ChatRequest) -> Scripted:
    """Note nothing and write one sentence that the first entry of everybody supports."""
    if request.purpose == "extract_cues":
        return {"cues": []}
    if request.purpose == "draft_pair":
        return {
            "user_cue": "roses",
            "user_instruction": "Say what roses mean.",
            "user_profile": "Enjoys roses.",
            "item_cue": "roses",
            "item_instruction": "Say whom roses suit.",
            "item_profile": "Suits people who like roses.",
        }
    return {"likes": [{"evidence": ["e1"], "theme": "roses", "sentence": "Enjoys roses."}]}


@dataclass
class Server:
    """An app that runs, and a client that talks to it."""

    app: FastAPI
    client: httpx.AsyncClient
    rooms: Rooms
    chat: ScriptedChat
    clock: ManualClock

    async def key(self, tenant: str = "default", role: str = "admin") -> dict[str, str]:
        """Make a key and return the header that shows it."""
        _, words = await KeyRing(self.rooms.shared.store.engine, self.clock).add(tenant, role)
        return {"Authorization": f"Bearer {words}"}

    async def fill(self, *users: str, headers: dict[str, str] | None = None) -> None:
        """Put nine items and nine events of each user into a tenant."""
        items = [{"item_id": word, "title": word.capitalize(), "tags": [word]} for word in WORDS]
        assert (
            await self.client.post("/v1/items", json={"items": items}, headers=headers)
        ).status_code == 200
        for user in users:
            answered = await self.client.post(
                f"/v1/users/{user}/events", json={"events": happened(user)}, headers=headers
            )
            assert answered.json() == {"added": 9, "repeated": 0, "forgotten": 0}


def happened(user: str) -> list[dict[str, Any]]:
    """Return nine purchases, a day apart."""
    return [
        {
            "item_id": word,
            "kind": "purchase",
            "at": (START + timedelta(days=day)).isoformat(),
            "event_id": f"{user}-{day}",
            "text": f"by {user}",
        }
        for day, word in enumerate(WORDS)
    ]


Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
def events() -> Callable[[str], list[dict[str, Any]]]:
    """Nine purchases of a user, a day apart, from 2026-03-01."""
    return happened


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A store in a folder, an encoder without weights, one draft a portrait."""
    return load_settings(store=tmp_path / "store", embedder="hashing", drafting={"drafts": 1, "rounds": 0})


@pytest.fixture
async def start(settings: Settings) -> AsyncIterator[Serve]:
    """Start an app; `serve` replaces its settings, `keyed` has a key made first."""
    stack = AsyncExitStack()

    async def start_it(
        *, serve: dict[str, Any] | None = None, keyed: bool = False, script: Any = answer, **groups: Any
    ) -> Server:
        chosen = load_settings(**{**dict(settings), **groups, "serve": serve or {}})
        chat, clock = ScriptedChat(script), ManualClock(START + timedelta(days=60))
        rooms = await stack.enter_async_context(Rooms(chosen, chat=chat, clock=clock))
        if keyed:
            await KeyRing(rooms.shared.store.engine, clock).add("nobody", "read")
        app = create_app(chosen, rooms=rooms)
        await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app=app)
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
        )
        return Server(app, client, rooms, chat, clock)

    async with stack:
        yield start_it


@pytest.fixture
async def server(start: Serve) -> Server:
    """An empty server without keys."""
    return await start()


@pytest.fixture
async def client(server: Server) -> httpx.AsyncClient:
    """A client of an empty server without keys."""
    return server.client


SETTINGS = 'model = "none"\nembedder = "hashing"\n'
StartProcess = Callable[..., tuple[subprocess.Popen[str], str, str]]


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[StartProcess]:
    """Start `limner serve` in a folder; returns the process, its address, and what it printed."""
    (tmp_path / "limner.toml").write_text(SETTINGS)
    running: list[subprocess.Popen[str]] = []

    def start_it(*options: str) -> tuple[subprocess.Popen[str], str, str]:
        program = "from limner.cli import main; main()"
        command = [sys.executable, "-c", program, "serve", "--port", "0", *options]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stderr is not None
        printed = ""
        while "Next:" not in printed:
            line = process.stderr.readline()
            assert line, printed
            printed += line
        [base] = re.findall(r"^Limner serves at (\S+)$", printed, re.MULTILINE)
        return process, base, printed

    yield start_it
    for process in running:
        process.kill()
        process.communicate()
