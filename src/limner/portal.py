"""What the synchronous twin stands on: an event loop in a thread, and calls into it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from .face import Limner
from .settings import Settings

if TYPE_CHECKING:
    from .tools.chat import ChatModel
    from .tools.clock import Clock

T = TypeVar("T")


class Portal:
    """Runs the verbs of `Limner` for code without an event loop; arguments as of `Limner`."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        chat: "ChatModel | None" = None,
        clock: "Clock | None" = None,
        rebuild_index: bool = False,
    ) -> None:
        self._limner = Limner(settings, chat=chat, clock=clock, rebuild_index=rebuild_index)
        self._starting: AbstractContextManager[BlockingPortal] | None = None
        self._running: BlockingPortal | None = None

    @property
    def settings(self) -> Settings:
        """Everything that was configured."""
        return self._limner.settings

    def __enter__(self) -> Self:
        """Open store, index and models."""
        self._starting = start_blocking_portal()
        self._running = self._starting.__enter__()
        try:
            self._running.call(self._limner.__aenter__)
        except BaseException as error:
            self._starting.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        """Finish what is being written and close everything."""
        assert self._starting is not None, "opened by `with`"
        try:
            self._portal.call(self._limner.__aexit__, None, None, None)
        finally:
            self._running = None
            self._starting.__exit__(None, None, None)

    def _call(self, make: Callable[[], Awaitable[T]]) -> T:
        async def call() -> T:
            return await make()

        return self._portal.call(call)

    def _iterate(self, stream: AsyncIterator[T]) -> Iterator[T]:
        """Pull an asynchronous generator from this thread, and close it if the caller stops early."""

        async def step() -> list[T]:
            async for entry in stream:
                return [entry]
            return []

        try:
            while found := self._portal.call(step):
                yield found[0]
        finally:
            closing: Any = stream
            self._portal.call(closing.aclose)

    @property
    def _portal(self) -> BlockingPortal:
        if self._running is None:
            raise RuntimeError("LimnerSync is not open; use `with LimnerSync() as limner:`")
        return self._running
