"""The benchmark `engines`: what a row of a batch costs beside its own work, in this process and on Ray."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, cast

from ...engines.jobs import Job, Row
from ...engines.part_worker import PartWorker
from ...engines.parts_folder import Bounds, Part
from ...engines.ray_stream import cluster, through_ray
from ...face import Limner
from ...records import Usage
from ...sections import EngineSettings
from ...streaming import bounded
from ...tools.budget import Budget
from ..provenance import machine_facts
from .core import Measure, Notice, Report


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    rows: int = 20_000
    """Rows of each batch."""

    part: int = 256
    """Rows of a part."""

    latency: float = 0.02
    """Seconds for which each row waits, as for a model."""

    at_once: int = 128
    """Rows in flight, of all workers together."""

    workers: int = 2
    """Ray actors."""

    repeats: int = 3
    """Batches of each kind; the first on Ray, in which actors start, is told apart."""

    seed: int = 0
    """Nothing is drawn at random."""


def run_engines(sizes: Sizes, *, command: str, notice: Notice = lambda _: None) -> Report:
    """Measure both engines; Ray is started on this machine.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    engine = EngineSettings(part=sizes.part, workers=sizes.workers)
    here: list[float] = []
    there: list[float] = []
    began = time.perf_counter()
    notice("starting Ray")
    with cluster(engine):
        started = time.perf_counter() - began
        notice("first batch on Ray")
        first = asyncio.run(_timed(_by_ray(engine, sizes)))
        for turn in range(sizes.repeats):
            notice(f"turn {turn + 1}")
            here.append(asyncio.run(_timed(_in_this_process(sizes))))
            there.append(asyncio.run(_timed(_by_ray(engine, sizes))))
    return Report(
        bench="engines",
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        seed=sizes.seed,
        machine=machine_facts() | {"ray": version("ray")},
        sizes=asdict(sizes),
        measures=tuple(_measures(sizes, started, first, here, there)),
    )


def _measures(
    sizes: Sizes, started: float, first: float, here: Sequence[float], there: Sequence[float]
) -> list[Measure]:
    more = [1000 * (ray - own) / sizes.rows for own, ray in zip(here, there, strict=True)]
    return [
        _measure("asyncio: time of a row", [1000 * each / sizes.rows for each in here], "ms"),
        _measure(
            "ray: time of a row, actors' start included", [1000 * each / sizes.rows for each in there], "ms"
        ),
        _measure("ray less asyncio, a row", more, "ms"),
        _measure("the wait itself, a row", [1000 * sizes.latency / sizes.at_once], "ms"),
        _measure("ray: start of a cluster on this machine", [started], "s"),
        _measure("ray: first batch", [first], "s"),
        _measure("ray: later batches", there, "s"),
    ]


def _measure(name: str, values: Sequence[float], unit: str) -> Measure:
    ordered = sorted(values)
    spread = (ordered[0], ordered[-1]) if len(ordered) > 1 else None
    return Measure(measure=name, value=ordered[len(ordered) // 2], unit=unit, n=len(ordered), spread=spread)


async def _timed(parts: AsyncGenerator[Part]) -> float:
    began = time.perf_counter()
    async with aclosing(parts) as done:
        async for part in done:
            assert part.data is not None, "nothing refuses"
    return time.perf_counter() - began


async def _in_this_process(sizes: Sizes) -> AsyncGenerator[Part]:
    worker = _Waiting(sizes.latency, sizes.at_once)
    tasks = list(enumerate(_bounds(sizes)))
    async with aclosing(bounded(tasks, lambda task: worker.work(*task), 2)) as parts:
        async for part in parts:
            yield part


async def _by_ray(engine: EngineSettings, sizes: Sizes) -> AsyncGenerator[Part]:
    make = _Make(sizes.latency, sizes.at_once // sizes.workers)
    async with aclosing(through_ray(engine, make, _bounds(sizes))) as parts:
        async for _, part in parts:
            yield part


def _bounds(sizes: Sizes) -> list[Bounds]:
    """Divide invented users into parts."""
    users = [f"u{number:07}" for number in range(sizes.rows)]
    chunks = [tuple(users[start : start + sizes.part]) for start in range(0, sizes.rows, sizes.part)]
    return [Bounds(number, chunk[0], chunk[-1], chunk) for number, chunk in enumerate(chunks)]


@dataclass(frozen=True)
class _Make:
    """Makes the worker of an actor."""

    latency: float
    at_once: int

    def __call__(self) -> "_Waiting":
        return _Waiting(self.latency, self.at_once)


class _Waiting:
    """Does parts whose rows wait and are small."""

    def __init__(self, latency: float, at_once: int) -> None:
        job = cast("Job", _WaitJob(latency))
        self._worker = PartWorker(job, _open_nothing, at_once=at_once)

    async def work(self, number: int, task: Any) -> Part:
        """Do a part."""
        del number
        return await self._worker.work(task, Budget())


@dataclass(frozen=True)
class _WaitJob:
    """Waits, as for a model."""

    latency: float

    async def row(self, _limner: object, user_id: str, _budget: object) -> Row:
        await asyncio.sleep(self.latency)
        return Row(user_id, f'{{"user_id": "{user_id}"}}', True, Usage())


class _Nothing:
    """In place of a Limner, which no row here asks."""

    async def prepare(self) -> None:
        """Do nothing."""


async def _open_nothing(_: AsyncExitStack) -> Limner:
    return cast("Limner", _Nothing())
