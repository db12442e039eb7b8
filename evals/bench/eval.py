"""The benchmark `eval`: how long the harness takes to rank a whole catalogue for everybody, and in how much memory.

Invented users and items in the number of Amazon Beauty, systems that are one matrix product, every metric, bucket
and interval of the suite `sequential`. Each measurement runs in a process of its own (`eval_worker`); the
ratios are of neighbouring runs.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..provenance import machine_facts
from .core import (
    Measure,
    MeasurementError,
    Notice,
    Report,
    result_of,
    summarise,
    work,
)

WORKER = "limner.evals.bench.eval_worker"
RECTOOLS = Path(__file__).with_name("rectools_run.py")
MOST_SECONDS = 60.0
MOST_MEGABYTES = 4000.0
MOST_OF_PRODUCT = 2.0
MOST_DIFFERENCE = 1e-9
_KINDS = {"dense": "dense product", "sparse": "sparse product"}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    users: int = 22_363
    items: int = 12_101
    repeats: int = 5
    """How often each side of a ratio is timed, in turn."""

    seed: int = 7
    """Seed of the invented people and of ties, resamples and lists."""


QUICK = Sizes(users=2_000, items=1_200, repeats=2)
"""Seconds instead of minutes; the goals are set for the full sizes."""


def run_eval(
    sizes: Sizes, *, command: str, rectools_python: Path | None = None, notice: Notice = lambda _: None
) -> Report:
    """Measure everything.

    Args:
        sizes: How much.
        command: What the report says was run.
        rectools_python: Interpreter of an environment with RecTools; without it, RecTools is not measured.
        notice: Called with what is measured next.

    Raises:
        MeasurementError: A step failed.
    """
    with tempfile.TemporaryDirectory(prefix="limner-bench-") as folder:
        measures = [
            *measure_ranking(sizes, notice),
            *measure_metrics(sizes, Path(folder) / "run.npz", rectools_python, notice),
        ]
    libraries = {name: version(name) for name in ("numpy", "scipy")}
    return Report(
        bench="eval",
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        seed=sizes.seed,
        machine=machine_facts() | libraries,
        sizes=asdict(sizes),
        measures=tuple(measures),
    )


def measure_ranking(sizes: Sizes, notice: Notice) -> list[Measure]:
    """Time scoring, placing and the whole suite for a dense and a sparse system."""
    found: list[Measure] = []
    for kind, name in _KINDS.items():
        notice(f"ranking: {name}")
        told = work("rank", {**asdict(sizes), "kind": kind}, module=WORKER)
        found += [
            _below(
                summarise(f"{name}: scores to table, {told['rows']} rows", told["whole"], "s"), MOST_SECONDS
            ),
            _below(summarise(f"{name}: peak of memory", [told["peak_mb"]], "MB"), MOST_MEGABYTES),
            _ratio(f"{name}: scoring against the product", told["score"], told["bare"], MOST_OF_PRODUCT),
            _ratio(
                f"{name}: scoring and placing against the product",
                told["place"],
                told["bare"],
                MOST_OF_PRODUCT,
            ),
            summarise(f"{name}: the product alone", told["bare"], "s"),
            summarise(f"{name}: scoring", told["score"], "s"),
            summarise(f"{name}: scoring and placing", told["place"], "s"),
        ]
    return found


def measure_metrics(sizes: Sizes, run: Path, rectools_python: Path | None, notice: Notice) -> list[Measure]:
    """Time Limner's metrics and those of others on one run, and compare the values."""
    notice("metrics: Limner and ranx")
    told = work("metrics", {**asdict(sizes), "run": str(run)}, module=WORKER)
    found = [
        summarise("metrics: Limner, from places", told["measure"], "s"),
        summarise("metrics: Limner, from scores", told["place"], "s"),
        summarise("metrics: lists of 50 from scores, for the others", told["list"], "s"),
    ]
    others: dict[str, Mapping[str, Any] | None] = {"ranx": told["ranx"], "RecTools": None}
    if rectools_python is not None:
        notice("metrics: RecTools")
        others["RecTools"] = ask_rectools(rectools_python, run, sizes.repeats)
    for name, other in others.items():
        found += against(name, other, told)
    return found


def ask_rectools(python: Path, run: Path, repeats: int) -> dict[str, Any]:
    """Let RecTools evaluate a run under an interpreter that has it.

    Raises:
        MeasurementError: It has not, or the evaluation failed.
    """
    command = [str(python), str(RECTOOLS), str(run), str(repeats)]
    try:
        return result_of("rectools", command)
    except OSError as error:
        raise MeasurementError("rectools", f"{str(python)!r} cannot be run: {error.strerror}") from error


def against(name: str, other: Mapping[str, Any] | None, ours: Mapping[str, Any]) -> list[Measure]:
    """Compare with another library; where it is missing, the line says so.

    The other library needs lists of the best items where Limner needs places; a comparison from scores counts the
    making of either.
    """
    if other is None:
        return [Measure(measure=f"metrics: {name} not installed", value=0.0, unit="not measured", n=0)]
    gaps = [abs(value - ours["means"][metric]) for metric, value in other["means"].items()]
    gap = Measure(
        measure=f"metrics: largest difference from {name}",
        value=max(gaps),
        unit="",
        goal=f"< {MOST_DIFFERENCE:g}",
        met=max(gaps) < MOST_DIFFERENCE,
        n=len(gaps),
    )
    seconds = other["seconds"]
    from_scores = [a + b for a, b in zip(ours["list"], seconds, strict=True)]
    head_start = _ratio(f"metrics: Limner from scores, {name} from lists", ours["place"], seconds, 1.0)
    return [
        _ratio(f"metrics: Limner against {name}, both from scores", ours["place"], from_scores, 1.0),
        _ratio(f"metrics: Limner from places, {name} from lists", ours["measure"], seconds, 1.0),
        replace(head_start, goal=None, met=None),
        gap,
        summarise(f"metrics: {name}, from lists of 50", seconds, "s"),
    ]


def _below(measure: Measure, most: float) -> Measure:
    return replace(measure, goal=f"< {most:g}", met=measure.value < most)


def _ratio(name: str, ours: Sequence[float], theirs: Sequence[float], most: float) -> Measure:
    """Return the median ratio of neighbouring runs, which should be below `most`."""
    return _below(summarise(name, [a / b for a, b in zip(ours, theirs, strict=True)], "ratio"), most)
