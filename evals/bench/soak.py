"""The benchmark `soak`: a steady load on the real server for a long time, and whether anything grows that should not.

The app is what `limner serve` runs, in a process of its own, without a model: portraits are extractive. Its callers
are in this one. Texts come from a pool, so that caches are full before long and what grows then is no cache.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np

from ...settings import DEFAULT_EMBEDDER, NO_MODEL
from ..provenance import machine_facts
from .core import Measure, MeasurementError, Notice, Report
from .http_client import Connection
from .serve_load import Ask, context_of, record_of
from .serve_processes import HOST, Place, Server, app_server, build
from .serve_words import queries, user_id_of
from .serve_world import World
from .soak_samples import SERIES, Series, growth, sample

_HOUR = 3600.0
_FEWEST = 5
"""Samples that a line is put through."""

_MIX = ("record",) * 10 + ("context",) * 7 + ("draw",) * 3
"""What is asked for, in equal shares."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is asked, and for how long."""

    minutes: float
    """Length of the load."""

    rate: float = 10.0
    """Requests a second, whatever the answers take."""

    users: int = 1000
    """Invented users."""

    clients: int = 16
    """Connections."""

    every: float = 5.0
    """Seconds from one sample to the next."""

    texts: int = 2000
    """Different questions and messages."""

    warm: float = 0.25
    """Share of the time at the beginning that is not judged, while caches fill."""

    embedder: str = DEFAULT_EMBEDDER
    """Encoder of the questions."""

    seed: int = 7
    """Seed of the invented users and of what is asked."""


@dataclass
class _Seen:
    """What was seen."""

    moments: list[float] = field(default_factory=list[float])
    """Seconds since the start, of each sample."""

    samples: list[Mapping[str, float]] = field(default_factory=list[Mapping[str, float]])
    answers: dict[str, list[tuple[float, float]]] = field(
        default_factory=dict[str, list[tuple[float, float]]]
    )
    """Kind of request to when it was sent and what it took, in seconds."""

    errors: Counter[str] = field(default_factory=Counter[str])


def run_soak(
    sizes: Sizes,
    folder: Path,
    *,
    command: str,
    database_url: str | None = None,
    notice: Notice = lambda _: None,
) -> Report:
    """Load a server and watch it.

    Args:
        sizes: How much and how long.
        folder: Where the store of invented users is built; it stays.
        command: What the report says was run.
        database_url: PostgreSQL to build the store in; absent for SQLite in `folder`.
        notice: Called with how far it is.

    Raises:
        MeasurementError: The server did not start, or ended, or the load is too short to tell anything.
        StoreError: The store cannot be opened.
        WeightsMissingError: The encoder's weights are not on disk.
    """
    judged = int(sizes.minutes * 60 * (1 - sizes.warm) / sizes.every)
    if judged < _FEWEST:
        raise MeasurementError("soak", f"{judged} samples are too few; run it longer, or sample more often")
    place = Place(folder=folder, database_url=database_url, embedder=sizes.embedder, model=NO_MODEL)
    world = World(users=sizes.users, cues=2 * sizes.users, events=10, seed=sizes.seed)
    asyncio.run(build(place, world, notice))
    with app_server(place) as server:
        seen = asyncio.run(_soak(sizes, server, folder, notice))
    return Report(
        bench="soak",
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        seed=sizes.seed,
        machine=machine_facts() | {"database": "PostgreSQL" if database_url else "SQLite"},
        sizes=asdict(sizes),
        measures=tuple(_measures(sizes, seen)),
    )


async def _soak(sizes: Sizes, server: Server, folder: Path, notice: Notice) -> _Seen:
    seen, start = _Seen(), time.perf_counter()
    watching = asyncio.create_task(_watch(sizes, server, folder, seen, start, notice))
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(sizes.clients):
                group.create_task(_client(number, sizes, server, seen, start))
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    if not watching.cancelled() and (error := watching.exception()):
        raise error
    return seen


async def _watch(
    sizes: Sizes, server: Server, folder: Path, seen: _Seen, start: float, notice: Notice
) -> None:
    while True:
        seen.samples.append(await asyncio.to_thread(sample, server.pid, folder))
        seen.moments.append(time.perf_counter() - start)
        held = ", ".join(
            f"{seen.samples[-1][name] * SERIES[name].scale:.0f} {SERIES[name].unit} {SERIES[name].name}"
            for name in ("memory", "handles", "log")
        )
        notice(f"{seen.moments[-1] / 60:.1f} of {sizes.minutes:g} minutes: {held}")
        await asyncio.sleep(sizes.every)


