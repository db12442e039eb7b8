"""The benchmark `growth`: work, memory and calls as users, items and histories grow ten and a hundred times.

Work is seconds of CPU, so that a busy machine does not bend the curves. One of the three numbers grows while the others
stay; the users who are drawn and recommended to are always as many, so that their cost shows what a bigger store adds.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...errors import MissingExtraError
from ...tools.whole_files import whole_file
from ..provenance import machine_facts
from .core import Measure, Notice, Report, work
from .groups import growth
from .million import WORKER
from .million_worker import write_files

MOST_GROWTH = 1.25
"""Power of the size that work may grow with, where linear is 1."""

STAGES: Mapping[str, str] = {
    "import": "import",
    "embed": "embed the catalogue",
    "draw": "draw",
    "index": "build the recommender",
    "recommend": "recommend",
}
AXES: Mapping[str, str] = {"users": "users", "items": "items", "history": "events of a user"}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    users: int = 200
    items: int = 100
    history: int = 10
    """Where each of the three begins; it stays there while another grows."""

    times: tuple[int, ...] = (1, 10, 100)
    """What each is multiplied with."""

    some: int = 50
    """Users who are drawn and recommended to."""

    seed: int = 7
    """Seed of everything invented."""


Found = Mapping[tuple[str, int, str], Mapping[str, float]]
"""What was measured, by axis, size and stage."""


def run_growth(
    sizes: Sizes, *, command: str, plot: Path | None = None, notice: Notice = lambda _: None
) -> Report:
    """Measure every stage at every size of every axis, each size in a process of its own.

    Args:
        sizes: How much.
        command: What the report says was run.
        plot: PNG or SVG file to draw.
        notice: Called with what is measured next.

    Raises:
        MeasurementError: A stage failed.
        MissingExtraError: A plot is wanted and matplotlib is not installed.
    """
    found: dict[tuple[str, int, str], Mapping[str, float]] = {}
    known: dict[
        tuple[int, ...], Mapping[str, Mapping[str, float]]
    ] = {}  # all three begin with the same store
    for axis in AXES:
        for times in sizes.times:
            notice(f"{AXES[axis]} times {times}")
            world = {name: getattr(sizes, name) * (times if name == axis else 1) for name in AXES}
            key = tuple(world.values())
            known[key] = known.get(key) or _measure(world, sizes)
            found |= {(axis, world[axis], stage): told for stage, told in known[key].items()}
    if plot is not None:
        draw_curves(found, plot)
    return Report(
        bench="growth",
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        seed=sizes.seed,
        machine=machine_facts(),
        sizes=asdict(sizes),
        measures=tuple(measures_of(found, sizes)),
    )


def _measure(world: Mapping[str, int], sizes: Sizes) -> Mapping[str, Mapping[str, float]]:
    with tempfile.TemporaryDirectory(prefix="limner-bench-") as name:
        rows = world["users"] * world["history"]
        write_files(Path(name), users=world["users"], items=world["items"], rows=rows, seed=sizes.seed)
        given = {"files": name, "store": f"{name}/store", "embedder": "hashing", "some": sizes.some}
        return work("all", {**given, "items": world["items"]}, module=WORKER)


def measures_of(found: Found, sizes: Sizes) -> list[Measure]:
    """Return the lines of the report: how each stage grows with each axis, and the numbers behind it."""
    measures: list[Measure] = []
    for axis, name in AXES.items():
        counts = [getattr(sizes, axis) * times for times in sizes.times]
        for stage, label in STAGES.items():
            for few, many in pairwise(counts):
                before, after = (found[axis, count, stage] for count in (few, many))
                power = growth(few, many, before["cpu"], after["cpu"])
                measures.append(
                    Measure(
                        measure=f"{label}: growth of work, {few:,} to {many:,} {name}",
                        value=power,
                        unit="power",
                        goal=f"< {MOST_GROWTH:g}",
                        met=power < MOST_GROWTH,
                        n=2,
                        spread=(before["cpu"], after["cpu"]),
                    )
                )
        for count in counts:
            peak = max(found[axis, count, stage]["peak_mb"] for stage in STAGES)  # it never falls
            measures += [
                Measure(measure=f"{count:,} {name}: peak of memory", value=peak, unit="MB", n=len(STAGES)),
                Measure(
                    measure=f"{count:,} {name}: calls to draw {sizes.some} users at most",
                    value=found[axis, count, "estimate"]["done"],
                    unit="calls",
                    n=sizes.some,
                ),
            ]
    return measures


def draw_curves(found: Found, path: Path) -> None:
    """Write a picture of the work of each stage along each axis.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("a plot of the benchmark", "evals") from error
    figure = Figure(figsize=(12, 4), layout="constrained")
    panels: Any = figure.subplots(1, len(AXES), sharey=True)
    for panel, (axis, name) in zip(panels, AXES.items(), strict=True):
        counts = sorted({count for own, count, _ in found if own == axis})
        for stage, label in STAGES.items():
            panel.plot(
                counts, [found[axis, count, stage]["cpu"] for count in counts], marker="o", label=label
            )
        first = min(found[axis, counts[0], stage]["cpu"] for stage in STAGES)
        line = [first * count / counts[0] for count in counts]
        panel.plot(counts, line, color="grey", linestyle=":", label="linear")
        panel.set(xscale="log", yscale="log", xlabel=name)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("seconds of CPU")
    panels[0].legend(fontsize=8)
    figure.suptitle("Work as a store grows (invented events)")
    with whole_file(path) as draft:
        figure.savefig(draft, dpi=120, format=path.suffix.removeprefix("."))
