"""How commands that write a folder of parts begin and end."""

from pathlib import Path

import typer

from ..batch_verbs import BatchReport
from ..errors import InputError
from .common import fail, note, print_json, say


def require_parts(engine: str, parts: Path | None, *, as_json: bool) -> None:
    """End the command if the engine has nowhere to put what it does."""
    if engine != "asyncio" and parts is None:
        fail(InputError(f"--engine {engine} writes a folder; name one with --out DIR"), as_json=as_json)


def show_batch(report: BatchReport, *, as_json: bool) -> None:
    """Print what a batch did; end with status 1 if something is left to be done."""
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        cost = f", ${report.usage.cost:.4f}" if report.usage.cost else ""
        say(
            f"{report.rows:,} users in {report.parts - report.skipped - report.left:,} parts, {report.skipped:,} were "
            f"there; {report.usage.calls:,} calls, {report.usage.tokens:,} tokens{cost}, {report.seconds:.1f} s"
        )
        say(f"written to {report.folder}")
    if report.failed:
        note(
            f"{report.failed:,} rows are errors or lack the model's words; --retry-failed does their parts again"
        )
    if report.left:
        note(
            f"{report.left:,} parts are left: the budget refused some of them; the same command with more goes on"
        )
    if report.failed or report.left:
        raise typer.Exit(1)
