"""Commands about background jobs: `jobs list`, `retry`, `drop`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar, cast, get_args

import typer
from rich.markup import escape
from rich.table import Table

from ..doors import open_only_store
from ..errors import InputError
from ..settings import Settings
from ..tools.clock import SystemClock
from ..tools.jobs import Job, JobBook, JobState, asked_again
from .common import JsonOption, StoreOption, fail, out, print_json, run, say, settings_for, wants_json

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Background jobs: what waits, what runs, what was set aside.")

JobArgument = Annotated[str, typer.Argument(help="Id, as `limner jobs list` names it.")]


@app.command("list")
def list_jobs(
    state: Annotated[
        str | None, typer.Option("--state", help=f"Only jobs that are {', '.join(get_args(JobState))}.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Jobs at most, the newest.")] = 100,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest jobs of the tenant, with the reason of those that failed.

    Example:  limner jobs list --state failed
    """
    as_json = wants_json(as_json)
    if state is not None and state not in get_args(JobState):
        fail(InputError(f"--state {state!r} must be one of {', '.join(get_args(JobState))}"), as_json=as_json)
    settings = settings_for(store)
    states: list[JobState] | None = None if state is None else [cast("JobState", state)]  # checked above
    found = _with_book(
        settings, lambda book: book.page(settings.tenant, before=None, limit=limit, states=states), as_json
    )
    if as_json:
        return print_json([job.model_dump(mode="json") for job in found])
    table = Table("job", "kind", "state", "done", "try", "asked for", "reason")
    for job in found:
        done = f"{job.done}/{job.total}" if job.total is not None else str(job.done)
        reason = f"{job.error.code}: {job.error.message}" if job.error else ""
        table.add_row(
            *(job.job_id, job.kind, job.state, done, str(job.attempt), f"{job.created_at:%Y-%m-%d %H:%M}"),
            escape(reason),
        )
    out.print(table)


@app.command("retry")
def retry(job_id: JobArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Queue a job again that failed, was cancelled or was interrupted; what it had finished costs nothing again.

    Example:  limner jobs retry 0f1e2d3c4b5a6978
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)

    async def again(book: JobBook) -> tuple[Job | None, Job | None]:
        found = await book.get(settings.tenant, job_id)
        if found is not None and found.kind == "import":
            return found, found  # its file is gone
        return found, await book.change(settings.tenant, job_id, asked_again)

    before, job = _with_book(settings, again, as_json)
    if before is None or job is None:
        fail(InputError(f"there is no job {job_id!r}; `limner jobs list` names them"), as_json=as_json)
    if job.kind == "import":
        fail(InputError(f"job {job_id!r} imports a file that is not kept; import it again"), as_json=as_json)
    if job.attempt == before.attempt:
        fail(
            InputError(f"job {job_id!r} is {job.state}; only one that did not succeed is tried again"),
            as_json=as_json,
        )
    if as_json:
        return print_json(job.model_dump(mode="json"))
    say(f"Job {job.job_id} waits; `limner serve` or `limner work` does it.")


@app.command("drop")
def drop(job_id: JobArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Remove a job that waits or has ended.

    Example:  limner jobs drop 0f1e2d3c4b5a6978
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)
    if not _with_book(settings, lambda book: book.drop(settings.tenant, job_id), as_json):
        fail(
            InputError(f"job {job_id!r} is not there, or is being done; `limner jobs list` tells"),
            as_json=as_json,
        )
    if as_json:
        return print_json({"dropped": job_id})
    say(f"Job {job_id} is gone.")


def _with_book(settings: Settings, act: Callable[[JobBook], Awaitable[T]], as_json: bool) -> T:
    async def work() -> T:
        async with open_only_store(settings) as store:
            return await act(JobBook(store.engine, SystemClock()))

    return run(work, as_json=as_json)
