"""A thread with an event loop of its own, where tenants are open while somebody else's server runs in another.

Whatever Limner does there, loading an encoder or waiting for a disk, holds up no request of that server's.
"""

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeVar

from ..errors import LimnerError
from ..settings import Settings

if TYPE_CHECKING:
    from ..tools.chat import ChatModel
    from .http.rooms import Rooms

T = TypeVar("T")

PAUSE = 30.0
"""Seconds before something that could not be opened is tried again."""


class ClosedError(LimnerError):
    """What is needed could not be opened lately."""

    code = "closed"


class OpeningError(LimnerError):
    """What is needed cannot be opened for a reason that nobody foresaw; its text holds no user's words."""

    code = "opening"


class Backroom:
    """Opens tenants on the first question and answers questions about them.

    Args:
        settings: What is configured.
        chat: A model to use in place of the one the settings name.
    """

    def __init__(self, settings: Settings, *, chat: "ChatModel | None" = None) -> None:
        self._settings, self._chat = settings, chat
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._opening: asyncio.Task[Rooms] | None = None
        self._closed_until = 0.0
        # It must not keep a process alive that stops; what was acknowledged is durable without it.
        self._thread = threading.Thread(target=self._loop.run_forever, name="limner-backroom", daemon=True)
        self._thread.start()

    def ask(self, work: "Callable[[Rooms], Awaitable[T]]") -> Future[T]:
        """Start work in the other loop.

        Returns:
            Its result. It raises a `ClosedError` where a database or an encoder cannot be opened, for `PAUSE` seconds
            at a time.
        """

        async def run() -> T:
            return await work(await self._open())

        return asyncio.run_coroutine_threadsafe(run(), self._loop)

    def close(self) -> None:
        """Give up what is asked, finish what is being written and close everything; for programs that go on."""
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _finish(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._stack.aclose()

    async def _open(self) -> "Rooms":
        """Return what is open; whoever gives up waiting for that leaves it to go on for the next one."""
        if self._opening is None or (self._opening.done() and self._loop.time() >= self._closed_until):
            self._opening = self._loop.create_task(self._enter())
        elif self._opening.done() and self._opening.exception() is not None:
            raise ClosedError(
                "what could not be opened is tried again in a while"
            ) from self._opening.exception()
        return await asyncio.shield(self._opening)

    async def _enter(self) -> "Rooms":
        from .http.rooms import Rooms

        try:
            rooms = await self._stack.enter_async_context(Rooms(self._settings, chat=self._chat))
        except Exception as error:
            self._closed_until = self._loop.time() + PAUSE
            if isinstance(error, LimnerError):
                raise
            raise OpeningError(
                f"Limner cannot be opened: {type(error).__name__}: {error}; `limner doctor` in the same environment "
                "says more"
            ) from error
        self._closed_until = math.inf
        return rooms
