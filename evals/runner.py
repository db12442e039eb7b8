"""Runs a suite over data sets and systems: one result file each, finished ones skipped.

A result's file name carries the hash of everything that decides its outcome (`Result.key`), so a run that was
killed goes on where it stopped, and a changed option, data file or line of code is a new run.
"""

import asyncio
import multiprocessing
import re
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import LimnerError, SettingsError
from ..records import content_hash
from ..sections import EngineSettings
from .provenance import code_hash, file_hashes, machine_facts, spec_hash, versions
from .result_files import load_result, save_result
from .results import Measured, Result, SystemCost, Weight
from .rows import rows_of
from .suite import Checking, Suite, Task
from .suite_list import SUITES
from .workspace import Workspace, say_nothing

UNFINISHED = "a model or the budget failed in part; the same command measures it again"

_UNDECIDING = {"store", "models_dir", "database_url", "database", "chroma_url", "budget", "engine", "batch"}
"""Settings that no complete result depends on; a larger budget goes on with what a smaller one left."""


class Planned(NamedTuple):
    """One file that a run makes."""

    suite: str
    task: Task
    key: str
    path: Path
    command: str

    @property
    def finished(self) -> bool:
        """Whether the very same run already left its result, and nothing in it waits for a model or a budget."""
        try:
            left = load_result(self.path)
        except LimnerError:
            return False
        return left.key == self.key and left.complete and self.path.with_suffix(".npz").exists()


class Done(NamedTuple):
    """How one planned file ended: a result, or the error that stopped it."""

    planned: Planned
    result: Result | None
    error: LimnerError | None
    skipped: bool = False
    of_data: bool = False
    """Whether `error` is about the data, so that no system can be measured on them."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was asked for."""

    suite: str
    data: tuple[Path, ...]
    systems: tuple[str, ...]
    """Specs; empty for the suite's own."""

    out: Path
    task: Task
    """A task with everything but its system and data."""

    command: str
    jobs: int = 1
    fresh: bool = False
    """Run again what is finished."""

    engine: EngineSettings | None = None
    """Ray cluster that measures, in place of processes here; every node sees data and results under the same paths."""


def load_suite(name: str) -> Suite:
    """Return a suite by its name.

    Raises:
        SettingsError: There is none of this name.
    """
    if name not in SUITES:
        raise SettingsError("suite", f"{name!r} is unknown; the suites are {', '.join(SUITES)}")
    module, _, kind = SUITES[name].place.partition(":")
    suite: Suite = getattr(import_module(f".suites.{module}", package=__package__), kind)()
    return suite


def plan(run: Run) -> tuple[Planned, ...]:
    """Return every file that a run makes, without making any.

    Raises:
        SettingsError: There is nothing to measure on, no such suite, a spec or option cannot be, or a budget
            would have to hold over several processes.
        UnknownFormatError: A data folder is missing.
    """
    suite = load_suite(run.suite)
    if suite.together and len(run.data) < 2:
        raise SettingsError("--data", f"suite `{run.suite}` needs two or more: the first is fitted on")
    if not run.data:
        raise SettingsError("--data", f"suite `{run.suite}` needs one or more folders")
    limits = run.task.workspace.settings.budget.model_dump(exclude_none=True)
    if (run.jobs > 1 or run.engine) and limits:
        names = ", ".join(f"`budget.{name}`" for name in limits)
        option, who = ("--engine", "a cluster") if run.engine else ("--jobs", f"{run.jobs} processes")
        raise SettingsError(option, f"{who} cannot share one budget; use one process, or unset {names}")
    groups = [run.data] if suite.together else [(folder,) for folder in run.data]
    systems = tuple(dict.fromkeys(run.systems or suite.default_systems))
    tasks = [replace(run.task, system=spec, data=group) for group in groups for spec in systems]
    if isinstance(suite, Checking):
        for task in tasks:
            suite.check(task)
    return tuple(_planned(run, task) for task in tasks)


def execute(run: Run) -> Generator[Done]:
    """Make what is planned; yields each result as it is there, and goes on past a system's typed error.

    What is wrong with data is yielded once, whichever systems were to be measured on them.
    """
    waiting: list[Planned] = []
    for planned in plan(run):
        if not run.fresh and planned.finished:
            yield Done(planned, load_result(planned.path), None, skipped=True)
        else:
            waiting.append(planned)
    useless: set[tuple[Path, ...]] = set()
    each = _by_ray(run.engine, waiting) if run.engine else _each(run.jobs, waiting, useless)
    for done in each:
        data = done.planned.task.data
        if done.of_data and data in useless:
            continue
        if done.of_data:
            useless.add(data)
        yield done


def _each(jobs: int, waiting: Sequence[Planned], useless: AbstractSet[tuple[Path, ...]]) -> Iterator[Done]:
    """Make each planned file; what is to be measured on `useless` data is left out as far as that is known."""
    if jobs <= 1 or len(waiting) <= 1:
        yield from (_make(item) for item in waiting if item.task.data not in useless)
        return
    quiet = [
        item._replace(task=replace(item.task, workspace=_silenced(item.task.workspace))) for item in waiting
    ]
    # A forked child of a process with threads (onnxruntime, BLAS) may hang.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(jobs, len(quiet)), context, initializer=_leave_interrupts_to_the_parent)
    try:
        with _interrupts_held():
            futures = [pool.submit(_make, item) for item in quiet]
        for future in as_completed(futures):
            yield future.result()
    except (KeyboardInterrupt, GeneratorExit):  # the second where Ctrl-C reached whoever reads the results
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        # Not `future.cancel`: a pool that lost its workers chokes on a future cancelled behind its back
        # (https://github.com/python/cpython/pull/108974). Joins the workers.
        pool.shutdown(cancel_futures=True)


