"""A data set made ready for every system: loaded, split, probed, its test users drawn; once for each process."""

from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import SettingsError
from ..records import Record
from .dataset import Dataset
from .global_time import global_time
from .leave_one_out import leave_one_out
from .loading.item_files import Catalogue
from .loading.load import load
from .loading.ordering import TieShuffle
from .options import NoOptions, OptionsT, read_options, unknown
from .probes import run_probes
from .problems import sample
from .provenance import data_card
from .results import DataCard, Probe
from .splits import Problem, Split
from .suite import Task

SPLITS = ("leave-one-out", "global-time")


class LoadOptions(Record):
    """What `--set` may say about loading and splitting, in every suite that reads interactions."""

    tie_shuffle: TieShuffle = "moments"
    """`rising-ids` takes a run of rising item ids for one moment, where a source has an order but no times."""

    catalogue: Catalogue = "all"
    """`chosen` ranks only items that anybody ever chose."""

    answers: Literal["first", "all"] = "first"
    """`global-time`: whether to ask for a user's first new item after the moment, or for all of them."""

    cold: bool = False
    """`global-time`: whether users without any event before the moment are asked too."""


class Prepared(NamedTuple):
    """Everything about a data set that does not depend on the system."""

    dataset: Dataset
    split: Split
    test: Problem
    """The test queries, or as many of them as were asked for."""

    data: DataCard
    probes: tuple[Probe, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the split and of who was asked."""
        asked, total = len(self.test.queries), len(self.split.test.queries)
        drawn = (f"{asked:,} of {total:,} test queries, drawn by seed.",) if asked < total else ()
        return (*self.split.notes, *drawn)


def prepare(task: Task, folder: Path) -> Prepared:
    """Return a data set made ready; the same object for every system of a process.

    Raises:
        SettingsError: The split or an option is unknown.
        UnknownFormatError: There is no such data, or nobody can read it.
    """
    if task.split not in SPLITS:
        raise SettingsError("--split", f"{task.split!r} is unknown; the splits are {', '.join(SPLITS)}")
    chosen = _loading(task)
    task.workspace.notice(f"{folder.name}: reading")
    return _prepare(
        folder.resolve(), _stamp(folder), task.split, task.seed, task.users, chosen.model_dump_json()
    )


def check_options(task: Task) -> None:
    """Refuse options that a suite without options of its own does not know.

    Raises:
        SettingsError: One is unknown, or has a value it cannot have.
    """
    own_options(task, NoOptions)


def own_options(task: Task, model: type[OptionsT]) -> OptionsT:
    """Read a suite's own options, and check those of loading, which `prepare` reads.

    Raises:
        SettingsError: One is unknown, or has a value it cannot have.
    """
    known = (*model.model_fields, *LoadOptions.model_fields)
    for name in task.options:
        if name not in known:
            raise SettingsError(f"--set:{name}", unknown(name, known, "options"))
    _loading(task)
    own = {name: value for name, value in task.options.items() if name in model.model_fields}
    return read_options(model, "--set", own)


def _loading(task: Task) -> LoadOptions:
    shared = {name: value for name, value in task.options.items() if name in LoadOptions.model_fields}
    return read_options(LoadOptions, "--set", shared)


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a file of the data changes."""
    paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    facts = [(path.name, path.stat()) for path in paths if path.is_file()]
    return tuple((name, fact.st_size, fact.st_mtime_ns) for name, fact in facts)


@lru_cache(maxsize=4)
def _prepare(folder: Path, stamp: object, split: str, seed: int, users: int | None, options: str) -> Prepared:
    del stamp
    chosen = LoadOptions.model_validate_json(options)
    dataset = load(folder, seed=seed, tie_shuffle=chosen.tie_shuffle, catalogue=chosen.catalogue)
    if split == "global-time":
        taken = global_time(dataset, seed=seed, answers=chosen.answers, cold=chosen.cold)
    else:
        taken = leave_one_out(dataset, seed=seed)
    return Prepared(
        dataset=dataset,
        split=taken,
        test=sample(taken.test, users, seed=seed),
        data=data_card(folder, dataset.card),
        probes=tuple(run_probes(dataset, taken)),
    )
