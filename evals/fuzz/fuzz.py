"""Feed everything that reads what strangers write with odd inputs, and count what was not answered as it should be."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from ...errors import InputError
from . import answer_targets, drawn_targets, file_targets, text_targets
from .watched import Kind, Tally, Target, Watched
from .web_target import Opened, web_target

Notice = Callable[[str], None]

HANG = 5.0
"""Seconds of work after which an input hangs: a thousand times what one takes."""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """What is fed."""

    inputs: int
    """Of all targets together."""

    seed: int
    targets: Sequence[str] = ()
    """Names, or beginnings of them; empty for all."""

    only: int | None = None
    """The one input to feed, to see a failure again; absent for all."""

    hang: float = HANG
    log: Path | None = None
    """File that takes what the processes print; absent to drop it."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of it."""

    trials: Trials
    tallies: Sequence[Tally]

    @property
    def ok(self) -> bool:
        """Whether nothing crashed, hung or answered with a fault."""
        return not any(tally.counts for tally in self.tallies)

    @property
    def inputs(self) -> int:
        """How many were fed."""
        return sum(tally.inputs for tally in self.tallies)

    def count(self, kind: Kind) -> int:
        """Return how many failures of one kind there were."""
        return sum(tally.counts.get(kind, 0) for tally in self.tallies)

    def as_json(self) -> dict[str, Any]:
        """Return it as one JSON document."""
        return {
            "seed": self.trials.seed,
            "inputs": self.inputs,
            "seconds": round(sum(tally.seconds for tally in self.tallies), 1),
            "crashes": self.count("crash"),
            "server_errors": self.count("server error"),
            "hangs": self.count("hang"),
            "targets": [asdict(tally) for tally in self.tallies],
        }


def all_targets(opened: Opened) -> list[Target]:
    """Return everything that can be fed."""
    groups = (answer_targets, file_targets, text_targets, drawn_targets)
    return [*(target for group in groups for target in group.TARGETS), web_target(opened)]


def run_fuzz(trials: Trials, opened: Opened, notice: Notice) -> Verdict:
    """Feed all targets, one after the other; nothing stays.

    It forks: call it from a process that has no other thread.

    Args:
        trials: How much, and to whom.
        opened: Runs the HTTP app on a store in a folder.
        notice: Told how far it is.

    Raises:
        InputError: No target has that name.
    """
    chosen = _chosen(all_targets(opened), trials.targets)
    folder = Path(tempfile.mkdtemp(prefix="limner-fuzz-"))
    shares = sum(target.share for target in chosen)
    tallies: list[Tally] = []
    try:
        for number, target in enumerate(chosen):
            watched = Watched(
                target,
                folder / str(number),
                seed=trials.seed,
                hang=trials.hang,
                log=trials.log or folder / "log",
            )
            first = trials.only or 0
            count = 1 if trials.only is not None else ceil(trials.inputs * target.share / shares)
            tallies.append(watched.run(first, count, partial(_tell, notice, target.name, count)))
            shutil.rmtree(folder / str(number), ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Verdict(trials=trials, tallies=tallies)


def _tell(notice: Notice, name: str, count: int, done: int) -> None:
    notice(f"{name}: {done:,} of {count:,}")


def _chosen(targets: list[Target], names: Sequence[str]) -> list[Target]:
    for name in names:
        if not any(target.name.startswith(name) for target in targets):
            raise InputError(f"target {name!r} is none of: {', '.join(target.name for target in targets)}")
    return [target for target in targets if not names or target.name.startswith(tuple(names))]
