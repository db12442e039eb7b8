"""Commands that measure: `bench core`, `bench eval`, `bench groups`, `bench serve`, `bench soak`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, LimnerError
from .common import JsonOption, err, fail, out, print_json, wants_json

if TYPE_CHECKING:
    from ..evals.bench.core import Report

_FEWEST_USERS = 200
_CACHE = Path.home() / ".cache" / "limner" / "bench"

app = typer.Typer()


@app.command("core")
def core(
    users: Annotated[
        int | None, typer.Option("--users", min=4, help="Profiles drawn against the server (default 500).")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Small sizes, to see that it runs; the goals are not meant for them."),
    ] = False,
    page: Annotated[Path | None, typer.Option("--out", help="Markdown file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what Limner adds around model calls, how fast it starts, and whether memory stays flat.

    Needs no key, no weights and no network: model calls go to a server on loopback.

    Example:  limner bench core --out docs/benchmarks/core.md
    """
    from ..evals.bench.core import QUICK, Sizes, run_core

    sizes = QUICK if quick else Sizes()
    sizes = replace(sizes, users=users or sizes.users)
    words = ["limner bench core", *(["--quick"] if quick else []), *([f"--users {users}"] if users else [])]
    as_json = wants_json(as_json)
    try:
        with err.status("starting") as status:
            report = run_core(sizes, command=" ".join(words), notice=status.update)
    except LimnerError as error:
        fail(error, as_json=as_json)
    show_report(report, page, as_json=as_json)


