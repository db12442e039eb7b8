"""The suite `sequential`: what will each user choose next, out of the whole catalogue."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from pydantic import PositiveInt

from ...errors import MissingExtraError
from ...records import Record
from ..prepared import own_options, prepare
from ..ranking import Timed, Trial, run_system
from ..registry import build
from ..results import DataCard, Measured, Probe
from ..sampled import Sampling, sample_negatives
from ..suite import Task


class SequentialOptions(Record):
    """What `--set` may say besides how data are loaded."""

    negatives: PositiveInt | None = None
    """Also rank among so many sampled items a user; only to stand beside sources that did so."""

    sampling: Sampling = "uniform"
    """`popular` samples in proportion to how often an item was chosen."""


class Sequential:
    """Full ranking, history masked, over everybody and over buckets of items and users."""

    name = "sequential"
    together = False
    default_systems = ("popularity", "bigram", "seqknn", "history", "id-order")
    """What every table shows beside the system under test."""

    def check(self, task: Task) -> None:
        """Refuse a spec or an option that cannot be.

        Raises:
            SettingsError: Says which.
        """
        own_options(task, SequentialOptions)
        with suppress(MissingExtraError):  # said when its turn comes; it stops no other system
            build(task.system, task.workspace)

    def measure(self, task: Task) -> Sequence[Measured]:
        """Fit on the past, tune on validation users, ask test users."""
        [folder] = task.data
        prepared = prepare(task, folder)
        timed = Timed(system=build(task.system, task.workspace), notice=task.workspace.notice)
        timed.fit(prepared.split.past)
        timed.tune(prepared.split.validation, task.seed)
        options = own_options(task, SequentialOptions)
        past, problem, count = prepared.split.past, prepared.test, options.negatives
        trial = Trial(
            past=past,
            problem=problem,
            dataset=prepared.dataset.card.name,
            split=prepared.split.name,
            ties=task.ties,
            seed=task.seed,
            sampled=sample_negatives(problem, past, count=count, seed=task.seed, sampling=options.sampling)
            if count
            else None,
        )
        measured = run_system(timed, trial)
        return [replace(measured, notes=(*prepared.notes, *measured.notes))]

    def guard(self, task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
        """Return the card of the data, and what the probes for leaks found in it."""
        [folder] = task.data
        prepared = prepare(task, folder)
        return [prepared.data], prepared.probes
