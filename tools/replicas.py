"""Several servers of one model: the least busy one is asked, one that fails rests, one that has rested is tried by one call."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from .clock import Clock
from .retrying import Failure

FIRST_REST = 1.0
"""Seconds that a server rests after its first failure in a row; twice as long after each further one."""


@dataclass(eq=False)
class Replica:
    """One server."""

    url: str
    """Its base URL."""

    busy: int = 0
    """Calls in flight."""

    failures: int = 0
    """Failures in a row."""

    rests_until: datetime | None = None
    """When it may be tried again; absent for one that is well."""

    def is_resting(self, now: datetime) -> bool:
        """Whether it is not to be asked at all."""
        return self.rests_until is not None and now < self.rests_until


class Replicas:
    """Shares calls out among servers, for one event loop.

    Args:
        urls: Their base URLs; of equally busy ones the first is asked.
        most: Calls in flight at each; who finds all of them taken waits.
        longest: Longest rest in seconds.
        clock: What time it is.
    """

    def __init__(self, urls: Sequence[str], *, most: int, longest: float, clock: Clock) -> None:
        self.servers = tuple(Replica(url) for url in dict.fromkeys(urls))
        self._most, self._longest, self._clock = most, longest, clock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[Replica]:
        """Wait for a place at a server and hold it."""
        while (found := self._pick()) is None:
            await self._turn()
        found.busy += 1
        try:
            yield found
        finally:
            found.busy -= 1
            self._call_up(1)

    def worked(self, server: Replica) -> None:
        """Say that a server answered."""
        if server.rests_until is not None:
            server.rests_until = None
            self._call_up(self._most)
        server.failures = 0

    def failed(self, server: Replica, failure: Failure) -> Failure:
        """Say that a server failed, and return what the caller is to make of it.

        A refused request says nothing of the server. Where another server is well, there is nothing to wait for.
        """
        if not failure.retry:
            return failure
        now = self._clock.now()
        if not server.is_resting(now):  # calls that were in flight together fail together
            server.failures += 1
            rest = failure.retry_after or FIRST_REST * 2 ** (server.failures - 1)
            server.rests_until = now + timedelta(seconds=min(rest, self._longest))
        if any(not other.is_resting(now) for other in self.servers):
            return Failure(reason=failure.reason, retry=True, billed=failure.billed)
        return failure

    async def aclose(self) -> None:
        """Wait for nobody's recovery any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            await asyncio.wait([self._alarm])

    def _pick(self) -> Replica | None:
        now = self._clock.now()
        free = [
            server
            for server in self.servers
            if not server.is_resting(now) and server.busy < (self._most if server.rests_until is None else 1)
        ]
        # A server that has rested is tried first, or it would stay away for as long as the others have room.
        return min(free, key=lambda server: (server.rests_until is None, server.busy), default=None)

    async def _turn(self) -> None:
        """Wait until a place may be free."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._set_alarm()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._call_up(1)
            raise

    def _call_up(self, count: int) -> None:
        while self._waiting and count:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                count -= 1

    def _set_alarm(self) -> None:
        """Call everybody up when the next server has rested."""
        now = self._clock.now()
        ends = [
            server.rests_until for server in self.servers if server.rests_until and server.is_resting(now)
        ]
        if ends and (self._alarm is None or self._alarm.done()):
            self._alarm = asyncio.create_task(self._ring((min(ends) - now).total_seconds()))

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._call_up(len(self._waiting))
