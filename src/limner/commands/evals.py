"""Commands that evaluate: `eval SUITE`, `eval compare`, `eval systems`, `eval data`, `eval report`."""

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import LimnerError, SettingsError
from ..evals.suite_list import SUITES
from .common import (
    INTERRUPTED,
    EngineOption,
    JsonOption,
    StoreOption,
    err,
    fail,
    out,
    print_json,
    say,
    settings_for,
    show_facts,
    wants_json,
)
from .evaluation_output import print_plan, print_results, tell

if TYPE_CHECKING:
    from ..evals.runner import Done, Run
    from ..evals.suite import Task

app = typer.Typer(
    no_args_is_help=True, help="Measure systems and portraits, with intervals and probes for leaks."
)

DataOption = Annotated[
    list[Path], typer.Option("--data", metavar="DIR", help="Folder or file of a data set; repeatable.")
]
SystemOption = Annotated[
    list[str] | None,
    typer.Option(
        "--system",
        metavar="SPEC",
        help="NAME[:key=value,…], several joined by ' + ', or FILE.py::Class; repeatable (default: the suite's own).",
    ),
]
UsersOption = Annotated[int | None, typer.Option("--users", min=1, help="Test users drawn (default: all).")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Decides everything drawn at random.")]
SplitOption = Annotated[
    Literal["leave-one-out", "global-time"], typer.Option("--split", help="How the future is taken apart.")
]
TiesOption = Annotated[
    Literal["average", "optimistic", "pessimistic"],
    typer.Option("--ties", help="Anything but average reproduces other people's tables, and is labelled."),
]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of results.")]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, help="Systems measured at once, a process each.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Further options of the suite; repeatable."),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Skip what is finished, or run everything again.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would run and what is finished; run nothing.")
]


def _suite(name: str) -> Callable[..., None]:
    """Make the command of one suite."""

    def command(
        data: DataOption,
        system: SystemOption = None,
        users: UsersOption = None,
        seed: SeedOption = 0,
        split: SplitOption = "leave-one-out",
        ties: TiesOption = "average",
        out_folder: OutOption = Path("results"),
        jobs: JobsOption = 1,
        engine: EngineOption = "asyncio",
        options: SetOption = None,
        resume: ResumeOption = True,
        dry_run: DryRunOption = False,
        store: StoreOption = None,
        as_json: JsonOption = False,
    ) -> None:
        given = {"split": split, "users": users, "seed": seed, "ties": ties}
        as_json = wants_json(as_json)
        try:
            task = _task(given, options or [], store)
            run = _asked(name, data, system or [], task, out_folder, jobs=jobs, fresh=not resume)
            if engine == "ray":
                run = replace(run, engine=run.task.workspace.settings.engine)
            _dry_run(run, as_json) if dry_run else _run(run, as_json)
        except LimnerError as error:
            fail(error, as_json=as_json)

    return command


for _name, _entry in SUITES.items():
    app.command(_name, help=_entry.help)(_suite(_name))


