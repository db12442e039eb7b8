"""The benchmark `core`: what Limner adds around the model calls, how fast it starts, whether memory stays flat.

Everything is measured within one run on one machine, and judged by ratios where a ratio says it. Each
measurement runs in a process of its own (`worker`), against a server in another (`server`).
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...errors import LimnerError
from ..provenance import machine_facts

Notice = Callable[[str], None]
"""Called with what is measured next."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    users: int = 500
    """Profiles drawn against the server."""

    repeats: int = 2
    """How often both sides are measured, in turn."""

    calls_at_once: int = 64
    """Model calls in flight."""

    users_at_once: int = 96
    """Users in flight; a user waits for its cues before its drafts, so more users than calls are needed."""

    delay: float = 0.2
    """Seconds the server takes to answer."""

    streams: tuple[int, int] = (1_000, 10_000)
    """Users streamed for the two measurements of memory."""

    starts: int = 7
    """Processes started for each measurement of start-up."""

    seed: int = 7
    """Seed of the invented people and of sampling."""


QUICK = Sizes(users=60, repeats=1, streams=(100, 300), starts=3)
"""Minutes shorter; the goals are set for the full sizes."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of the report."""

    measure: str
    """What was measured."""

    value: float
    """The result: the median where there are several."""

    unit: str
    """Its unit; `ratio` is two results of this run divided."""

    goal: str | None = None
    """What it should be; absent for a number that only explains another."""

    met: bool | None = None
    """Whether it is; absent without a goal."""

    n: int
    """How many results it stands for."""

    spread: tuple[float, float] | None = None
    """Lowest and highest of them."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything one run found."""

    bench: str
    command: str
    date: str
    seed: int
    machine: Mapping[str, str]
    sizes: Mapping[str, Any]
    measures: tuple[Measure, ...]
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])
    """By measure, why its goal is not met."""

    def as_json(self) -> dict[str, Any]:
        """Return the report as one JSON object."""
        return asdict(self)


class MeasurementError(LimnerError):
    """A measurement ended without a result."""

    code = "measurement_failed"

    def __init__(self, step: str, reason: str) -> None:
        self.step, self.reason = step, reason
        super().__init__(step, reason)

    def __str__(self) -> str:
        return f"step {self.step!r} of the benchmark ended without a result: {self.reason}"


def run_core(sizes: Sizes, *, command: str, notice: Notice = lambda _: None) -> Report:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="limner-bench-") as folder:
        measures = [
            *measure_orchestration(sizes, Path(folder), notice),
            *measure_start(sizes, notice),
            *measure_memory(sizes, Path(folder), notice),
        ]
    return Report(
        bench="core",
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        seed=sizes.seed,
        machine=machine_facts(),
        sizes=asdict(sizes),
        measures=tuple(measures),
    )


def measure_orchestration(sizes: Sizes, folder: Path, notice: Notice) -> list[Measure]:
    """Draw profiles and repeat the same calls with bare LiteLLM, in turn."""
    given = {
        "seed": sizes.seed,
        "users": sizes.users,
        "calls_at_once": sizes.calls_at_once,
        "users_at_once": sizes.users_at_once,
        "requests": str(folder / "requests.jsonl"),
    }
    ours: list[dict[str, Any]] = []
    bare: list[dict[str, Any]] = []
    with model_server(sizes.delay) as url:
        given["url"] = url
        notice("orchestration: noting the requests of a run")
        _draw_once(given, folder / "noted")
        for turn in range(sizes.repeats):
            notice(f"orchestration: bare LiteLLM, turn {turn + 1} of {sizes.repeats}")
            bare.append(work("replay", given))
            notice(f"orchestration: Limner, turn {turn + 1} of {sizes.repeats}")
            ours.append(_draw_once({**given, "requests": None}, folder / f"turn{turn}"))
    return compare(ours, bare)


