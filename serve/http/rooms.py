"""Rooms: one open Limner for each tenant that is being served."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from ...doors import Lent, open_shared
from ...face import Limner
from ...settings import Settings
from .metrics import CountedChat, Metrics

if TYPE_CHECKING:
    from ...tools.chat import ChatModel
    from ...tools.clock import Clock


@dataclass
class _Room:
    """A tenant's open Limner and how many use it."""

    limner: Limner
    guests: int = 0
    ready: asyncio.Lock = field(default_factory=asyncio.Lock)
    opened: bool = False


class Rooms:
    """Keeps tenants open; the least recently used is closed when there are too many.

    Database connections, checkpoints, encoder and model are shared. Use it as a context manager, in the event loop
    that serves.

    Args:
        settings: What is configured; `tenant` is only the tenant of requests without a key.
        chat: A model to use in place of the one the settings name; it stays the caller's to close.
        clock: A source of time; the machine's own if absent.
        metrics: Counts model calls, of all tenants together; new ones if absent.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        chat: "ChatModel | None" = None,
        clock: "Clock | None" = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics()
        self._chat, self._clock = chat, clock
        self._stack = AsyncExitStack()
        self._lent: Lent | None = None
        self._rooms: OrderedDict[str, _Room] = OrderedDict()

    @property
    def brings_model(self) -> bool:
        """Whether a model was given in place of the one that the settings name."""
        return self._chat is not None

    @property
    def clock(self) -> "Clock":
        """What time it is."""
        from ...tools.clock import SystemClock

        return self._clock or SystemClock()

    @property
    def shared(self) -> Lent:
        """What all tenants share.

        Raises:
            RuntimeError: The rooms are not open.
        """
        if self._lent is None:
            raise RuntimeError("the rooms are not open; use `async with Rooms(settings) as rooms:`")
        return self._lent

    @property
    def open_tenants(self) -> int:
        """How many tenants are open."""
        return len(self._rooms)

    async def __aenter__(self) -> Self:
        """Open what is shared, and the tenant of the settings, so that what cannot work fails at once.

        Raises:
            StoreError: The database or the index cannot be opened.
            EncoderChangedError: The index holds vectors of another encoder.
            WeightsMissingError: The encoder's weights are not on disk.
        """
        from ...tools.promotion import with_promoted

        self.settings = with_promoted(self.settings)
        async with AsyncExitStack() as stack:
            lent = await open_shared(self.settings, stack, chat=self._chat)
            self._lent = replace(lent, chat=CountedChat(lent.chat, self.metrics)) if lent.chat else lent
            stack.push_async_callback(self._close_all)
            async with self.limner(self.settings.tenant):
                pass
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Finish what is being written and close everything."""
        await self._stack.aclose()
        self._lent = None

    @asynccontextmanager
    async def limner(self, tenant: str) -> AsyncGenerator[Limner]:
        """Lend a tenant's Limner; it stays open at least as long as it is lent.

        Raises:
            StoreError: The index cannot be opened.
            EncoderChangedError: The index holds vectors of another encoder.
        """
        room = self._rooms.get(tenant)
        if room is None:
            room = self._rooms[tenant] = _Room(self._limner_of(tenant))
        self._rooms.move_to_end(tenant)
        room.guests += 1
        try:
            async with room.ready:
                if not room.opened:
                    await room.limner.__aenter__()
                    room.opened = True
            yield room.limner
        finally:
            room.guests -= 1
            if not room.opened and not room.guests and self._rooms.get(tenant) is room:
                del self._rooms[tenant]
            await self._close_idle(self.settings.serve.tenants_open)

    def _limner_of(self, tenant: str) -> Limner:
        settings = self.settings.model_copy(update={"tenant": tenant, "model": self.settings.model})
        chat = self.shared.chat if self.brings_model else None
        return Limner(settings, chat=chat, clock=self._clock, lent=self.shared)

    async def _close_idle(self, most: int) -> None:
        idle = [tenant for tenant, room in self._rooms.items() if not room.guests]
        # All are taken out before the first is closed: who comes meanwhile must find none that is about to be closed.
        leaving = [self._rooms.pop(tenant) for tenant in idle[: max(0, len(self._rooms) - most)]]
        for room in leaving:
            if room.opened:
                await room.limner.__aexit__(None, None, None)

    async def _close_all(self) -> None:
        for room in self._rooms.values():
            if room.opened:
                await room.limner.__aexit__(None, None, None)
        self._rooms.clear()
