"""The life of a child: open the store, do what is told, answer, and perhaps die at a point."""

import asyncio
import resource
import sqlite3
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ...doors import open_only_store
from ...face import Limner
from ...settings import Settings
from .acts import Acts, Outside, ToldClock, failure, record_beside
from .death import Death
from .herd import Line

Doing = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


def live(line: Line, settings: Settings, outside: Mapping[str, Outside]) -> None:
    """Be the process that has the store open whole."""
    asyncio.run(_Life(line, settings, outside).go())


def live_beside(line: Line, settings: Settings) -> None:
    """Be the process that only records."""
    asyncio.run(_Life(line, settings, {}).go_beside())


def read_slowly(line: Line, database: Path, seconds: float) -> None:
    """Hold a transaction that reads, for a while."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN")
    rows = connection.execute("SELECT data FROM rollouts UNION ALL SELECT text FROM interactions")
    until = time.monotonic() + seconds
    while time.monotonic() < until and rows.fetchone():
        time.sleep(0.01)
    connection.close()


class _Life:
    """One process."""

    def __init__(self, line: Line, settings: Settings, outside: Mapping[str, Outside]) -> None:
        self._line, self._settings, self._outside = line, settings, outside
        self._death, self._clock = Death(), ToldClock()
        self._death.listen()
        self._told: dict[str, Any] = {}

    async def go(self) -> None:
        """Open when told to, then act until nobody tells any more."""
        opened = await self._opened(self._open)
        if opened is not None:
            async with opened as acts:
                await self._act(
                    {
                        "items": acts.items,
                        "record": acts.record,
                        "import": acts.read_file,
                        "profile": acts.profile,
                        "refresh": acts.refresh,
                        "export": acts.export,
                        "forget": acts.forget,
                        "reindex": acts.reindex,
                        "encoder": acts.encoder,
                        "draw_all": acts.draw_all,
                        **{name: partial(acts.outside, work) for name, work in self._outside.items()},
                    }
                )

    async def go_beside(self) -> None:
        """Open only the store when told to, then record until nobody tells any more."""
        opened = await self._opened(lambda _: open_only_store(self._settings))
        if opened is not None:
            async with opened as store:
                await self._act({"record": lambda told: record_beside(store, told, self._acknowledge)})

    @asynccontextmanager
    async def _open(self, told: Mapping[str, Any]) -> AsyncGenerator[Acts]:
        async with Limner(self._settings, clock=self._clock, rebuild_index=told["rebuild"]) as limner:
            self._death.arm(None)
            yield Acts(limner, self._clock, self._acknowledge)

    async def _opened(self, open_it: Callable[[Mapping[str, Any]], Any]) -> Any:
        """Open as the first line tells; say how that went, and return it open if it went well."""
        told = await self._hear()
        if told is None:
            return None
        manager = open_it(told)
        try:
            held = await manager.__aenter__()
        except Exception as error:  # noqa: BLE001 - whoever tells wants to know, whatever it is
            traceback.print_exc()
            self._answer(failure(error))
            return None
        self._answer({"points": self._death.points})
        return _Held(manager, held)

    async def _act(self, acts: Mapping[str, Doing]) -> None:
        while (told := await self._hear()) is not None:
            began = time.monotonic()
            try:
                with _little_room(told.get("room")):
                    answer = await acts[told["act"]](told)
                answer = {"result": answer}
            except Exception as error:  # noqa: BLE001 - whoever tells wants to know, whatever it is
                traceback.print_exc()
                answer = failure(error)
            points = self._death.points
            self._death.arm(None)
            self._answer({**answer, "points": points, "seconds": time.monotonic() - began})

    async def _hear(self) -> dict[str, Any] | None:
        told = await asyncio.to_thread(self._line.read)
        if told is not None:
            self._told = told
            self._clock.set(datetime.fromisoformat(told["now"]))
            self._death.arm(told.get("die_at"))
        return told

    def _acknowledge(self, number: int) -> None:
        self._line.say({"number": self._told["number"], "part": number})

    def _answer(self, answer: dict[str, Any]) -> None:
        self._line.say({"number": self._told["number"], **answer})


class _Held:
    """What was opened already."""

    def __init__(self, manager: Any, held: Any) -> None:
        self._manager, self._held = manager, held

    async def __aenter__(self) -> Any:
        return self._held

    async def __aexit__(self, *exc: object) -> None:
        await self._manager.__aexit__(*exc)


@contextmanager
def _little_room(size: int | None) -> Any:
    """Let no file grow beyond a size, as on a full disk; absent to let them."""
    if size is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
