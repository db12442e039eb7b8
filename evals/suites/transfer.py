"""The suite `transfer`: fitted and tuned on the first data set, asked on the others, none of whose events it saw.

A system that knows items only by their ids has nothing to say about another catalogue; it is named in the notes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..dataset import Events
from ..prepared import Prepared, prepare
from ..ranking import Timed, Trial, run_system
from ..registry import build
from ..results import DataCard, Measured, Probe
from ..splits import Past
from ..suite import Task
from ..system import Learning, Movable, System, Tunable
from ..systems.bm25 import Bm25
from ..systems.fusion import Fusion
from ..systems.history import HistorySystem
from ..systems.history_portrait import HistoryPortraitSystem
from ..systems.portrait import PortraitSystem
from .sequential import Sequential

READERS = (Bm25, HistorySystem, HistoryPortraitSystem, PortraitSystem)
"""Systems whose `fit` on a catalogue without events looks at nothing but the texts of items."""


class Transfer:
    """Histories of users of another catalogue, read through what was learned on the first."""

    name = "transfer"
    together = True
    default_systems = ("bm25", "history")

    def check(self, task: Task) -> None:
        """Refuse a spec or an option that cannot be.

        Raises:
            SettingsError: Says which.
        """
        Sequential().check(task)

    def measure(self, task: Task) -> Sequence[Measured]:
        """Fit and tune once, then ask on each other data set."""
        source, *targets = (prepare(task, folder) for folder in task.data)
        timed = Timed(system=build(task.system, task.workspace), notice=task.workspace.notice)
        move = mover(timed.system)
        if move is None:
            return [_not_applicable(timed.system.name, source, target) for target in targets]
        if isinstance(timed.system, Movable | Tunable) or _learns(timed.system):
            timed.fit(source.split.past)
            timed.tune(source.split.validation, task.seed)
        return [_ask(timed, move, source, target, task) for target in targets]

    def guard(self, task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
        """Return the cards of all data sets, and what the probes for leaks found in each."""
        all_of_them = [prepare(task, folder) for folder in task.data]
        return [each.data for each in all_of_them], [probe for each in all_of_them for probe in each.probes]


def _learns(system: System) -> bool:
    return isinstance(system, Learning) and system.learns


def mover(system: System) -> Callable[[Past], None] | None:
    """Return what takes a system to another catalogue; absent if its knowledge is about ids.

    What learns from nothing but texts is simply fitted on the other catalogue; a fusion keeps its weights.
    """
    if isinstance(system, Movable):
        return system.move
    if isinstance(system, Fusion):
        return _mover_of_all([mover(part) for part in system.systems])
    return system.fit if type(system) in READERS else None


def _mover_of_all(movers: Sequence[Callable[[Past], None] | None]) -> Callable[[Past], None] | None:
    known = [move for move in movers if move is not None]
    if len(known) < len(movers):
        return None

    def move(past: Past) -> None:
        for each in known:
            each(past)

    return move


def _ask(
    timed: Timed, move: Callable[[Past], None], source: Prepared, target: Prepared, task: Task
) -> Measured:
    past = target.split.past
    own = replace(timed, score_seconds=0.0, queries=0)
    own.move(move, catalogue_only(past))
    trial = Trial(
        past=past,  # popularity for buckets and novelty; the system holds `catalogue_only`
        problem=target.test,
        dataset=_name(source, target),
        split=target.split.name,
        ties=task.ties,
        seed=task.seed,
    )
    measured = run_system(own, trial)
    return replace(measured, notes=(*target.notes, *measured.notes))


def catalogue_only(past: Past) -> Past:
    """Return a catalogue without any event; ids of users stay, to keep portraits and answers under."""
    none = np.empty(0, dtype=np.int64)
    nothing = Events(user=none, item=none, at=none, rating=np.empty(0, dtype=np.float32))
    return replace(past, events=nothing)


def _not_applicable(system: str, source: Prepared, target: Prepared) -> Measured:
    return Measured(
        system=system,
        dataset=_name(source, target),
        split=target.split.name,
        users=(),
        per_query={},
        notes=(f"{system}: not applicable: it knows items only by their ids.",),
    )


def _name(source: Prepared, target: Prepared) -> str:
    return f"{source.dataset.card.name} -> {target.dataset.card.name}"