async def _client(number: int, sizes: Sizes, server: Server, seen: _Seen, start: float) -> None:
    """Send every so many-th request at its moment, or at once if that has passed."""
    draw = random.Random(f"{sizes.seed} {number}")
    pool = list(islice(queries(f"{sizes.seed} soak"), sizes.texts))
    last = int(sizes.minutes * 60 * sizes.rate)
    turns = iter(range(number, last, sizes.clients))
    turn = next(turns, None)
    while turn is not None:
        try:
            async with Connection(HOST, server.port) as connection:
                while turn is not None:
                    await asyncio.sleep(max(0.0, start + turn / sizes.rate - time.perf_counter()))
                    await _ask(connection, _next(sizes, draw, pool), seen, start)
                    turn = next(turns, None)
        except OSError:
            seen.errors["broken connection"] += 1
            turn = next(turns, None)
            await asyncio.sleep(0.1)


def _next(sizes: Sizes, draw: random.Random, pool: Sequence[str]) -> Ask:
    user_id, said = user_id_of(draw.randrange(sizes.users)), draw.choice(pool)
    kind = draw.choice(_MIX)
    if kind == "record":
        return record_of(user_id, said)
    if kind == "context":
        return context_of(user_id, said)
    return Ask("draw", "POST", f"/v1/users/{user_id}/profile")


async def _ask(connection: Connection, ask: Ask, seen: _Seen, start: float) -> None:
    sent = time.perf_counter()
    answer = await connection.ask(ask.method, ask.path, ask.document)
    seen.answers.setdefault(ask.name, []).append((sent - start, time.perf_counter() - sent))
    if answer.status >= 400:
        seen.errors[f"{ask.name} {answer.status}"] += 1


def _measures(sizes: Sizes, seen: _Seen) -> list[Measure]:
    from_then = sizes.warm * sizes.minutes * 60
    judged = [place for place, moment in enumerate(seen.moments) if moment >= from_then]
    if len(judged) < 3:
        raise MeasurementError(
            "soak", f"{len(judged)} samples are too few; run it longer, or sample more often"
        )
    hours = [seen.moments[place] / _HOUR for place in judged]
    found: list[Measure] = []
    for name, series in SERIES.items():
        values = [seen.samples[place][name] * series.scale for place in judged]
        found += _held(series, values) + ([] if series.most else _grown(series, hours, values))
    return [*found, *_answers(sizes, seen)]


def _held(series: Series, values: Sequence[float]) -> list[Measure]:
    """Return what is held, and judge its most."""
    highest = max(values)
    return [
        Measure(
            measure=f"{series.name}: {'most' if series.most else 'median'}",
            value=highest if series.most else float(np.median(values)),
            unit=series.unit,
            goal=f"< {series.most:g}" if series.most else None,
            met=highest < series.most if series.most else None,
            n=len(values),
            spread=(min(values), highest),
        )
    ]


def _grown(series: Series, hours: Sequence[float], values: Sequence[float]) -> list[Measure]:
    """Return the growth with its interval; it is flat if the interval reaches down to next to nothing."""
    slope, low, high = growth(hours, values)
    bound = None if series.flat is None else series.flat * float(np.median(values))
    return [
        Measure(
            measure=f"{series.name}: growth",
            value=slope,
            unit=f"{series.unit}/h",
            goal=None if bound is None else f"flat: lowest <= {bound:.2g}",
            met=None if bound is None else low <= bound,
            n=len(values),
            spread=(low, high),
        )
    ]


def _answers(sizes: Sizes, seen: _Seen) -> list[Measure]:
    found: list[Measure] = []
    third = sizes.minutes * 60 / 3
    for name, answers in sorted(seen.answers.items()):
        parts = [
            [1e3 * took for sent, took in answers if first <= sent / third < first + 1] for first in range(3)
        ]
        if all(parts):
            p95 = [float(np.percentile(part, 95)) for part in parts]
            found.append(
                Measure(
                    measure=f"{name}: p95, last third",
                    value=p95[-1],
                    unit="ms",
                    n=len(parts[-1]),
                    spread=(min(p95), max(p95)),
                )
            )
    count = sum(map(len, seen.answers.values()))
    rate = count / (sizes.minutes * 60)
    return [
        *found,
        Measure(
            measure="answers",
            value=rate,
            unit="answers/s",
            goal=f">= {0.98 * sizes.rate:g}",
            met=rate >= 0.98 * sizes.rate,
            n=count,
        ),
        Measure(
            measure="errors"
            + "".join(f", {number} of {what}" for what, number in sorted(seen.errors.items())),
            value=sum(seen.errors.values()),
            unit="answers",
            goal="0",
            met=not seen.errors,
            n=count,
        ),
    ]
