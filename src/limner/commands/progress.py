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
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from ..face import Outcome
from ..records import Usage
from .common import err

if TYPE_CHECKING:
    from ..tools.import_report import ImportProgress


class BatchProgress:
    """A bar over a batch of portraits."""

    def __init__(self, label: str, total: int) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
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
        if drawn:
            self._spent += drawn.usage
        rate = self._bar.tasks[self._task].finished_speed or self._bar.tasks[self._task].speed or 0.0
        detail = f"{rate * 60:.1f}/min · {self._spent.calls} calls · {self._spent.tokens:,} tokens"
        if self._spent.cost:
            detail += f" · ${self._spent.cost:.4f}"
        self._bar.update(self._task, advance=1, detail=detail)


@contextmanager
def index_progress() -> Generator[Callable[[int, int], None]]:
    """Show a bar while the catalogue is embedded; nothing if there is nothing to embed."""
    with Progress(
        TextColumn("Indexing items"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as bar:
        task = bar.add_task("index", total=None, visible=False)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield update


@contextmanager
def import_progress() -> Generator[Callable[["ImportProgress"], None]]:
    """Show a bar over a file that is being checked or written."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]} rows"),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("import", total=1.0, rows=0)

        def update(at: "ImportProgress") -> None:
            name = f"{at.step} {Path(at.file).name}"
            bar.update(task, description=name, completed=at.share, rows=at.rows)

        yield update


class EvaluationProgress:
    """A bar over the systems of an evaluation, with what is being done."""

    def __init__(self, bar: Progress, suite: str, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task(suite, total=total, detail="")

    def notice(self, line: str) -> None:
        """Show what is being done."""
        self._bar.update(self._task, detail=line)

    def advance(self) -> None:
        """Count one finished system."""
        self._bar.update(self._task, advance=1)


@contextmanager
def evaluation_progress(suite: str, total: int) -> Generator[EvaluationProgress]:
    """Show a bar over an evaluation."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        yield EvaluationProgress(bar, suite, total)
