"""Commands that measure all of it: `bench` itself, `bench million`, `bench model`, `bench growth`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, LimnerError
from .bench import app, show_report
from .common import JsonOption, err, fail, wants_json

__all__ = ["app"]


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Measure one part; repeatable.")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Small sizes, to see that it runs; the goals are not meant for them."),
    ] = False,
    page: Annotated[Path | None, typer.Option("--out", help="Markdown file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure speed, as ratios within one run: every part of Limner over the bare work it is made of.

    Parts are orchestration, critique, store, encoder, model, evaluation, import and costs. Needs the weights of the
    encoder and of the embedded model, and no network. The commands below measure one thing closely.

    Examples:  limner bench --only import --only store  ·  limner bench --out docs/benchmarks/all.md
    """
    if context.invoked_subcommand is not None:
        return
    from ..evals.bench.ratios import PARTS, QUICK, Sizes, run_ratios

    as_json = wants_json(as_json)
    if unknown := [name for name in only or [] if name not in PARTS]:
        fail(InputError(f"--only {unknown[0]!r} is not one of {', '.join(PARTS)}"), as_json=as_json)
    words = ["limner bench", *(["--quick"] if quick else []), *(f"--only {name}" for name in only or [])]
    try:
        with err.status("starting") as status:
            report = run_ratios(
                QUICK if quick else Sizes(), command=" ".join(words), only=only or (), notice=status.update
            )
    except LimnerError as error:
        fail(error, as_json=as_json)
    show_report(report, page, as_json=as_json)


@app.command("million")
def million(
    share: Annotated[
        float, typer.Option("--share", min=0.001, max=1.0, help="Part of the million events and their users.")
    ] = 1.0,
    embedder: Annotated[
        str | None, typer.Option("--embedder", help="Encoder of items and sentences (default minilm).")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Folder to build files and store in; removed at the end if absent."),
    ] = None,
    page: Annotated[Path | None, typer.Option("--out", help="Markdown file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take a million invented events of a hundred thousand users from files to recommendations, without a model.

    Example:  limner bench million --share 0.01
    """
    from ..evals.bench.million import Sizes, run_million

    as_json = wants_json(as_json)
    sizes = Sizes().share(share)
    sizes = replace(sizes, embedder=embedder or sizes.embedder)
    words = ["limner bench million", *([f"--share {share:g}"] if share < 1 else [])]
    words += [f"--embedder {embedder}"] if embedder else []
    try:
        with err.status("starting") as status:
            report = run_million(sizes, command=" ".join(words), folder=folder, notice=status.update)
    except LimnerError as error:
        fail(error, as_json=as_json)
    show_report(report, page, as_json=as_json)


@app.command("model")
def model(
    users: Annotated[int | None, typer.Option("--users", min=1, help="Users drawn (default 4).")] = None,
    page: Annotated[Path | None, typer.Option("--out", help="Markdown file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Count what the embedded model reads of the prompts that are billed. Needs its weights; takes minutes.

    Example:  limner bench model --out docs/benchmarks/model.md
    """
    from ..evals.bench.efficiency import Sizes, run_efficiency

    as_json = wants_json(as_json)
    sizes = Sizes(users=users or Sizes().users)
    words = ["limner bench model", *([f"--users {users}"] if users else [])]
    try:
        with err.status("starting") as status:
            report = run_efficiency(sizes, command=" ".join(words), notice=status.update)
    except LimnerError as error:
        fail(error, as_json=as_json)
    show_report(report, page, as_json=as_json)


@app.command("growth")
def growth(
    times: Annotated[
        str, typer.Option("--times", help="What users, items and histories are multiplied with, by commas.")
    ] = "1,10,100",
    plot: Annotated[Path | None, typer.Option("--plot", help="PNG or SVG file to draw.")] = None,
    page: Annotated[Path | None, typer.Option("--out", help="Markdown file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure work, memory and calls as users, items and histories grow. The events are invented.

    Example:  limner bench growth --times 1,10 --plot growth.png
    """
    from ..evals.bench.growth import Sizes, run_growth

    as_json = wants_json(as_json)
    if plot is not None and plot.suffix not in (".png", ".svg"):
        fail(InputError(f"--plot {str(plot)!r} must end in .png or .svg"), as_json=as_json)
    try:
        factors = tuple(int(part) for part in times.split(","))
    except ValueError:
        factors = ()
    if len(factors) < 2 or factors[0] < 1 or list(factors) != sorted(set(factors)):
        fail(InputError(f"--times {times!r} must be two or more rising numbers, by commas"), as_json=as_json)
    words = f"limner bench growth --times {times}"
    try:
        with err.status("starting") as status:
            report = run_growth(Sizes(times=factors), command=words, plot=plot, notice=status.update)
    except LimnerError as error:
        fail(error, as_json=as_json)
    show_report(report, page, as_json=as_json)
