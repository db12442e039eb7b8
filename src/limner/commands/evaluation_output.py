"""What `limner eval SUITE` says: how each system ended, and the tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import err, note, out, print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ..evals.foresight import Foreseen
    from ..evals.report.markdown import Table as Tabular
    from ..evals.results import Result
    from ..evals.runner import Done

_NAME_WIDTH, _CELL_WIDTH = 26, 24
"""Columns of text that a system's name and a value with its interval take in a table."""


def tell(done: "Done") -> None:
    """Say on standard error how one system ended."""
    from ..evals.runner import UNFINISHED

    data = [path.name for path in done.planned.task.data]
    name = " ".join(data if done.of_data else [done.planned.task.system, "on", *data])
    if done.error is not None:
        err.print(f"[bold red]{done.error.code}[/]: ", end="")
        note(f"{name}: {done.error}")
    elif done.skipped:
        note(f"{name}: finished before, skipped", style="dim")
    if done.result and not done.result.complete:
        err.print(f"INCOMPLETE: {name}: {UNFINISHED}", style="yellow", markup=False, soft_wrap=True)
    if done.result and not done.result.valid:
        failed = ", ".join(probe.name for probe in done.result.probes if not probe.passed)
        err.print(f"INVALID: {name}: failed probes: {failed}", style="bold red", markup=False, soft_wrap=True)


def print_plan(foreseen: "Sequence[Foreseen]", *, as_json: bool, fresh: bool) -> None:
    """Print what would be made, and what it takes where the suite can tell."""
    if as_json:
        return print_json([_as_json(each) for each in foreseen])
    for each in foreseen:
        state = "finished" if each.planned.finished and not fresh else "to run"
        taken = f"  {_taken(each)}" if each.bill else ""
        say(f"{state:9} {each.planned.path}{taken}")
    bills = [each for each in foreseen if each.bill]
    if not bills:
        return None
    if any(each.seconds is None for each in bills):
        model = bills[0].planned.task.workspace.settings.model
        note(f"No result here tells how fast {model} is; one of a few questions (`--users 5`) will.")
    elif len(bills) > 1:
        total = sum(each.seconds or 0.0 for each in bills)
        say(f"all together about {_spoken(total)}")
    for line in dict.fromkeys(each.bill.left_out for each in bills if each.bill and each.bill.left_out):
        note(f"Not in it: {line}.")
    return None


def _as_json(each: "Foreseen") -> dict[str, Any]:
    task, bill = each.planned.task, each.bill
    plan = {
        "system": task.system,
        "data": [str(path) for path in task.data],
        "file": str(each.planned.path),
        "finished": each.planned.finished,
    }
    return plan if bill is None else {**plan, **bill._asdict(), "seconds": each.seconds}


def _taken(each: "Foreseen") -> str:
    assert each.bill is not None, "only of what has one"
    took = "" if each.seconds is None else f", about {_spoken(each.seconds)}"
    return f"{each.bill.calls:,} calls, at most {each.bill.tokens:,} tokens{took}"


def _spoken(seconds: float) -> str:
    """Return a duration as people say it.

    Examples:
        >>> _spoken(42), _spoken(600), _spoken(9000)
        ('42 s', '10 min', '2.5 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def print_results(results: "list[Result]", folder: Path, *, as_json: bool, failed: "list[Done]") -> None:
    """Print what was measured: tables, or one JSON document with what went wrong."""
    from ..evals.report.markdown import tables
    from ..evals.report.report import BILLED, sections_of, unmeasured

    if as_json:
        errors = [
            {
                "system": None if each.of_data else each.planned.task.system,
                "data": [path.name for path in each.planned.task.data],
                "code": each.error.code,
                "message": str(each.error),
            }
            for each in failed
            if each.error
        ]
        return print_json(
            {
                "results": [result.model_dump(mode="json") for result in results],
                "errors": errors,
                "out": str(folder),
            }
        )
    for section in sections_of(results):
        headline = "bill" if section.place.suite == BILLED else "metrics"
        for table in tables(section):
            if table.about in (headline, "weights"):
                title = section.place.title if table.about == headline else table.caption
                out.print(_drawn(table, title))
    for line in unmeasured(results):
        say(line)
    if not results:
        return
    out.print(
        f"results in {folder}; `limner eval report {folder}` makes pages of them",
        markup=False,
        soft_wrap=True,
    )


def _drawn(table: "Tabular", title: str) -> "Table":
    """Draw a table for the terminal, with as many measured columns as it has room for; names fold, numbers never."""
    from rich.table import Table

    from ..evals.report.markdown import MEASURED

    measured = table.about in MEASURED
    shown = 1 + max(1, (out.width - _NAME_WIDTH) // _CELL_WIDTH) if measured else len(table.head)
    drawn = Table(title=title, title_justify="left")
    for place, head in enumerate(table.head[:shown]):
        drawn.add_column(head, overflow="fold", no_wrap=place > 0 and table.about != "weights")
    for line in table.lines:
        drawn.add_row(*(cell.replace(" n=", "\nn=") for cell in line[:shown]))
    return drawn
