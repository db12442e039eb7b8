"""Background jobs, as rows.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, tuple_, update

from ..jobs import ENDED, Job
from .sql_tables import jobs, micros

_COLUMNS = {"tenant", "job_id", "state", "revision"}
"""Fields that are columns of their own."""


def add(connection: Connection, job: Job, now: datetime) -> None:
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
        )
    )


def get(connection: Connection, tenant: str, job_id: str) -> Job | None:
    """Return a job."""
    row = connection.execute(select(jobs).where(_is(tenant, job_id))).one_or_none()
    return None if row is None else _read(row)


def page(connection: Connection, tenant: str, before: tuple[datetime, str] | None, limit: int) -> list[Job]:
    """Return jobs before a moment and an id, newest first."""
    query = select(jobs).where(jobs.c.tenant == tenant)
    if before is not None:
        at, job_id = before
        query = query.where(tuple_(jobs.c.created, jobs.c.job_id) < tuple_(micros(at), job_id))
    query = query.order_by(jobs.c.created.desc(), jobs.c.job_id.desc()).limit(limit)
    return [_read(row) for row in connection.execute(query)]


def change(
    connection: Connection,
    tenant: str,
    job_id: str,
    change: Callable[[Job], dict[str, Any] | None],
    now: datetime,
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
    connection.execute(
        update(jobs)
        .where(_is(tenant, job_id))
        .values(state=newer.state, revision=newer.revision, beat=micros(now), data=_data(newer))
    )
    return newer


def remove(connection: Connection, tenant: str, job_id: str) -> bool:
    """Remove a job that has ended."""
    gone = delete(jobs).where(_is(tenant, job_id), jobs.c.state.in_(ENDED))
    return connection.execute(gone).rowcount > 0


def beat(connection: Connection, job_ids: Sequence[str], now: datetime) -> None:
    """Note when the process of these jobs last spoke."""
    connection.execute(update(jobs).where(jobs.c.job_id.in_(job_ids)).values(beat=micros(now)))


def sweep(connection: Connection, since: datetime | None, now: datetime) -> list[Job]:
    """Mark jobs as interrupted that have not ended and whose process has not spoken since a moment, or at all."""
    query = select(jobs).where(jobs.c.state.in_(("queued", "running")))
    if since is not None:
        query = query.where(jobs.c.beat < micros(since))
    found = [_read(row) for row in connection.execute(query.with_for_update())]
    for job in found:
        change(connection, job.tenant, job.job_id, lambda _: {"state": "interrupted", "ended_at": now}, now)
    return found


def _is(tenant: str, job_id: str) -> ColumnElement[bool]:
    return (jobs.c.tenant == tenant) & (jobs.c.job_id == job_id)


def _data(job: Job) -> str:
    return job.model_dump_json(exclude=_COLUMNS)


def _read(row: "Row[Any]") -> Job:
    columns = {name: getattr(row, name) for name in _COLUMNS}
    return Job.model_validate({**json.loads(row.data), **columns})
