"""Routes of background jobs: begin one, follow it, end it."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Header, Request, UploadFile
from fastapi import Path as PathParameter
from pydantic import TypeAdapter, ValidationError
from sse_starlette import EventSourceResponse, ServerSentEvent

from ...records import Kind, Record
from ...tools.jobs import Job
from .asked import Id, Words
from .gate import Caller, allow, gate_of
from .job_kinds import ImportJob, JobWanted, ReindexJob
from .known_names import check_names
from .paging import PAGE, Cursor, Limit, cursor_of, place_behind
from .problems import Problem
from .workshop import Workshop

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

LOOK = 0.3
"""Seconds from one look at a job that is followed to the next."""

CHUNK = 1 << 20
SUFFIXES = frozenset({".jsonl", ".json", ".csv", ".tsv", ".parquet", ".dat", ".txt", ".ndjson", ".gz"})

Reader = Annotated[Caller, Depends(allow("read"))]
Writer = Annotated[Caller, Depends(allow("write"))]
JobId = Annotated[
    str, PathParameter(pattern=r"^[0-9a-f]{16}$", description="The job.", examples=["0f1e2d3c4b5a6978"])
]
_mapping = TypeAdapter(dict[str, str])
_FIELDS = ("file", "form", "mapping", "kind", "user_id", "strict")
"""What an upload may say of its file."""


class JobsPage(Record):
    """Part of a tenant's jobs."""

    jobs: tuple[Job, ...]
    """Newest first."""

    next_cursor: str | None
    """Asks for older ones; absent on the last page."""


def workshop_of(request: Request) -> Workshop:
    """Return the workshop of the app that got a request."""
    workshop: Workshop = request.app.state.workshop
    return workshop


Shop = Annotated[Workshop, Depends(workshop_of)]


@router.post("", status_code=202)
async def begin(body: JobWanted, request: Request, caller: Writer, workshop: Shop) -> Job:
    """Begin a job: draw many portraits, write many pairs, describe many items, refresh the groups, or reindex."""
    if isinstance(body, ReindexJob):
        await allow("admin")(request)
    job = await workshop.book.add(caller.tenant, body.kind, body.model_dump(mode="json"))
    workshop.look()
    return job


@router.post("/import", status_code=202)
async def import_file(
    request: Request,
    file: Annotated[UploadFile, File(description="JSONL, CSV or Parquet, plain or gzipped.")],
    caller: Writer,
    workshop: Shop,
    form: Annotated[Words | None, Form(description="What the file holds; recognised if absent.")] = None,
    mapping: Annotated[Words | None, Form(description="JSON object of column to field.")] = None,
    kind: Annotated[Kind, Form(description="Kind of rows with neither text nor rating.")] = "purchase",
    user_id: Annotated[
        Id | None,
        Form(description="Whose turns the user's turns of chats are; absent where the rows say so."),
    ] = None,
    strict: Annotated[bool, Form(description="Whether a bad row refuses the whole file.")] = False,
) -> Job:
    """Upload a file of interactions or items and import it. Bad rows are named, the good ones kept."""
    check_names("body", (await request.form()).keys(), _FIELDS)
    name = (file.filename or "upload").replace("\0", "")[:200]
    wanted = ImportJob(
        kind="import",
        name=name,
        form=form,
        mapping=_read_mapping(mapping),
        row_kind=kind,
        user_id=user_id,
        strict=strict,
    )
    job_id = secrets.token_hex(8)
    await _keep(file, workshop.uploads / f"{job_id}{_suffix(name)}")  # whoever takes the job finds it whole
    job = await workshop.book.add(caller.tenant, wanted.kind, wanted.model_dump(mode="json"), job_id=job_id)
    workshop.look()
    return job


