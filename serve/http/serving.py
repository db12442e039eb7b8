"""Run the server: take a port, say what is there, answer until told to stop, and finish what was begun."""

import asyncio
import multiprocessing
import shlex
import signal
import socket
import threading
import time
import webbrowser
from collections.abc import Callable, Generator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import NamedTuple
from urllib.parse import quote

import uvicorn
from starlette.types import ASGIApp

from ...errors import SettingsError
from ...settings import Settings
from .app import create_app
from .gate import open_gate
from .rooms import Rooms

Notice = Callable[[str], None]

BACKLOG = 2048
"""Connections that may wait to be taken."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LOOK = 0.5
"""Seconds from one look at the processes to the next."""

_YOUNG = 10.0
"""Seconds of life below which a process that ended is not replaced."""


class Found(NamedTuple):
    """What a server finds when it starts."""

    keyed: bool
    """Whether callers need a key."""

    user_id: str | None
    """The first user of the settings' tenant; absent if there is none."""


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever started it, so that what is open around it is closed in order."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Do nothing."""
        yield


async def serve_here(settings: Settings, notice: Notice, *, browse: bool = False) -> None:
    """Serve in this process until SIGINT or SIGTERM, then finish the requests under way and close.

    Args:
        settings: What is configured.
        notice: Called with lines for whoever started it.
        browse: Whether to open the gallery in a browser.

    Raises:
        SettingsError: It could be reached from other machines and there is no key, or the port is taken.
        StoreError: The database or the index cannot be opened.
    """
    async with Rooms(settings) as rooms:
        found = await look_around(rooms)
        taken = listen(settings.serve.host, settings.serve.port)
        _welcome(settings, url_of(taken), found, notice, browse=browse)
        await answer(create_app(settings, rooms=rooms), settings, taken)


async def answer(app: ASGIApp, settings: Settings, taken: socket.socket) -> None:
    """Answer on a port until a signal says to stop."""
    config = uvicorn.Config(
        app,
        backlog=BACKLOG,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, int(settings.serve.drain)),
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, server.handle_exit, number, None)
    try:
        await server.serve(sockets=[taken])
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def check_workers(settings: Settings) -> Found:
    """Make sure that several processes can serve, before any is started; return what they will find.

    Raises:
        SettingsError: They need a database and an index that several processes may use, or there is no key.
        StoreError: The database or the index cannot be opened.
    """
    if settings.database_url is None or settings.chroma_url is None:
        raise SettingsError(
            "serve.workers",
            f"{settings.serve.workers} processes need `database_url` (PostgreSQL) and `chroma_url` (a Chroma server): "
            "an embedded index belongs to one process; set both, or serve with one worker",
        )
    async with Rooms(settings) as rooms:
        return await look_around(rooms)


def serve_with_workers(settings: Settings, found: Found, notice: Notice, *, browse: bool = False) -> None:
    """Serve in several processes until SIGINT or SIGTERM, after `check_workers` told what they will find.

    A process that ends by itself is replaced, unless it ended right after its start.

    Raises:
        SettingsError: The port is taken, or a process did not come up.
    """
    taken = listen(settings.serve.host, settings.serve.port)
    _welcome(settings, url_of(taken), found, notice, browse=browse)
    stopping = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in _SIGNALS}
    workers = [_Worker(settings, taken) for _ in range(settings.serve.workers)]
    try:
        while not stopping.wait(_LOOK):
            for worker in workers:
                worker.keep_up()
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def _welcome(settings: Settings, base: str, found: Found, notice: Notice, *, browse: bool) -> None:
    for line in greeting(settings, base, found):
        notice(line)
    if browse:
        webbrowser.open(f"{base}/gallery")


class _Worker:
    """One of several processes."""

    def __init__(self, settings: Settings, taken: socket.socket) -> None:
        self._settings, self._taken = settings, taken
        self.process = self._start()

    def keep_up(self) -> None:
        """Replace the process if it has ended.

        Raises:
            SettingsError: It ended right after its start; another would too.
        """
        if self.process.is_alive():
            return
        if time.monotonic() - self._started < _YOUNG:
            raise SettingsError("serve.workers", "a process ended right after its start; its words say why")
        self.process = self._start()

    def _start(self) -> BaseProcess:
        self._started = time.monotonic()
        # A fork would share connections and threads.
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(self._settings, self._taken), name="limner-worker"
        )
        process.start()
        return process


def _work(settings: Settings, taken: socket.socket) -> None:
    """Be one of several processes."""

    async def serve() -> None:
        async with Rooms(settings) as rooms:
            await answer(create_app(settings, rooms=rooms), settings, taken)

    asyncio.run(serve())


async def look_around(rooms: Rooms) -> Found:
    """Return what a server that is about to start will find.

    Raises:
        SettingsError: It could be reached from other machines, and there is no key.
    """
    gate = await open_gate(rooms.settings, rooms)
    async with rooms.limner(rooms.settings.tenant) as limner:
        return Found(keyed=not gate.open_to_all, user_id=await anext(limner.users(), None))


def greeting(settings: Settings, base: str, found: Found) -> list[str]:
    """Return what to say when the server is up: where things are, and what to type next."""
    access = (
        "Callers need a key; `limner keys add` makes one."
        if found.keyed
        else f"No key is needed: it answers to this machine alone, for tenant {settings.tenant!r}."
    )
    several = settings.serve.workers > 1
    return [
        f"Limner serves at {base}",
        f"  gallery  {base}/gallery",
        f"  API      {base}/docs",
        *([f"  {settings.serve.workers} processes share the port; Ctrl-C ends all."] if several else []),
        f"  {access}",
        f"Next: {shlex.join(_first_call(base, found))}",
    ]


def _first_call(base: str, found: Found) -> list[str]:
    """Return a line that works: with a key nobody knows here whose tenant it opens, so it names no user."""
    if found.keyed:
        return ["curl", "-H", "Authorization: Bearer KEY", f"{base}/v1/counts"]
    if found.user_id is not None:
        return ["curl", f"{base}/v1/users/{quote(found.user_id, safe='')}/context"]
    event = '{"events": [{"kind": "message", "at": "2026-01-05", "text": "I love sailing."}]}'
    return ["curl", "-H", "Content-Type: application/json", "-d", event, f"{base}/v1/users/ada/events"]


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Raises:
        SettingsError: It cannot be had.
    """
    taken: socket.socket | None = None
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        taken = socket.socket(family)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen(BACKLOG)  # whoever comes while the app is being put together waits
    except OSError as error:
        if taken:
            taken.close()
        raise SettingsError(
            "serve.port",
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another with `--port`",
        ) from error
    return taken


def url_of(taken: socket.socket) -> str:
    """Return the address of a port that was taken."""
    host, port = taken.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
