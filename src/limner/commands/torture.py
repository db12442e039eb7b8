"""Command `torture`: break everything around a store, and see whether it kept its promises."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import CriticVersionError, EmptySplitError, InputError
from .common import JsonOption, err, fail, out, print_json, show_facts, wants_json
from .serve import need_server

if TYPE_CHECKING:
    from ..evals.torture.torture import Verdict
    from ..face import Limner
    from ..tools.clock import Clock


def torture(
    seed: Annotated[int, typer.Option("--seed", help="Decides everything but what chance decides.")] = 0,
    events: Annotated[int, typer.Option("--events", min=50, help="Events to record and import.")] = 1_000,
    kills: Annotated[int, typer.Option("--kills", min=0, help="Processes to kill.")] = 20,
    database_url: Annotated[
        str | None,
        typer.Option("--database-url", help="Empty PostgreSQL database to use in place of SQLite."),
    ] = None,
    postgres: Annotated[
        bool,
        typer.Option("--postgres", help="Start a PostgreSQL server for it, and stop it now and then."),
    ] = False,
    log: Annotated[
        Path | None, typer.Option("--log", help="File that takes what the processes print.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Kill processes at work, spoil model, disk, clock and index, and count what was lost, doubled or made invalid.

    Everything is invented and lies in a folder of its own. Exit status 1 if any count is not 0.

    Example:  limner torture --seed 1 --events 10000 --kills 200 --json
    """
    from ..evals.torture.places import has_postgres
    from ..evals.torture.torture import Trials, run_torture

    as_json = wants_json(as_json)
    if postgres and (database_url or not has_postgres()):
        reason = "both are given" if database_url else "PostgreSQL's programs are not on this machine"
        fail(InputError(f"--postgres starts a server, --database-url names one: {reason}"), as_json=as_json)
    need_server()
    # Children are forks of this process: what it has imported they have.
    from ..distill.log import prepare, rollout_log  # noqa: F401  # pyright: ignore[reportUnusedImport]
    from ..serve.http import workshop  # noqa: F401  # pyright: ignore[reportUnusedImport]

    trials = Trials(
        seed=seed, events=events, kills=kills, database_url=database_url, postgres=postgres, log=log
    )
    verdict = run_torture(trials, {"prepare": _prepare, "work": _work}, _Said())
    if as_json:
        print_json(verdict.as_json())
    else:
        _show(verdict)
    if not verdict.ok:
        raise typer.Exit(1)


async def _prepare(limner: "Limner", clock: "Clock", told: Mapping[str, Any]) -> dict[str, Any]:
    """Make a training set of the log."""
    from ..distill.log.forgotten import known_by
    from ..distill.log.prepare import Source, prepare
    from ..distill.log.rollout_log import STORE, read_store

    store, folder = limner.doors.store, Path(told["path"])
    if folder.exists():
        return {"nothing": "it was finished before"}
    try:
        manifest = await prepare(
            Source(STORE, read_store(store)), folder, knows=known_by(store, from_file=False)
        )
    except (EmptySplitError, CriticVersionError) as error:
        return {"nothing": error.code}
    return {"files": {file.path: file.rows for file in manifest.files}}


async def _work(limner: "Limner", clock: "Clock", told: Mapping[str, Any]) -> dict[str, Any]:
    """Do what is queued."""
    from ..serve.http.rooms import Rooms
    from ..serve.http.workshop import Workshop
    from ..tools.jobs import JobBook

    async with Rooms(limner.settings, clock=clock) as rooms:
        workshop = Workshop(JobBook(rooms.shared.store.engine, clock), rooms)
        async with workshop.open():
            await workshop.idle()
    return {}


class _Said:
    """Says how far it is, on one line, without a thread of its own."""

    def __call__(self, words: str) -> None:
        if err.is_terminal:
            err.print(f"step {words}", end="\r", highlight=False)


def _show(verdict: "Verdict") -> None:
    told = verdict.as_json()
    findings: list[str] = told.pop("findings")
    show_facts(told)
    for words in findings:
        out.print(words, markup=False, highlight=False)
    out.print("every promise was kept" if verdict.ok else "not every promise was kept")