@router.get("")
async def jobs(caller: Reader, workshop: Shop, limit: Limit = PAGE, cursor: Cursor = None) -> JobsPage:
    """Return the tenant's jobs, newest first, in pages."""
    found = await workshop.book.page(caller.tenant, before=place_behind(cursor), limit=limit + 1)
    page = found[:limit]
    more = cursor_of(page[-1].created_at.isoformat(), page[-1].job_id) if len(found) > limit else None
    return JobsPage(jobs=tuple(page), next_cursor=more)


@router.get("/{job_id}")
async def job(job_id: JobId, caller: Reader, workshop: Shop) -> Job:
    """Return how far a job is, and what came of it."""
    return _found(await workshop.book.get(caller.tenant, job_id))


@router.get(
    "/{job_id}/events",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "The job, after each change."}},
)
async def follow(
    job_id: JobId,
    request: Request,
    caller: Reader,
    workshop: Shop,
    last_event_id: Annotated[
        str | None, Header(max_length=20, description="Newest event seen; only newer ones are sent.")
    ] = None,
) -> EventSourceResponse:
    """Follow a job by server-sent events: the whole job after each change, until it has ended.

    An event's id is the job's `revision`, so a client that reconnects with `Last-Event-ID` misses nothing. The stream
    ends when its key is revoked.
    """
    _found(await workshop.book.get(caller.tenant, job_id))
    seen = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else 0

    async def events() -> AsyncGenerator[ServerSentEvent]:
        last = seen
        while (now := await workshop.book.get(caller.tenant, job_id)) is not None:
            if now.revision > last:
                last = now.revision
                yield ServerSentEvent(now.model_dump_json(), event=now.state, id=str(last))
            if now.ended:
                return
            await asyncio.sleep(LOOK)
            if not await gate_of(request).still_admits(caller):
                return

    return EventSourceResponse(events(), ping=15)


@router.post("/{job_id}/cancel", status_code=202)
async def cancel(job_id: JobId, caller: Writer, workshop: Shop) -> Job:
    """Ask for a job's end. What it finished stays; a job that has ended stays as it is."""
    return _found(await workshop.cancel(caller.tenant, job_id))


@router.post("/{job_id}/retry", status_code=202)
async def retry(job_id: JobId, caller: Writer, workshop: Shop) -> Job:
    """Begin a job again that did not get to its end; what it had finished costs nothing again."""
    found = _found(await workshop.book.get(caller.tenant, job_id))
    if found.kind == "import":
        raise Problem(
            409, "file_gone", "an import's file is not kept; upload it again, which changes nothing twice"
        )
    begun = _found(await workshop.retry(caller.tenant, job_id))
    if begun.attempt != found.attempt + 1:
        raise Problem(
            409,
            "job_state",
            f"this job is {begun.state}; only one that did not get to its end is begun again",
        )
    return begun


@router.delete("/{job_id}", status_code=204)
async def remove(job_id: JobId, caller: Writer, workshop: Shop) -> None:
    """Remove a job that has ended from the list."""
    found = _found(await workshop.book.get(caller.tenant, job_id))
    if not await workshop.book.remove(caller.tenant, job_id):
        raise Problem(409, "job_state", f"this job is {found.state}; cancel it first")


def _found(job: Job | None) -> Job:
    if job is None:
        raise Problem(404, "unknown_job", "there is no such job")
    return job


def _read_mapping(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    try:
        return _mapping.validate_json(text)
    except ValidationError:
        raise Problem(422, "invalid", "`mapping` must be a JSON object of column to field") from None


def _suffix(name: str) -> str:
    """Return the end of a file's name as far as it tells what the file is.

    Examples:
        >>> _suffix("clicks.csv.gz"), _suffix("../../etc/passwd"), _suffix("data.JSONL"), _suffix("x.exe")
        ('.csv.gz', '', '.jsonl', '')
    """
    return "".join(part for part in map(str.lower, Path(name).suffixes[-2:]) if part in SUFFIXES)


async def _keep(file: UploadFile, path: Path) -> None:
    """Write an upload to its place, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    try:
        with part.open("wb") as out:
            while chunk := await file.read(CHUNK):
                await asyncio.to_thread(out.write, chunk)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
