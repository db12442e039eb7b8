"""What a suite is: a name, systems to run when none are named, and one function.

    class Lengths:
        name = "lengths"
        default_systems = ("portrait",)

        def measure(self, task: Task) -> Sequence[Measured]:
            ...  # load `task.data`, run `task.system`, return one value per user and metric

The runner loops over data sets and systems, adds intervals, probes, versions and cost, and saves each result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from .bills import Bill
from .metrics import Ties
from .results import DataCard, Measured, Probe
from .workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Task:
    """One system, to be measured on one data set (suite `transfer`: fitted on the first, asked on the others)."""

    system: str
    """Spec of the system: `NAME[:key=value,…]`."""

    data: tuple[Path, ...]
    """Folders of the data sets; a suite that brings its own questions may have none."""

    split: str = "leave-one-out"
    """`leave-one-out` or `global-time`."""

    users: int | None = None
    """Test users drawn (seeded); absent for all of them."""

    seed: int = 0
    ties: Ties = "average"
    """Anything but `average` exists to reproduce other people's tables, and is labelled."""

    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further options of the suite, as given by `--set key=value`."""

    workspace: Workspace
    """Where caches live, which models answer, and who is told what is being done."""


class Suite(Protocol):
    """A way of measuring systems."""

    name: str
    default_systems: tuple[str, ...]
    """Specs run when none are named."""

    together: bool
    """Whether one task takes all data sets at once (`transfer`), not one each."""

    def measure(self, task: Task) -> Sequence[Measured]:
        """Measure one system; usually one entry, more if several systems or data sets come out of one run."""
        ...

    def guard(self, task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
        """Return cards of the data with their hashes, and what the probes for leaks found."""
        ...


@runtime_checkable
class Billed(Protocol):
    """A suite that can count what a task takes before anything is run."""

    def bill(self, task: Task) -> Bill:
        """Count calls and tokens; nothing is asked, drawn or written."""
        ...


@runtime_checkable
class Checking(Protocol):
    """A suite that can say what is wrong with a task before anything is run."""

    def check(self, task: Task) -> None:
        """Look at spec and options.

        Raises:
            SettingsError: One cannot be.
        """
        ...
