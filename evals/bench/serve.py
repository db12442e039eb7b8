"""The benchmark `serve`: how fast portraits and contexts come out of a large store, beside a server that reads rows.

The users are invented (`serve_world`). The app is what `limner serve` runs, in a process of its own; its callers are in
another (`serve_load`), the plain server in a third (`serve_plain`), never two servers at once.

Every load is measured twice. *Paced*: each client waits after an answer like somebody who reads it, so that latencies
are those of a server with room. *Saturated*: each client asks again at once, so that the server is never idle:
throughput is what it can do, and latency is the number of clients divided by it, whatever the server does.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...settings import DEFAULT_EMBEDDER, DEFAULT_MODEL
from ...tools.sql.sql_store import FILE_NAME
from ..provenance import machine_facts
from .core import Measure, Notice, Report, work
from .serve_processes import HOST, Place, Server, app_server, build, plain_server
from .serve_world import World

LOAD = "limner.evals.bench.serve_load"

GOALS: Mapping[tuple[str, str], float] = {
    ("profile", "p50"): 10.0,
    ("profile", "p95"): 50.0,
    ("context", "p50"): 150.0,
    ("context", "p95"): 400.0,
}
"""Milliseconds that a latency must stay below."""

NAMES: Mapping[str, str] = {
    "row": "plain FastAPI, the row",
    "profile": "stored profile",
    "context": "context with a query",
    "record": "record a message",
}
_LIBRARIES = ("fastapi", "uvicorn", "sqlalchemy")

Told = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    users: int = 100_000
    """Invented users."""

    cues: int = 1_000_000
    """Cues of all of them, each with its vector."""

    events: int = 10
    """Events of each user."""

    clients: int = 64
    """Clients at once."""

    think: float = 1.0
    """Seconds that a paced client waits after an answer, on average."""

    seconds: float = 30.0
    """Length of each load."""

    soak: float = 600.0
    """Length of the mixed load at the end, in seconds; 0 for none."""

    conversations: int = 20
    """Conversations in which the stable part is watched."""

    turns: int = 50
    """Turns of each."""

    embedder: str = DEFAULT_EMBEDDER
    """Encoder of the questions."""

    model: str = DEFAULT_MODEL
    """Model whose tokens are counted; none is called."""

    seed: int = 7
    """Seed of the invented users."""


def run_serve(
    sizes: Sizes,
    folder: Path,
    *,
    command: str,
    database_url: str | None = None,
    notice: Notice = lambda _: None,
) -> Report:
    """Measure everything.

    Args:
        sizes: How much.
        folder: Where the embedded store of invented users is, or is to be built; it stays for later runs.
        command: What the report says was run.
        database_url: PostgreSQL to build the store in; absent for SQLite in `folder`.
        notice: Called with what is done next.

    Raises:
        MeasurementError: A server did not start, or a step failed.
        StoreError: The store cannot be opened.
        WeightsMissingError: The encoder's weights are not on disk.
    """
    place = Place(folder=folder, database_url=database_url, embedder=sizes.embedder, model=sizes.model)
    world = World(users=sizes.users, cues=sizes.cues, events=sizes.events, seed=sizes.seed)
    asyncio.run(build(place, world, notice))
    measures = _measure(sizes, place, notice)
    database = "PostgreSQL" if database_url else "SQLite"
    return Report(
        bench="serve",
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        seed=sizes.seed,
        machine=machine_facts() | {"database": database} | {name: version(name) for name in _LIBRARIES},
        sizes=asdict(sizes),
        measures=tuple(measures),
    )


def _measure(sizes: Sizes, place: Place, notice: Notice) -> list[Measure]:
    with plain_server(place) as server:
        plain = _both(sizes, server, "row", notice)
    with app_server(place) as server:
        profile = _both(sizes, server, "profile", notice)
        context = _both(sizes, server, "context", notice)
        notice("prefix stability")
        held = _work("converse", sizes, server)
        soaked = _soak(sizes, server, notice)
    return [
        *_latencies(profile, "profile"),
        *_latencies(context, "context"),
        *_latencies(plain, "row"),
        *_ratios(plain, profile, context),
        *_stability(held),
        *soaked,
        *_size(place),
    ]


def _both(sizes: Sizes, server: Server, asks: str, notice: Notice) -> dict[str, Told]:
    """Measure one kind of request paced and saturated."""
    found: dict[str, Told] = {}
    for load, think in (("paced", sizes.think), ("saturated", 0.0)):
        notice(f"{NAMES[asks]}: {load}, {sizes.seconds:g} s")
        found[load] = _work("load", sizes, server, asks=asks, think=think)
    return found


def _work(step: str, sizes: Sizes, server: Server, **given: Any) -> Told:
    return work(step, {**asdict(sizes), "host": HOST, "key": None, **server._asdict(), **given}, module=LOAD)


def _latencies(found: Mapping[str, Told], asks: str) -> list[Measure]:
    measures: list[Measure] = []
    for load, told in found.items():
        label = f"{NAMES[asks]}, {load}"
        measures += [
            *_percentiles(told["kinds"].get(asks), asks, label, judged=load == "paced"),
            *_totals(told, label),
        ]
    return measures


def _percentiles(kind: Told | None, asks: str, label: str, *, judged: bool) -> list[Measure]:
    """Return the percentiles of the answers that were one; nothing where there was none."""
    found: list[Measure] = []
    if kind is None:
        return found
    for percentile in ("p50", "p95", "p99"):
        goal = GOALS.get((asks, percentile)) if judged else None
        value = kind[percentile]
        found.append(
            Measure(
                measure=f"{label}: {percentile}",
                value=value,
                unit="ms",
                goal=None if goal is None else f"< {goal:g}",
                met=None if goal is None else value < goal,
                n=kind["n"],
            )
        )
    return found


def _totals(told: Told, label: str) -> list[Measure]:
    """Return what holds for a load as a whole."""
    n = told["answers"]
    found = [Measure(measure=f"{label}: throughput", value=told["rate"], unit="answers/s", n=n)]
    if told["cpu"] is not None and n:
        worked = 1e3 * told["cpu"] / n
        found.append(Measure(measure=f"{label}: CPU of the server", value=worked, unit="ms/answer", n=n))
    return [*found, _errors(told, label)]


def _errors(told: Told, label: str) -> Measure:
    kinds = ", ".join(f"{count} of {what}" for what, count in sorted(told["what"].items()))
    return Measure(
        measure=f"{label}: errors{f' ({kinds})' if kinds else ''}",
        value=told["errors"],
        unit="answers",
        goal="0",
        met=told["errors"] == 0,
        n=told["answers"] + told["errors"],
    )


def _ratios(
    plain: Mapping[str, Told], profile: Mapping[str, Told], context: Mapping[str, Told]
) -> list[Measure]:
    """Compare with the plain server: throughput where both are saturated, latency where both have room."""
    found: list[Measure] = []
    for asks, ours in (("profile", profile), ("context", context)):
        seen = "row" in plain["paced"]["kinds"] and asks in ours["paced"]["kinds"]
        if not seen or not plain["saturated"]["rate"]:
            continue  # the errors say why
        rate = ours["saturated"]["rate"] / plain["saturated"]["rate"]
        late = ours["paced"]["kinds"][asks]["p50"] / plain["paced"]["kinds"]["row"]["p50"]
        name = f"{NAMES[asks]} against plain FastAPI"
        found += [
            Measure(measure=f"{name}: throughput, saturated", value=rate, unit="ratio", n=2),
            Measure(measure=f"{name}: p50, paced", value=late, unit="ratio", n=2),
        ]
    return found


def _stability(held: Told) -> list[Measure]:
    shares: Sequence[float] = held["shares"]
    least = min(shares)
    return [
        Measure(
            measure="prefix stability: least share of the stable part's bytes that stay",
            value=100 * least,
            unit="%",
            goal="100",
            met=least == 1.0,
            n=len(shares),
        ),
        Measure(
            measure="prefix stability: different volatile parts beside it",
            value=held["volatile"],
            unit="texts",
            n=len(shares),
        ),
    ]


def _soak(sizes: Sizes, server: Server, notice: Notice) -> list[Measure]:
    """Measure a mixed and paced load over a long time."""
    if not sizes.soak:
        return []
    notice(f"mixed load, {sizes.soak:g} s")
    told = _work("load", sizes, server, asks="mixed", think=sizes.think, seconds=sizes.soak)
    label = f"mixed load over {sizes.soak:g} s, paced"
    return [
        *(
            measure
            for asks, kind in told["kinds"].items()
            for measure in _percentiles(kind, asks, f"{label}: {NAMES[asks]}", judged=True)
        ),
        *_totals(told, label),
    ]


def _size(place: Place) -> list[Measure]:
    file = place.folder / FILE_NAME
    if place.database_url or not file.exists():
        return []
    return [Measure(measure="store: file", value=file.stat().st_size / 1e6, unit="MB", n=1)]