@app.command("eval")
def evaluation(
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Small sizes, to see that it runs; the goals are not meant for them."),
    ] = False,
    repeats: Annotated[
        int | None, typer.Option("--repeats", min=1, help="Times that each side is measured (default 5).")
    ] = None,
    rectools_python: Annotated[
        Path | None,
        typer.Option(
            "--rectools-python",
            help="Interpreter of an environment with RecTools, to measure it too.",
        ),
    ] = None,
    page: Annotated[Path | None, typer.Option("--out", help="Markdown file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast the evaluation harness ranks, measures and draws intervals, and in how much memory.

    Needs no data, no weights and no network. ranx is compared where it is installed.

    Example:  limner bench eval --out docs/benchmarks/eval.md
    """
    from ..evals.bench.eval import QUICK, Sizes, run_eval

    sizes = QUICK if quick else Sizes()
    sizes = replace(sizes, repeats=repeats or sizes.repeats)
    words = ["limner bench eval", *(["--quick"] if quick else [])]
    words += [f"--repeats {repeats}"] if repeats else []
    words += ["--rectools-python PYTHON"] if rectools_python else []
    as_json = wants_json(as_json)
    try:
        with err.status("starting") as status:
            report = run_eval(
                sizes, command=" ".join(words), rectools_python=rectools_python, notice=status.update
            )
    except LimnerError as error:
        fail(error, as_json=as_json)
    show_report(report, page, as_json=as_json)


@app.command("groups")
def groups(
    users: Annotated[
        str, typer.Option("--users", help="Numbers of invented users, rising, joined by commas.")
    ] = "10000,100000",
    plot: Annotated[Path | None, typer.Option("--plot", help="PNG or SVG file to draw.")] = None,
    page: Annotated[Path | None, typer.Option("--out", help="Markdown file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure time and memory of graphs and groups as users grow. The users are invented.

    Example:  limner bench groups --users 10000,100000,1000000 --plot groups.png
    """
    from ..evals.bench.groups import Sizes, run_groups

    as_json = wants_json(as_json)
    if plot is not None and plot.suffix not in (".png", ".svg"):
        fail(InputError(f"--plot {str(plot)!r} must end in .png or .svg"), as_json=as_json)
    try:
        counts = tuple(int(part) for part in users.split(","))
    except ValueError:
        counts = ()
    if not counts or counts[0] < _FEWEST_USERS or list(counts) != sorted(set(counts)):
        message = f"--users {users!r} must be rising numbers from {_FEWEST_USERS} up, joined by commas"
        fail(InputError(message), as_json=as_json)
    words = ["limner bench groups", "--users", users]
    try:
        with err.status("starting") as status:
            report = run_groups(Sizes(users=counts), command=" ".join(words), plot=plot, notice=status.update)
    except LimnerError as error:
        fail(error, as_json=as_json)
    show_report(report, page, as_json=as_json)


@app.command("serve")
def serve(
    users: Annotated[int, typer.Option("--users", min=1, help="Invented users.")] = 100_000,
    cues: Annotated[int, typer.Option("--cues", min=1, help="Cues of all of them.")] = 1_000_000,
    clients: Annotated[int, typer.Option("--clients", min=1, help="Clients at once.")] = 64,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Length of each load.")] = 30.0,
    think: Annotated[
        float, typer.Option("--think", min=0.01, help="Seconds that a paced client waits after an answer.")
    ] = 1.0,
    soak: Annotated[
        float, typer.Option("--soak", min=0.0, help="Seconds of the mixed load at the end; 0 for none.")
    ] = 600.0,
    database_url: Annotated[
        str | None, typer.Option("--database-url", help="PostgreSQL to use in place of SQLite.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder that keeps the built store for later runs.")
    ] = None,
    page: Annotated[Path | None, typer.Option("--out", help="Markdown file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast a server with many users answers, beside one that only reads rows. The users are invented.

    Example:  limner bench serve --users 2000 --cues 20000 --seconds 5 --soak 0
    """
    from ..evals.bench.serve import Sizes, run_serve

    as_json = wants_json(as_json)
    if cues < users:
        fail(InputError(f"--cues {cues} must be at least --users {users}"), as_json=as_json)
    sizes = Sizes(users=users, cues=cues, clients=clients, seconds=seconds, think=think, soak=soak)
    command = f"limner bench serve --users {users} --cues {cues} --clients {clients} --seconds {seconds:g} "
    command += f"--think {think:g} --soak {soak:g}{' --database-url URL' if database_url else ''}"
    folder = (cache or _CACHE) / f"serve-{users}-{cues}-{sizes.seed}"
    try:
        with err.status("starting") as status:
            notice = status.update
            report = run_serve(sizes, folder, command=command, database_url=database_url, notice=notice)
    except LimnerError as error:
        fail(error, as_json=as_json)
    show_report(report, page, as_json=as_json)


@app.command("engines")
def engines(
    rows: Annotated[int, typer.Option("--rows", min=256, help="Rows of each batch.")] = 20_000,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Ray actors.")] = 2,
    page: Annotated[Path | None, typer.Option("--out", help="Markdown file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what a row of a batch costs beside its own work, in this process and on Ray.

    Example:  limner bench engines --out docs/benchmarks/engines.md
    """
    from ..evals.bench.engines import Sizes, run_engines

    as_json = wants_json(as_json)
    command = f"limner bench engines --rows {rows} --workers {workers}"
    try:
        with err.status("starting") as status:
            report = run_engines(Sizes(rows=rows, workers=workers), command=command, notice=status.update)
    except LimnerError as error:
        fail(error, as_json=as_json)
    show_report(report, page, as_json=as_json)


@app.command("soak")
def soak(
    minutes: Annotated[float, typer.Option("--minutes", min=0.05, help="Length of the load.")] = 120.0,
    rate: Annotated[float, typer.Option("--rate", min=0.1, help="Requests a second.")] = 10.0,
    users: Annotated[int, typer.Option("--users", min=1, help="Invented users.")] = 1000,
    embedder: Annotated[
        str | None, typer.Option("--embedder", help="Encoder of the questions (default minilm).")
    ] = None,
    database_url: Annotated[
        str | None, typer.Option("--database-url", help="PostgreSQL to use in place of SQLite.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Folder to build the store in; removed at the end if absent."),
    ] = None,
    page: Annotated[Path | None, typer.Option("--out", help="Markdown file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Load a server steadily for a long time and tell what grows: memory, file handles, logs. The users are invented.

    Example:  limner bench soak --minutes 120 --out docs/benchmarks/soak.md
    """
    import tempfile

    from ..evals.bench.soak import Sizes, run_soak

    as_json = wants_json(as_json)
    sizes = Sizes(minutes=minutes, rate=rate, users=users, every=min(5.0, minutes * 60 / 40))
    sizes = replace(sizes, embedder=embedder or sizes.embedder)
    command = f"limner bench soak --minutes {minutes:g} --rate {rate:g} --users {users}"
    command += (
        f"{f' --embedder {embedder}' if embedder else ''}{' --database-url URL' if database_url else ''}"
    )
    try:
        with tempfile.TemporaryDirectory(prefix="limner-soak-") as own, err.status("starting") as status:
            where, notice = folder or Path(own), status.update
            report = run_soak(sizes, where, command=command, database_url=database_url, notice=notice)
    except LimnerError as error:
        fail(error, as_json=as_json)
    show_report(report, page, as_json=as_json)


def show_report(report: "Report", page: Path | None, *, as_json: bool) -> None:
    """Print a report and write its page."""
    from rich.table import Table

    from ..evals.bench.report import as_markdown, cells

    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(as_markdown(report), encoding="utf-8")
    if as_json:
        return print_json(report.as_json())
    table = Table("measure", "value", "lowest to highest", "n", "goal", "met")
    for measure in report.measures:
        table.add_row(*cells(measure))
    out.print(table)
    for name, reason in report.reasons.items():
        out.print(f"{name}: {reason}", markup=False, highlight=False, style="dim")
    if page is not None:
        out.print(f"written to {page}", markup=False, highlight=False)