def _by_ray(engine: EngineSettings, waiting: Sequence[Planned]) -> Iterator[Done]:
    """Make each planned file on a cluster; one whose worker dies is made by another."""
    from ..engines.ray_stream import cluster, results_of

    with cluster(engine):
        for _, done in results_of(engine, _Maker, [_anywhere(item) for item in waiting]):
            yield done


def _anywhere(item: Planned) -> Planned:
    """Return a task for a process that runs in another folder."""
    workspace = _silenced(item.task.workspace)
    settings = workspace.settings
    settings = settings.model_copy(update={"store": settings.store.resolve()})
    data = tuple(folder.resolve() for folder in item.task.data)
    task = replace(
        item.task,
        workspace=replace(workspace, settings=settings, folder=workspace.folder.resolve()),
        data=data,
    )
    return item._replace(task=task, path=item.path.resolve())


class _Maker:
    """Makes planned files, one at a time in each process."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def work(self, number: int, task: Planned) -> Done:
        """Make one."""
        del number
        async with self._turn:
            return await asyncio.to_thread(_make, task)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _interrupts_held() -> Generator[None]:
    """Hold Ctrl-C back while workers start: they inherit that, and are deaf to it while they still import."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _make(planned: Planned) -> Done:
    """Measure, and save."""
    started, clock = datetime.now(UTC), time.perf_counter()
    suite, task = load_suite(planned.suite), planned.task
    try:
        data, found = suite.guard(task)
    except LimnerError as error:
        return Done(planned, None, error, of_data=True)
    try:
        measured = suite.measure(task)
    except LimnerError as error:
        return Done(planned, None, error)
    probes = (*found, *(probe for part in measured for probe in part.probes))
    result = Result(
        suite=planned.suite,
        command=planned.command,
        key=planned.key,
        settings=_settings(task),
        rows=rows_of(measured, seed=task.seed),
        probes=probes,
        valid=all(probe.passed for probe in probes),
        complete=all(part.complete for part in measured),
        data=tuple(data),
        cost=tuple(_cost(part) for part in measured),
        weights=tuple(weight for part in measured for weight in _weights(part)),
        notes=tuple(dict.fromkeys(note for part in measured for note in _notes(part))),
        versions=versions(),
        machine=machine_facts(),
        started=started,
        seconds=time.perf_counter() - clock,
    )
    save_result(result, measured, planned.path)
    return Done(planned, result, None)


def _planned(run: Run, task: Task) -> Planned:
    hashes = [sorted(file_hashes(folder).items()) for folder in task.data]
    facts = _settings(task) | {"models": _models(task), "system_file": spec_hash(task.system)}
    key = content_hash(run.suite, sorted(facts.items(), key=lambda fact: fact[0]), hashes, code_hash())
    names = [run.suite, *(folder.name.partition(".")[0] for folder in task.data), task.split, task.system]
    name = "--".join(_slug(part) for part in names)[:120]
    return Planned(run.suite, task, key, run.out / f"{name}--{key[:8]}.json", run.command)


def _settings(task: Task) -> dict[str, Any]:
    """Return the options that decide a result, with the models that answer; no path of the machine."""
    settings = task.workspace.settings
    return {
        "system": task.system,
        "data": [folder.name for folder in task.data],
        "split": task.split,
        "users": task.users,
        "seed": task.seed,
        "ties": task.ties,
        "options": dict(sorted(task.options.items())),
        "chat_model": settings.model,
        "encoder": settings.embedder,
    }


def _models(task: Task) -> str:
    """Return a hash of Limner's own settings, but for where it keeps things and what it may spend."""
    return content_hash(task.workspace.settings.model_dump_json(exclude=_UNDECIDING))


def _notes(part: Measured) -> tuple[str, ...]:
    return part.notes if part.complete else (f"INCOMPLETE: {part.system}: {UNFINISHED}", *part.notes)


def _cost(part: Measured) -> SystemCost:
    return SystemCost(system=part.system, dataset=part.dataset, cost=part.cost)


def _weights(part: Measured) -> Iterator[Weight]:
    for bucket, shares in part.weights.items():
        for name, weight in shares.items():
            yield Weight(system=part.system, dataset=part.dataset, bucket=bucket, part=name, weight=weight)


def _silenced(workspace: Workspace) -> Workspace:
    """Return a workspace that can be sent to another process."""
    return replace(workspace, notice=say_nothing)


def _slug(words: str) -> str:
    """Return words as a part of a file's name.

    Examples:
        >>> _slug("seqknn:window=10,decay=0.7 + mine/new.py::Newest")
        'seqknn-window-10-decay-0.7-mine-new.py-Newest'
    """
    return re.sub(r"[^\w.]+", "-", words).strip("-")
