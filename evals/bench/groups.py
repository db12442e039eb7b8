"""The benchmark `groups`: time and memory of graphs and groups as users grow, on invented users."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...errors import MissingExtraError
from ...tools.whole_files import whole_file
from ..provenance import machine_facts
from .core import Measure, Notice, Report, work

WORKER = "limner.evals.bench.groups_worker"

STEPS: Mapping[str, str] = {
    "graph": "graph of users and items, passed along",
    "neighbours": "graph of like users",
    "groups": "groups, all in all",
}

MOST_GROWTH = 1.25
"""Power of the number of users that work may grow with, where linear is 1; searching costs a logarithm."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    users: tuple[int, ...] = (10_000, 100_000)
    """Invented users of each measurement, rising."""

    width: int = 64
    """Length of a user's vector."""

    events: int = 10
    """Items that each user had."""

    neighbours: int = 32
    """Users compared with each user."""

    size: int = 20
    """Members of a group, about."""

    layers: int = 3
    """How far vectors travel along the graph."""

    seed: int = 7
    """Seed of the invented users."""


Found = Mapping[tuple[str, int], Mapping[str, float]]
"""What was measured, by step and number of users."""


def run_groups(
    sizes: Sizes, *, command: str, plot: Path | None = None, notice: Notice = lambda _: None
) -> Report:
    """Measure every step at every size, each in a process of its own.

    Args:
        sizes: How much.
        command: What the report says was run.
        plot: PNG or SVG file to draw.
        notice: Called with what is measured next.

    Raises:
        MeasurementError: A step failed.
        MissingExtraError: A plot is wanted and matplotlib is not installed.
    """
    found: dict[tuple[str, int], Mapping[str, float]] = {}
    for users in sizes.users:
        for step in STEPS:
            notice(f"{step}: {users:,} users")
            found[step, users] = work(step, {**asdict(sizes), "users": users}, module=WORKER)
    if plot is not None:
        draw_growth(found, sizes, plot)
    libraries = {name: version(name) for name in ("numpy", "scipy", "voyager")}
    return Report(
        bench="groups",
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        seed=sizes.seed,
        machine=machine_facts() | libraries,
        sizes=asdict(sizes),
        measures=tuple(_measures(found, sizes)),
    )


def _measures(found: Found, sizes: Sizes) -> list[Measure]:
    measures: list[Measure] = []
    for step, name in STEPS.items():
        for users in sizes.users:
            told, label = found[step, users], f"{name}, {users:,} users"
            measures += [
                Measure(measure=f"{label}: time", value=told["seconds"], unit="s", n=1),
                Measure(measure=f"{label}: work", value=told["cpu"], unit="s of CPU", n=1),
                Measure(measure=f"{label}: peak of memory", value=told["peak_mb"], unit="MB", n=1),
            ]
            if "groups" in told:
                measures.append(Measure(measure=f"{label}: found", value=told["groups"], unit="groups", n=1))
        measures += [
            _growth(name, few, many, [found[step, few]["cpu"], found[step, many]["cpu"]])
            for few, many in pairwise(sizes.users)
        ]
    return measures


def _growth(name: str, few: int, many: int, seconds: Sequence[float]) -> Measure:
    power = growth(few, many, seconds[0], seconds[1])
    return Measure(
        measure=f"{name}: growth of work, {few:,} to {many:,} users",
        value=power,
        unit="power of users",
        goal=f"< {MOST_GROWTH:g}",
        met=power < MOST_GROWTH,
        n=2,
    )


def growth(few: int, many: int, before: float, after: float) -> float:
    """Return the power of the number of users that a cost grows with; 1 is linear, 2 is quadratic.

    Examples:
        >>> growth(10, 100, 2.0, 20.0), growth(10, 100, 2.0, 200.0)
        (1.0, 2.0)
    """
    return math.log(after / before) / math.log(many / few)


def draw_growth(found: Found, sizes: Sizes, path: Path) -> None:
    """Write a picture of time and memory by the number of users.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("a plot of the benchmark", "evals") from error
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels: Any = figure.subplots(1, 2)
    for panel, key, label in zip(
        panels, ("cpu", "peak_mb"), ("seconds of CPU", "peak of memory, MB"), strict=True
    ):
        for step, name in STEPS.items():
            values = [found[step, users][key] for users in sizes.users]
            panel.plot(sizes.users, values, marker="o", label=name)
        first = max(found[step, sizes.users[0]][key] for step in STEPS)
        line = [first * users / sizes.users[0] for users in sizes.users]
        panel.plot(sizes.users, line, color="grey", linestyle=":", label="linear")
        panel.set(xscale="log", yscale="log", xlabel="invented users", ylabel=label)
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=8)
    figure.suptitle("Graphs and groups of invented users (synthetic data)")
    with whole_file(path) as draft:
        figure.savefig(draft, dpi=120, format=path.suffix.removeprefix("."))
