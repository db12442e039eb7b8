"""The benchmark `model`: tokens that the embedded model reads, against tokens that are billed.

A prompt that was read for one request is not read again for the next that begins alike. The same requests are told
three ways: each read alone, by llama.cpp in the order in which they come, and by Limner's engine, which lets requests
of one prompt run one after the other.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from ..provenance import machine_facts
from .core import Measure, Notice, Report, work

WORKER = "limner.evals.bench.efficiency_worker"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    users: int = 4
    """Users who are drawn, each with 12 reviewed items."""

    models_dir: str | None = None
    """Where weights lie; absent for the default."""

    seed: int = 7
    """Seed of the invented users and of sampling."""


def run_efficiency(sizes: Sizes, *, command: str, notice: Notice = lambda _: None) -> Report:
    """Draw users with the embedded model and count what it reads.

    Raises:
        MeasurementError: Drawing failed, for example because weights are not on disk.
    """
    notice(f"drawing {sizes.users} users with the embedded model")
    with tempfile.TemporaryDirectory(prefix="limner-bench-") as folder:
        told = work("draw", {**asdict(sizes), "folder": folder}, module=WORKER)
    return Report(
        bench="model",
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        seed=sizes.seed,
        machine=machine_facts() | {"xllamacpp": version("xllamacpp")},
        sizes=asdict(sizes),
        measures=tuple(measures_of(told)),
    )


def measures_of(told: Mapping[str, Any]) -> list[Measure]:
    """Return the lines of the report.

    Examples:
        >>> sums = {"calls": 2, "billed": 200, "read": 110, "written": 30}
        >>> told = {"kinds": {"drafts": sums}, "all": sums, "bare": 150, "calls": 2, "again": {"calls": 0, "cached": 2}}
        >>> {found.measure: round(found.value, 2) for found in measures_of(told)}["drafts: share of prompts not read"]
        0.45
    """
    everything, again = told["all"], told["again"]
    n, billed = everything["calls"], everything["billed"]

    def tokens(name: str, value: float) -> Measure:
        return Measure(measure=name, value=value, unit="tokens", n=n)

    def share(name: str, read: float, of: float, count: int) -> Measure:
        return Measure(measure=name, value=1 - read / of, unit="share", n=count)

    measures = [
        tokens("prompts: billed, which is each read alone", billed),
        tokens("prompts: read by llama.cpp in the order of asking", told["bare"]),
        tokens("prompts: read by Limner's engine", everything["read"]),
        tokens("answers: written", everything["written"]),
        share("share of prompts not read: llama.cpp in the order of asking", told["bare"], billed, n),
        share("share of prompts not read: Limner's engine", everything["read"], billed, n),
    ]
    for kind, sums in told["kinds"].items():
        if sums["calls"]:
            rate = share(f"{kind}: share of prompts not read", sums["read"], sums["billed"], sums["calls"])
            measures += [
                tokens(f"{kind}: billed", sums["billed"]),
                tokens(f"{kind}: read", sums["read"]),
                rate,
            ]
    asked = again["calls"] + again["cached"]
    return [
        *measures,
        Measure(measure="drawn again, portraits lost: answers needed", value=asked, unit="answers", n=1),
        Measure(
            measure="drawn again, portraits lost: of these shared, not asked",
            value=again["cached"],
            unit="answers",
            n=1,
        ),
    ]
