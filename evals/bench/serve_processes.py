"""The processes of the benchmark `serve`: the store is built in this one, each server runs in its own."""

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from ...agents.extract_cues import shelf_name
from ...doors import open_only_store
from ...easel import style_for
from ...settings import NO_MODEL, Settings, load_settings
from ...tools.encoders import open_encoder
from ...tools.gateway import LiteLLMChat
from .core import MeasurementError, Notice, clean_environment
from .serve_world import TENANT, Shelf, World, fill

HOST = "127.0.0.1"
_PLAIN = "limner.evals.bench.serve_plain"
_LIMNER = "from limner.cli import main; main()"
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_SHOWN = 400


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the store of invented users is, and what reads it."""

    folder: Path
    """Folder of the embedded store and of the index; kept between runs."""

    database_url: str | None
    """PostgreSQL; absent for SQLite in the folder."""

    embedder: str
    """Encoder of the questions."""

    model: str
    """Model whose tokens are counted."""

    def settings(self) -> Settings:
        """Return the settings of the store; whatever database the environment names, invented people stay here."""
        read = load_settings(store=self.folder, tenant=TENANT, model=self.model, embedder=self.embedder)
        return Settings.model_validate({**dict(read), "database_url": self.database_url, "chroma_url": None})


async def build(place: Place, world: World, notice: Notice) -> int:
    """Put the invented users into the store as far as they are missing; return how many were.

    Raises:
        StoreError: The store cannot be opened.
        WeightsMissingError: The encoder's weights are not on disk.
    """
    settings = place.settings()
    encoder = open_encoder(settings.embedder, models_dir=settings.models_dir, chat=settings.chat)
    try:
        async with open_only_store(settings) as store:
            return await fill(
                store,
                encoder,
                world,
                await _shelf(settings),
                lambda done: notice(f"inventing users: {done:,} of {world.users:,}"),
            )
    finally:
        await encoder.aclose()


async def _shelf(settings: Settings) -> Shelf:
    """Return where a server with these settings looks for the cues of users."""
    identity: str | None = None
    if settings.model != NO_MODEL:
        chat = LiteLLMChat(settings.model, settings.chat, models_dir=settings.models_dir)
        identity = await asyncio.to_thread(getattr, chat, "identity")
        await chat.aclose()
    style = style_for(settings, own_chat=True)
    return lambda user_id: shelf_name(f"user:{user_id}", identity, style)


class Server(NamedTuple):
    """A server that runs."""

    port: int
    """On loopback."""

    pid: int
    """Its process."""


@contextmanager
def app_server(place: Place) -> Generator[Server]:
    """Run `limner serve` on the store.

    Raises:
        MeasurementError: It does not answer.
    """
    settings = place.settings()
    port = _free_port()
    names = {
        "LIMNER_STORE": str(place.folder),
        "LIMNER_TENANT": TENANT,
        "LIMNER_EMBEDDER": place.embedder,
        "LIMNER_MODEL": place.model,
        "LIMNER_MODELS_DIR": str(settings.models_dir),
    }
    if place.database_url:
        names["LIMNER_DATABASE_URL"] = place.database_url
    command = [sys.executable, "-c", _LIMNER, "serve", "--host", HOST, "--port", str(port)]
    with _running("limner serve", command, port, names) as server:
        yield server


@contextmanager
def plain_server(place: Place) -> Generator[Server]:
    """Run a server that only reads rows of the store.

    Raises:
        MeasurementError: It does not answer.
    """
    port = _free_port()
    given = {
        "folder": str(place.folder),
        "database_url": place.database_url,
        "tenant": TENANT,
        "port": port,
    }
    command = [sys.executable, "-m", _PLAIN, json.dumps(given)]
    with _running("the plain server", command, port, {}) as server:
        yield server


@contextmanager
def _running(name: str, command: Sequence[str], port: int, names: Mapping[str, str]) -> Generator[Server]:
    """Run a server until the block ends."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, env={**clean_environment(), **names}
        )
        try:
            if not _answers(process, port):
                said.seek(0)
                raise MeasurementError(name, f"it does not answer: {said.read()[-_SHOWN:].strip()}")
            yield Server(port, process.pid)
        finally:
            _stop(process)


def _answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Wait for the first answer; false if the process ends or time is up."""
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        connection = HTTPConnection(HOST, port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse()
            return True
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
