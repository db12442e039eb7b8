"""Background jobs, as rows.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, or_, select, tuple_, update

from ..jobs import (
    DRAW,
    ENDED,
    LONGEST_WAIT,
    SILENCE,
    Job,
    JobError,
    JobState,
    after_failure,
    new_job,
    wait_after,
)
from .sql_tables import jobs, micros, users
from .sql_upserts import chunks

_COLUMNS = {"tenant", "job_id", "state", "revision"}
"""Fields that are columns of their own."""

_SILENT = JobError(
    code="silent", message="its process ended or stood still in the middle of it; see that process's log"
)


def add(connection: Connection, job: Job, now: datetime, *, once: str | None = None) -> None:
    """Keep a new job."""
    connection.execute(
        insert(jobs).values(
            tenant=job.tenant,
            job_id=job.job_id,
            state=job.state,
            created=micros(job.created_at),
            revision=job.revision,
            beat=micros(now),
            data=_data(job),
            due=micros(now),
            once=once,
        )
    )


def queue_draws(connection: Connection, tenant: str, user_ids: Sequence[str], now: datetime) -> None:
    """Queue a drawing of each user who is there, unless one waits already.

    One that waits is locked until this transaction ends, so that whoever takes it sees what this one writes.
    """
    for part in chunks(sorted(set(user_ids))):
        there = select(users.c.user_id).where(users.c.tenant == tenant, users.c.user_id.in_(part))
        known = list(connection.execute(there).scalars())
        names = [_name(user_id) for user_id in known]
        where = (jobs.c.tenant == tenant, jobs.c.once.in_(names), jobs.c.state == "queued")
        waiting = set(connection.execute(select(jobs.c.once).where(*where).with_for_update()).scalars())
        for user_id in known:
            if _name(user_id) not in waiting:
                job = new_job(tenant, DRAW, {"kind": DRAW, "user_id": user_id}, now)
                add(connection, job, now, once=_name(user_id))


def get(connection: Connection, tenant: str, job_id: str) -> Job | None:
    """Return a job."""
    row = connection.execute(select(jobs).where(_is(tenant, job_id))).one_or_none()
    return None if row is None else _read(row)


def page(
    connection: Connection,
    tenant: str,
    before: tuple[datetime, str] | None,
    limit: int,
    states: Sequence[JobState] | None = None,
) -> list[Job]:
    """Return jobs before a moment and an id, newest first."""
    query = select(jobs).where(jobs.c.tenant == tenant)
    if states is not None:
        query = query.where(jobs.c.state.in_(states))
    if before is not None:
        at, job_id = before
        query = query.where(tuple_(jobs.c.created, jobs.c.job_id) < tuple_(micros(at), job_id))
    query = query.order_by(jobs.c.created.desc(), jobs.c.job_id.desc()).limit(limit)
    return [_read(row) for row in connection.execute(query)]


def is_any_due(connection: Connection, now: datetime) -> bool:
    """Whether a job waits that may be taken."""
    return connection.execute(select(jobs.c.job_id).where(*_due(now)).limit(1)).first() is not None


def take(connection: Connection, now: datetime) -> Job | None:
    """Mark the job that has been due longest as running."""
    query = select(jobs).where(*_due(now)).order_by(jobs.c.due, jobs.c.created, jobs.c.job_id).limit(1)
    row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    return change(connection, row.tenant, row.job_id, lambda _: {"state": "running"}, now)


def change(
    connection: Connection,
    tenant: str,
    job_id: str,
    change: Callable[[Job], dict[str, Any] | None],
    now: datetime,
    *,
    due: datetime | None = None,
) -> Job | None:
    """Replace fields of a job; nobody else changes it meanwhile."""
    row = connection.execute(select(jobs).where(_is(tenant, job_id)).with_for_update()).one_or_none()
    if row is None:
        return None
    job = _read(row)
    fields = change(job)
    if fields is None:
        return job
    newer = job.model_copy(update={**fields, "revision": job.revision + 1})
    values: dict[str, Any] = {
        "state": newer.state,
        "revision": newer.revision,
        "beat": micros(now),
        "data": _data(newer),
    }
    if newer.state == "queued" and job.state != "queued":
        values["due"] = micros(due or now)
    connection.execute(update(jobs).where(_is(tenant, job_id)).values(**values))
    return newer


def remove(connection: Connection, tenant: str, job_id: str, *, waiting: bool = False) -> bool:
    """Remove a job that has ended, or that waits."""
    states = [*ENDED, *(["queued"] if waiting else [])]
    gone = delete(jobs).where(_is(tenant, job_id), jobs.c.state.in_(states))
    return connection.execute(gone).rowcount > 0


def beat(connection: Connection, job_ids: Sequence[str], now: datetime) -> None:
    """Note when the holder of these jobs last spoke."""
    connection.execute(update(jobs).where(jobs.c.job_id.in_(job_ids)).values(beat=micros(now)))


def sweep(connection: Connection, now: datetime, *, alone: bool) -> list[Job]:
    """Let go of jobs whose holder has not spoken lately; return those that were set aside.

    A sign of life from the future is none: the clock was set back, and nobody could tell when it ends.
    """
    query = select(jobs).where(jobs.c.state == "running")
    if not alone:
        query = query.where(_outside(jobs.c.beat, now - SILENCE, now + SILENCE))
    aside: list[Job] = []
    for job in [_read(row) for row in connection.execute(query.with_for_update(skip_locked=True))]:
        # The first time nobody knows that the job was to blame.
        wait = wait_after(job.failures) if job.failures else timedelta()
        silent = lambda found: after_failure(found, _SILENT, now)
        left = change(connection, job.tenant, job.job_id, silent, now, due=now + wait)
        if left is not None and left.ended:
            aside.append(left)
    return aside


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return conditions: it waits, and its moment has come, or is further off than any wait is long."""
    return jobs.c.state == "queued", _outside(jobs.c.due, now, now + 2 * LONGEST_WAIT, closed=True)


def _outside(
    column: ColumnElement[int], low: datetime, high: datetime, *, closed: bool = False
) -> ColumnElement[bool]:
    below = column <= micros(low) if closed else column < micros(low)
    return or_(below, column > micros(high))


def _name(user_id: str) -> str:
    return f"{DRAW} {user_id}"


def _is(tenant: str, job_id: str) -> ColumnElement[bool]:
    return (jobs.c.tenant == tenant) & (jobs.c.job_id == job_id)


def _data(job: Job) -> str:
    return job.model_dump_json(exclude=_COLUMNS)


def _read(row: "Row[Any]") -> Job:
    columns = {name: getattr(row, name) for name in _COLUMNS}
    return Job.model_validate({**json.loads(row.data), **columns})
