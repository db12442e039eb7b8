"""Command `fuzz`: odd inputs for everything that reads what strangers write."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import LimnerError
from .common import JsonOption, err, fail, out, print_json, wants_json
from .serve import need_server

if TYPE_CHECKING:
    from ..evals.fuzz.fuzz import Verdict
    from ..evals.fuzz.web_target import Site


def fuzz(
    inputs: Annotated[int, typer.Option("--inputs", min=1, help="Inputs of all targets together.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="Decides every input.")] = 0,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="Feed only this, by name or its beginning; repeatable."),
    ] = None,
    only: Annotated[
        int | None,
        typer.Option("--only", min=0, help="Feed only the input of this number, to see a failure again."),
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", help="File that takes what the processes print.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Feed importers, readers of model answers, contexts and the HTTP API with odd inputs; count crashes and hangs.

    Everything is invented and lies in a folder of its own. Exit status 1 if anything crashed, hung, or was answered
    with a status of 500 and above.

    Example:  limner fuzz --inputs 1000000 --seed 1
    """
    need_server()
    from ..evals.fuzz.fuzz import Trials, run_fuzz

    as_json = wants_json(as_json)
    trials = Trials(inputs=inputs, seed=seed, targets=tuple(target or ()), only=only, log=log)
    try:
        verdict = run_fuzz(trials, _site, _Said())
    except LimnerError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(verdict.as_json())
    else:
        _show(verdict)
    if not verdict.ok:
        raise typer.Exit(1)


@asynccontextmanager
async def _site(folder: Path) -> "AsyncGenerator[Site]":
    """Run the HTTP app on a store in a folder."""
    from fastapi.routing import APIRoute

    from ..evals.fuzz.staged import settings_of, staged
    from ..evals.fuzz.web_target import Site
    from ..serve.http.app import create_app
    from ..serve.http.rooms import Rooms

    async with staged(folder):
        pass
    settings = settings_of(folder)
    async with Rooms(settings) as rooms:
        app = create_app(settings, rooms=rooms)
        pages = [
            (method, route.path)
            for route in app.routes
            if isinstance(route, APIRoute) and not route.include_in_schema
            for method in sorted(route.methods or ())
        ]
        async with app.router.lifespan_context(app):
            yield Site(app, app.openapi(), pages)


class _Said:
    """Says how far it is, on one line, without a thread of its own."""

    def __call__(self, words: str) -> None:
        if err.is_terminal:
            err.print(words.ljust(60), end="\r", highlight=False)


def _show(verdict: "Verdict") -> None:
    out.print(
        "| Target | Inputs | Refused | Crashes | 500 | Hangs | Slowest, s |", markup=False, highlight=False
    )
    out.print("|---|---|---|---|---|---|---|", markup=False, highlight=False)
    for tally in verdict.tallies:
        counts = [tally.counts.get(kind, 0) for kind in ("crash", "server error", "hang")]
        numbers = " | ".join(f"{number:,}" for number in (tally.inputs, tally.refused, *counts))
        out.print(f"| {tally.target} | {numbers} | {tally.slowest:.2f} |", markup=False, highlight=False)
    for tally in verdict.tallies:
        for failure in tally.failures:
            out.print(
                f"{failure.target} {failure.number}: {failure.kind}: {failure.words}",
                markup=False,
                highlight=False,
            )
    said = "nothing crashed or hung" if verdict.ok else "something crashed or hung"
    out.print(f"{verdict.inputs:,} inputs, seed {verdict.trials.seed}: {said}", markup=False, highlight=False)
