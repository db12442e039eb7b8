"""The benchmark of everything: what each part of Limner costs, over the bare work it is made of.

Both sides of a ratio take turns within one process, which does nothing else, so that a busy machine slows both.
Every ratio is of seconds of CPU, but for the orchestration, which waits for a server and is timed by the clock.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ..provenance import machine_facts
from . import core
from .core import Measure, Notice, Report, summarise, work
from .eval import WORKER as EVAL_WORKER

WORKER = "limner.evals.bench.ratio_worker"
COST_WORKER = "limner.evals.bench.cost_worker"
MOST = 1.15
LEAST_ROWS = 50_000


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    repeats: int = 5
    """How often both sides of a ratio are measured, in turn."""

    users: int = 200
    """Profiles drawn for the orchestration and for calls and tokens."""

    store_users: int = 2_000
    """Users whose events are recorded and read."""

    drafts: int = 400
    """Drafts that are criticised."""

    texts: int = 200
    """Texts that are encoded."""

    prompts: int = 4
    """Prompts that the embedded model answers."""

    ranked: int = 4_000
    """Users for whom a whole catalogue is ranked."""

    items: int = 12_101
    """Items of that catalogue, and of the one that portraits score."""

    rows: int = 200_000
    """Rows of each imported file."""

    models_dir: str | None = None
    """Where weights lie; absent for the default."""

    seed: int = 7
    """Seed of everything invented."""


QUICK = Sizes(
    repeats=2,
    users=12,
    store_users=100,
    drafts=20,
    texts=10,
    prompts=1,
    ranked=200,
    items=600,
    rows=4_000,
)
"""Seconds instead of minutes; the goals are set for the full sizes."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of Limner and the bare work beside it."""

    measure: Callable[[Sizes, Path, Notice], list[Measure]]
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])
    """By measure, why its goal is not met where it is not."""


def run_ratios(
    sizes: Sizes, *, command: str, only: Sequence[str] = (), notice: Notice = lambda _: None
) -> Report:
    """Measure every part, or only some.

    Args:
        sizes: How much.
        command: What the report says was run.
        only: Names in `PARTS`; all of them if empty.
        notice: Called with what is measured next.

    Raises:
        MeasurementError: A step failed.
    """
    measures: list[Measure] = []
    reasons: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="limner-bench-") as folder:
        for name in only or PARTS:
            notice(name)
            measures += PARTS[name].measure(sizes, Path(folder), notice)
            reasons |= PARTS[name].reasons
    missed = {measure.measure for measure in measures if measure.met is False}
    libraries = {name: version(name) for name in ("numpy", "onnxruntime", "xllamacpp")}
    return Report(
        bench="all",
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        seed=sizes.seed,
        machine=machine_facts() | libraries,
        sizes=asdict(sizes),
        measures=tuple(measures),
        reasons={name: reason for name, reason in reasons.items() if name in missed},
    )


def over(name: str, ours: Sequence[float], bare: Sequence[float]) -> Measure:
    """Return the median ratio of neighbouring measurements, which should be at most `MOST`.

    Examples:
        >>> found = over("a", [2.2, 3.0, 1.0], [2.0, 2.0, 1.0])
        >>> round(found.value, 3), found.spread, found.met
        (1.1, (1.0, 1.5), True)
    """
    measure = summarise(name, [a / b for a, b in zip(ours, bare, strict=True)], "ratio")
    return replace(measure, goal=f"<= {MOST:g}", met=measure.value <= MOST)