@app.command("compare")
def compare(
    a: Annotated[
        str, typer.Argument(help="Result file or folder, `#NAME` or `#SPEC` behind it for one system.")
    ],
    b: Annotated[str, typer.Argument(help="The same.")],
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="Metric to compare; repeatable (default: the usual ones)."),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare results user by user: paired randomisation tests, Holm-corrected over every row printed.

    Example:  limner eval compare results#seqknn results#popularity --metric ndcg@10
    """
    from rich.table import Table

    as_json = wants_json(as_json)
    try:
        from ..evals.compare import compare as compare_results
        from ..evals.report.markdown import number

        with err.status("comparing"):
            found = compare_results(a, b, metrics=metric or (), seed=seed)
    except LimnerError as error:
        fail(error, as_json=as_json)
    if as_json:
        return print_json([each.model_dump(mode="json") for each in found])
    pairs: dict[str, Table] = {}
    for each in found:
        invalid = "" if each.valid else " (INVALID: a probe failed)"
        title = f"{each.dataset}, {each.split}{invalid}\nA: {each.a}\nB: {each.b}"
        columns = ("metric", "A", "B", "A - B [95 %]", "p", "p, Holm", "n")
        table = pairs.setdefault(title, Table(*columns, title=title, title_justify="left"))
        gain = f"{number(each.difference)} [{number(each.ci[0])}, {number(each.ci[1])}]"
        values = [number(each.value_a), number(each.value_b), gain, f"{each.p:.4f}", f"{each.p_holm:.4f}"]
        table.add_row(each.metric, *values, f"{each.n:,}")
    for table in pairs.values():
        out.print(table)


@app.command("systems")
def systems(as_json: JsonOption = False) -> None:
    """List systems and their options.

    Example:  limner eval systems
    """
    as_json = wants_json(as_json)
    from ..evals.registry import describe

    described = describe()
    if as_json:
        return print_json([each.model_dump(mode="json") for each in described])
    for each in described:
        say(str(each))


@app.command("data")
def data(
    folders: Annotated[list[Path], typer.Argument(help="Folders or files of data sets.")],
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Show the card of a data set: source, terms, counts, traps.

    Example:  limner eval data beauty/
    """
    as_json = wants_json(as_json)
    cards: list[dict[str, Any]] = []
    try:
        from ..evals.loading.load import load
        from ..evals.provenance import data_card

        for folder in folders:
            with err.status(f"reading {folder.name}"):
                cards.append(data_card(folder, load(folder, seed=seed).card).model_dump(mode="json"))
    except LimnerError as error:
        fail(error, as_json=as_json)
    if as_json:
        return print_json(cards)
    for entry in cards:
        show_facts({**entry["card"], "content": entry["content"]})


@app.command("report")
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of results.")],
    rollouts: Annotated[
        Path | None,
        typer.Option("--rollouts", help="Log of drafts (`limner export rollouts`), to show its rewards."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write `report.md` and a self-contained `report.html` beside the results.

    Example:  limner eval report results
    """
    as_json = wants_json(as_json)
    try:
        from ..evals.report.report import read_report, write_report

        with err.status("drawing"):
            read = read_report(folder, rollouts)
            pages = write_report(read, folder)
    except LimnerError as error:
        fail(error, as_json=as_json)
    if as_json:
        return print_json({"valid": read.valid, "files": [str(path) for path in pages]})
    for path in pages:
        say(f"written to {path}")


def _task(given: dict[str, Any], options: list[str], store: Path | None) -> "Task":
    """Return a task with everything but its system and data."""
    from ..distill.groups.alignment import align
    from ..distill.space.adapter import teach
    from ..evals.suite import Task
    from ..evals.workspace import Workspace

    workspace = Workspace.of(settings_for(store), seed=given["seed"], teach=teach, align=align)
    return Task(system="", data=(), options=_pairs(options), workspace=workspace, **given)


def _asked(
    suite: str, data: list[Path], systems: list[str], task: "Task", folder: Path, *, jobs: int, fresh: bool
) -> "Run":
    from ..evals.runner import Run

    return Run(
        suite=suite,
        data=tuple(data),
        systems=tuple(systems),
        out=folder,
        task=task,
        command=_command_line(),
        jobs=jobs,
        fresh=fresh,
    )


def _run(run: "Run", as_json: bool) -> None:
    from ..evals.runner import execute, plan
    from .progress import counted_progress

    done: list[Done] = []
    try:
        with counted_progress(run.suite, len(plan(run))) as bar:
            workspace = replace(run.task.workspace, notice=bar.notice)
            for each in execute(replace(run, task=replace(run.task, workspace=workspace))):
                done.append(each)
                bar.advance()
                tell(each)
    except KeyboardInterrupt:
        err.print("Interrupted; everything finished so far is saved. Continue with the same command.")
        raise typer.Exit(INTERRUPTED) from None
    results = [each.result for each in done if each.result]
    failed = [each for each in done if each.error]
    print_results(results, run.out, as_json=as_json, failed=failed)
    if len(results) < len(done) or not all(result.valid for result in results):
        raise typer.Exit(1)


def _dry_run(run: "Run", as_json: bool) -> None:
    from ..evals.foresight import foresee
    from ..evals.runner import plan

    with err.status("counting"):
        print_plan(list(foresee(plan(run), fresh=run.fresh)), as_json=as_json, fresh=run.fresh)


def _pairs(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise SettingsError("--set", f"{word!r} is not KEY=VALUE")
        found[key] = value
    return found


def _command_line() -> str:
    """Return what was typed, for whoever repeats it."""
    return shlex.join(["limner", *sys.argv[1:]])
