"""The benchmark `million`: a million events of a hundred thousand users, from files to recommendations, on two cores.

Every stage runs in a process of its own on the store that the one before left, as an embedded index wants it. No model
is asked: cues and portraits are extractive.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..provenance import machine_facts
from .core import Measure, Notice, Report, work
from .million_worker import write_files

WORKER = "limner.evals.bench.million_worker"
MOST_MINUTES = 15.0
MOST_MEGABYTES = 4000.0

STAGES: Mapping[str, str] = {
    "import": "events and items imported",
    "embed": "catalogue embedded",
    "draw": "portraits cued, drawn and embedded",
    "index": "recommender built",
    "recommend": "recommended to everybody",
}

A_USER = ("draw", "recommend")
"""Stages whose work is told by the user."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    rows: int = 1_000_000
    """Events."""

    users: int = 100_000
    items: int = 3_000

    embedder: str = "minilm"

    seed: int = 7
    """Seed of the invented events."""

    def share(self, part: float) -> "Sizes":
        """Return the sizes of a part of it; the catalogue stays.

        Examples:
            >>> Sizes().share(0.01).users
            1000
        """
        return replace(self, rows=round(self.rows * part), users=round(self.users * part))


def run_million(
    sizes: Sizes, *, command: str, folder: Path | None = None, notice: Notice = lambda _: None
) -> Report:
    """Run every stage in turn.

    Args:
        sizes: How much.
        command: What the report says was run.
        folder: Where files and store are built, and stay; a temporary one if absent.
        notice: Called with what is done next.

    Raises:
        MeasurementError: A stage failed.
    """
    with tempfile.TemporaryDirectory(prefix="limner-bench-") as own:
        found = _run_stages(sizes, folder or Path(own), notice)
    return Report(
        bench="million",
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        seed=sizes.seed,
        machine=machine_facts(),
        sizes=asdict(sizes),
        measures=tuple(measures_of(found, sizes)),
    )


def _run_stages(sizes: Sizes, folder: Path, notice: Notice) -> dict[str, Mapping[str, Any]]:
    notice("writing the files")
    shutil.rmtree(folder / "store", ignore_errors=True)
    write_files(folder, users=sizes.users, items=sizes.items, rows=sizes.rows, seed=sizes.seed)
    given = {**asdict(sizes), "files": str(folder), "store": str(folder / "store")}
    found: dict[str, Mapping[str, Any]] = {}
    for stage, name in STAGES.items():
        notice(name)
        found[stage] = work(stage, given, module=WORKER)
    return found


def measures_of(found: Mapping[str, Mapping[str, Any]], sizes: Sizes) -> list[Measure]:
    """Return the lines of the report: the whole against its goals, then every stage."""
    minutes = sum(told["seconds"] for told in found.values()) / 60
    busy = sum(told["cpu"] for told in found.values()) / 60
    peak = max(told["peak_mb"] for told in found.values())
    whole = sizes.rows >= Sizes().rows  # the goals are set for all of it
    measures = [
        Measure(
            measure="all stages, by the clock",
            value=minutes,
            unit="min",
            goal=f"< {MOST_MINUTES:g}" if whole else None,
            met=minutes < MOST_MINUTES if whole else None,
            n=1,
        ),
        Measure(measure="all stages: work", value=busy, unit="min of CPU", n=1),
        Measure(
            measure="all stages: peak of memory",
            value=peak,
            unit="MB",
            goal=f"< {MOST_MEGABYTES:g}" if whole else None,
            met=peak < MOST_MEGABYTES if whole else None,
            n=1,
        ),
    ]
    for stage, name in STAGES.items():
        told = found[stage]
        measures += [
            Measure(measure=f"{name}: time", value=told["seconds"], unit="s", n=1),
            Measure(measure=f"{name}: work", value=told["cpu"], unit="s of CPU", n=1),
            Measure(measure=f"{name}: peak of memory", value=told["peak_mb"], unit="MB", n=1),
        ]
        if stage in A_USER:
            each = 1e3 * told["cpu"] / sizes.users
            measures.append(Measure(measure=f"{name}: work a user", value=each, unit="ms of CPU", n=1))
    return measures