def measure_orchestration(sizes: Sizes, folder: Path, notice: Notice) -> list[Measure]:
    """Compare seconds a call with those of bare LiteLLM, from the benchmark `core`."""
    wanted = core.Sizes(users=sizes.users, repeats=max(2, sizes.repeats // 2), seed=sizes.seed)
    ratio, *_ = core.measure_orchestration(wanted, folder, notice)
    low, high = ratio.spread or (ratio.value, ratio.value)
    found = Measure(
        measure="orchestration over bare LiteLLM, by the clock",
        value=1 / ratio.value,
        unit="ratio",
        n=ratio.n,
        spread=(1 / high, 1 / low),
    )
    return [replace(found, goal=f"<= {MOST:g}", met=found.value <= MOST)]


def _compared(step: str, names: Mapping[str, str]) -> Callable[[Sizes, Path, Notice], list[Measure]]:
    """Return what runs a step of the worker and compares both sides of each of its parts."""

    def measured(sizes: Sizes, folder: Path, notice: Notice) -> list[Measure]:
        told = work(step, {**asdict(sizes), "folder": str(folder / step)}, module=WORKER)
        return [over(name, told[key]["ours"], told[key]["bare"]) for key, name in names.items()]

    return measured


def measure_evaluation(sizes: Sizes, folder: Path, notice: Notice) -> list[Measure]:
    """Compare scoring, and scoring with placing, with the product alone, from the benchmark `eval`."""
    given = {"users": sizes.ranked, "items": sizes.items, "repeats": sizes.repeats, "seed": sizes.seed}
    told = work("rank", {**given, "kind": "dense"}, module=EVAL_WORKER)
    return [
        over("full ranking: scoring over the bare product", told["score"], told["bare"]),
        over("full ranking: scoring and placing over the bare product", told["place"], told["bare"]),
    ]


def measure_import(sizes: Sizes, folder: Path, notice: Notice) -> list[Measure]:
    """Import the same events from three kinds of file; a rate by CPU is what one idle core does in a second."""
    told = work("import", {**asdict(sizes), "folder": str(folder / "import")}, module=WORKER)
    found: list[Measure] = []
    for kind in ("csv", "jsonl", "parquet"):
        rates = summarise(
            f"import: {kind}, by CPU", [sizes.rows / cpu for cpu in told[kind]["cpu"]], "rows/s"
        )
        by_clock = [sizes.rows / seconds for seconds in told[kind]["seconds"]]
        found += [
            replace(rates, goal=f">= {LEAST_ROWS}", met=rates.value >= LEAST_ROWS),
            summarise(f"import: {kind}, by the clock", by_clock, "rows/s"),
        ]
    return [
        *found,
        summarise("import: bare SQL, by CPU", [sizes.rows / cpu for cpu in told["bare"]], "rows/s"),
    ]


def measure_costs(sizes: Sizes, folder: Path, notice: Notice) -> list[Measure]:
    """Count calls and tokens with the default settings; nothing here depends on the machine."""
    with core.model_server(0.0) as url:
        given = {"url": url, "seed": sizes.seed, "users": sizes.users, "folder": str(folder / "costs")}
        told = work("costs", {**given, "calls_at_once": 16}, module=COST_WORKER)
    found: list[Measure] = []
    for what, facts in told.items():
        for unit in ("calls", "tokens"):
            found.append(Measure(measure=f"{unit}: {what}", value=facts[unit], unit=unit, n=facts["n"]))
    return found


_CLOSER = "a call that stands alone pays for a step into a thread and back, so that the event loop stays free"

PARTS: Mapping[str, Part] = {
    "orchestration": Part(measure=measure_orchestration),
    "critique": Part(
        measure=_compared(
            "critique",
            {
                "catalogue": "critique: portraits score a catalogue, over the bare product",
                "draft": "critique: a draft's whole grade, over its bare products",
            },
        ),
        reasons={
            "critique: portraits score a catalogue, over the bare product": (
                "the soft maximum over facets costs an exponential for every product's entry"
            ),
            "critique: a draft's whole grade, over its bare products": (
                "the products of one draft are tiny; nine terms, ranks, leaks and length are read besides"
            ),
        },
    ),
    "store": Part(
        measure=_compared(
            "store",
            {
                "record": "store: record, over bare SQL",
                "profile": "store: read a profile, over bare SQL",
                "history": "store: read a history, over bare SQL",
            },
        ),
        reasons={
            "store: record, over bare SQL": (
                "besides the row it checks what was forgotten, keeps when each user was first seen and the newest "
                "moment; " + _CLOSER
            ),
            "store: read a profile, over bare SQL": f"the bare side leaves JSON unread; {_CLOSER}",
            "store: read a history, over bare SQL": f"the bare side builds no objects; {_CLOSER}",
        },
    ),
    "encoder": Part(measure=_compared("encoder", {"embed": "embedding door over bare onnxruntime"})),
    "model": Part(
        measure=_compared("model", {"answer": "embedded model over bare llama.cpp"}),
        reasons={
            "embedded model over bare llama.cpp": (
                "the prompt's last token is read once more, alone, so that a seed gives one answer always"
            )
        },
    ),
    "evaluation": Part(
        measure=measure_evaluation,
        reasons={
            "full ranking: scoring over the bare product": "histories are masked and scores are read once more",
            "full ranking: scoring and placing over the bare product": (
                "a second pass over all scores counts who stands before and beside each answer; the product of 64 "
                "factors is itself little more than one such pass"
            ),
        },
    ),
    "import": Part(measure=measure_import),
    "costs": Part(measure=measure_costs),
}