def _draw_once(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    work("fill", {**given, "folder": str(folder)})
    return work("draw", {**given, "folder": str(folder)})


def compare(ours: Sequence[Mapping[str, float]], bare: Sequence[Mapping[str, float]]) -> list[Measure]:
    """Turn pairs of neighbouring runs into ratios of throughput."""
    mine = [run["calls"] / run["seconds"] for run in ours]
    theirs = [run["calls"] / run["seconds"] for run in bare]
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    ratio = summarise("orchestration: throughput against bare LiteLLM", ratios, "ratio")
    return [
        replace(ratio, goal=">= 0.85", met=ratio.value >= 0.85),
        summarise("orchestration: Limner", mine, "calls/s"),
        summarise("orchestration: bare LiteLLM", theirs, "calls/s"),
        summarise(
            "orchestration: calls a profile", [run["calls"] / run["profiles"] for run in ours], "calls"
        ),
        summarise(
            "orchestration: CPU of Limner", [1e3 * run["cpu"] / run["calls"] for run in ours], "ms/call"
        ),
        summarise(
            "orchestration: CPU of bare LiteLLM", [1e3 * run["cpu"] / run["calls"] for run in bare], "ms/call"
        ),
    ]


def summarise(name: str, values: Sequence[float], unit: str) -> Measure:
    """Return the median of several results.

    Examples:
        >>> found = summarise("start", [3.0, 1.0, 2.0], "s")
        >>> found.value, found.n, found.spread
        (2.0, 3, (1.0, 3.0))
    """
    spread = (min(values), max(values)) if len(values) > 1 else None
    return Measure(measure=name, value=statistics.median(values), unit=unit, n=len(values), spread=spread)


def measure_start(sizes: Sizes, notice: Notice) -> list[Measure]:
    """Measure the CPU of starting the command line and of importing the package."""
    found: list[Measure] = []
    for name, code, goal in (
        ("start: limner --help", "from limner.cli import main; main()", 0.7),
        ("start: import limner", "import limner", 0.3),
    ):
        notice(name)
        command = [sys.executable, "-c", code, *(["--help"] if "main" in code else [])]
        seconds = [_cpu_of(command) for _ in range(sizes.starts + 1)][1:]  # the first may compile modules
        measure = summarise(name, seconds, "s of CPU")
        found.append(replace(measure, goal=f"< {goal:g}", met=measure.value < goal))
    return found


def _cpu_of(command: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_memory(sizes: Sizes, folder: Path, notice: Notice) -> list[Measure]:
    """Measure the peak of memory while few and while many users are streamed, without a model."""
    peaks: list[float] = []
    for users in sizes.streams:
        notice(f"memory: {users:,} users")
        given = {"seed": sizes.seed, "users": users, "users_at_once": 16, "folder": str(folder / f"{users}")}
        work("fill", given)
        peaks.append(work("draw", given)["peak_mb"])
    few, many = (
        Measure(measure=f"memory: peak, {users:,} users streamed", value=peak, unit="MB", n=1)
        for users, peak in zip(sizes.streams, peaks, strict=True)
    )
    ratio = many.value / few.value
    growth = Measure(
        measure="memory: many against few",
        value=ratio,
        unit="ratio",
        goal="0.9 to 1.1",
        met=0.9 <= ratio <= 1.1,
        n=1,
    )
    return [growth, few, many]


def work(step: str, given: Mapping[str, Any], *, module: str = "limner.evals.bench.worker") -> dict[str, Any]:
    """Run one step of a worker module and return what it found.

    Raises:
        MeasurementError: It failed; the message has the last line of what it said.
    """
    return result_of(step, [sys.executable, "-m", module, step, json.dumps(given)])


def result_of(step: str, command: Sequence[str]) -> dict[str, Any]:
    """Run a command and return the JSON object in the last line that it prints.

    Raises:
        MeasurementError: It failed; the message has the last line of what it said.
    """
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=clean_environment())
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise MeasurementError(step, said[-1] if said else f"exit status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of Limner, and with nothing that reaches for the network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}
    return {**kept, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "HF_HUB_OFFLINE": "1"}


@contextmanager
def model_server(delay: float) -> Generator[str]:
    """Serve answers from another process; yields the base URL."""
    command = [sys.executable, "-m", "limner.evals.bench.server", "--delay", str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None, "asked for above"
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
