"""Progress on standard error: rate, time left, cost."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from ..outcome import Outcome
from ..records import Usage
from .common import err, note

if TYPE_CHECKING:
    from ..tools.import_report import ImportProgress


_LABEL = TextColumn("{task.description}")
_DETAIL = TextColumn("{task.fields[detail]}", markup=False)


class BatchProgress:
    """A bar over a batch of portraits."""

    def __init__(self, label: str, total: int) -> None:
        self._bar = _bar(_LABEL, BarColumn(), MofNCompleteColumn(), _DETAIL, TimeRemainingColumn())
        self._task = self._bar.add_task(label, total=total, detail="")
        self._spent = Usage()

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    def advance(self, outcome: Outcome) -> None:
        """Count one finished entry and what it cost."""
        drawn = outcome.profile or outcome.pair
        self.count(drawn.usage if drawn else Usage())

    def count(self, usage: Usage) -> None:
        """Count one finished entry that cost this much."""
        self._spent += usage
        rate = self._bar.tasks[self._task].finished_speed or self._bar.tasks[self._task].speed or 0.0
        detail = f"{rate * 60:.1f}/min · {self._spent.calls} calls · {self._spent.tokens:,} tokens"
        if self._spent.cost:
            detail += f" · ${self._spent.cost:.4f}"
        self._bar.update(self._task, advance=1, detail=detail)


@contextmanager
def index_progress() -> Generator[Callable[[int, int], None]]:
    """Show a bar while the catalogue is embedded; nothing if there is nothing to embed."""
    with _bar(_LABEL, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("Indexing items", total=None, visible=False)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield update


@contextmanager
def import_progress() -> Generator[Callable[["ImportProgress"], None]]:
    """Show a bar over a file that is being checked or written."""
    rows = TextColumn("{task.fields[rows]} rows")
    with _bar(_LABEL, BarColumn(), TaskProgressColumn(), rows) as bar:
        task = bar.add_task("import", total=1.0, rows=0)

        def update(at: "ImportProgress") -> None:
            name = f"{at.step} {Path(at.file).name}"
            bar.update(task, description=name, completed=at.share, rows=at.rows)

        yield update


class CountedProgress:
    """A bar over a known number of things, with what is being done."""

    def __init__(self, bar: Progress, label: str, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task(label, total=total, detail="")

    def notice(self, line: str) -> None:
        """Show what is being done."""
        self._bar.update(self._task, detail=line)

    def advance(self) -> None:
        """Count one finished thing."""
        self._bar.update(self._task, advance=1)


@contextmanager
def counted_progress(label: str, total: int) -> Generator[CountedProgress]:
    """Show a bar over things that are done one by one."""
    with _bar(_LABEL, BarColumn(), MofNCompleteColumn(), _DETAIL, TimeRemainingColumn()) as bar:
        yield CountedProgress(bar, label, total)


@contextmanager
def parts_progress(label: str) -> Generator[Callable[[int, int, Usage], None]]:
    """Show a bar over parts of a batch, with what they cost."""
    with _bar(_LABEL, BarColumn(), MofNCompleteColumn(), _DETAIL, TimeRemainingColumn()) as bar:
        task, spent = bar.add_task(label, total=None, detail=""), Usage()

        def update(done: int, total: int, usage: Usage) -> None:
            nonlocal spent
            spent += usage
            detail = f"{spent.calls:,} calls · {spent.tokens:,} tokens · ${spent.cost:.4f}"
            bar.update(task, completed=done, total=total, detail=detail)

        yield update


@contextmanager
def stepped_progress() -> Generator[Callable[[str, int, int], None]]:
    """Show a bar over a pass of several steps, each with things to count."""
    with _bar(_LABEL, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("Starting", total=None)

        def update(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield update


class TrainingProgress:
    """A bar over the steps of a run, which are counted once it begins; notices stay above it."""

    def __init__(self, bar: Progress, label: str) -> None:
        self._bar = bar
        self._task = bar.add_task(label, total=None, detail="")

    def notice(self, line: str) -> None:
        """Print what is being done, or what was found."""
        note(line)

    def advance(self, done: int, steps: int, words: str) -> None:
        """Show how far the run is."""
        self._bar.update(self._task, completed=done, total=steps, detail=words)


@contextmanager
def training_progress(label: str) -> Generator[TrainingProgress]:
    """Show a bar over a training run."""
    with _bar(_LABEL, BarColumn(), MofNCompleteColumn(), _DETAIL, TimeRemainingColumn()) as bar:
        yield TrainingProgress(bar, label)


def _bar(*columns: ProgressColumn) -> Progress:
    """Return a bar on standard error that goes when it is done, and is not there where nobody sees it move."""
    return _Bar(*columns, console=err, transient=True, disable=not err.is_terminal)


class _Bar(Progress):
    """A bar that, switched off, prints nothing at all: rich before 14 ends even such a one with an empty line."""

    def stop(self) -> None:
        """Take the bar away."""
        if not self.disable:
            super().stop()
