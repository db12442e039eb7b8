"""The suite `sequential`: what will each user choose next, out of the whole catalogue."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from ...errors import MissingExtraError
from ..prepared import check_options, prepare
from ..ranking import Asked, Timed, run_system
from ..registry import build
from ..results import DataCard, Measured, Probe
from ..suite import Task


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
        check_options(task)
        with suppress(MissingExtraError):  # said when its turn comes; it stops no other system
            build(task.system, task.workspace)

    def measure(self, task: Task) -> Sequence[Measured]:
        """Fit on the past, tune on validation users, ask test users."""
        [folder] = task.data
        prepared = prepare(task, folder)
        timed = Timed(system=build(task.system, task.workspace), notice=task.workspace.notice)
        timed.fit(prepared.split.past)
        timed.tune(prepared.split.validation, task.seed)
        asked = Asked(
            past=prepared.split.past,
            problem=prepared.test,
            dataset=prepared.dataset.card.name,
            split=prepared.split.name,
            ties=task.ties,
            seed=task.seed,
        )
        measured = run_system(timed, asked)
        return [replace(measured, notes=(*prepared.notes, *measured.notes))]

    def guard(self, task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
        """Return the card of the data, and what the probes for leaks found in it."""
        [folder] = task.data
        prepared = prepare(task, folder)
        return [prepared.data], prepared.probes
