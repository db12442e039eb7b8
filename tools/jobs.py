"""Background jobs as the store keeps them: a queue that outlives every process that works on it.

Whoever takes a job holds it for as long as it says so now and then. A job whose holder fell silent is taken by
somebody else, one that failed for a reason that may pass waits longer from time to time, and one that failed too often
is set aside with its reason until somebody asks for it again.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..records import Moment, Record
from .clock import Clock

if TYPE_CHECKING:
    from .sql.sql_engine import Engine

JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]

ENDED: frozenset[JobState] = frozenset({"done", "failed", "cancelled", "interrupted"})

SILENCE = timedelta(seconds=30)
"""A job whose holder has not spoken for so long is nobody's."""

MOST_TRIES = 5
"""Tries of a job before it is set aside."""

FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=10)

DRAW = "draw"
"""Kind of the jobs that are queued with what a user did; they go when they are done."""


class JobError(Record):
    """Why a job, or one entry of it, came to nothing."""

    subject: str | None = None
    """The user or item, or `USER, ITEM` of a pair; absent if it concerns the whole job."""

    code: str
    """Stable code."""

    message: str
    """What was wrong and what to do."""


class Job(Record):
    """A background job."""

    job_id: str
    """Names it."""

    tenant: str = Field(exclude=True)
    """Whose it is."""

    kind: str
    """What it does."""

    wanted: dict[str, Any]
    """What was asked for."""

    state: JobState
    """`interrupted` if its process ended before it did, and nobody can go on."""

    done: int = 0
    """Entries finished."""

    total: int | None = None
    """Entries there are; absent while nobody knows."""

    step: str = ""
    """What is being done."""

    failed: int = 0
    """Entries that came to nothing."""

    errors: tuple[JobError, ...] = ()
    """The first of them."""

    result: dict[str, Any] | None = None
    """What came of it; absent until it is done."""

    error: JobError | None = None
    """Why it failed; absent if it did not."""

    cancel_wanted: bool = False
    """Whether somebody asked for its end."""

    attempt: int = 1
    """Counts up when it is tried again."""

    failures: int = 0
    """Tries that failed or fell silent since somebody asked for it."""

    created_at: Moment
    """When it was asked for."""

    ended_at: Moment | None = None
    """When it ended; absent while it has not."""

    revision: int = 1
    """Counts up with every change."""

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more by itself."""
        return self.state in ENDED


def wait_after(failures: int) -> timedelta:
    """Return how long a job waits for its next try.

    Examples:
        >>> [wait_after(failures).total_seconds() for failures in (1, 2, 3, 20)]
        [2.0, 4.0, 8.0, 600.0]
    """
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(failures - 1, 16)))


class JobBook:
    """The jobs of one database."""

    def __init__(self, engine: "Engine", clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    async def add(self, tenant: str, kind: str, wanted: dict[str, Any], *, job_id: str | None = None) -> Job:
        """Keep a new job, queued."""
        from .sql import sql_jobs

        now = self._clock.now()
        job = new_job(tenant, kind, wanted, now, job_id=job_id)
        await self._engine.write(lambda db: sql_jobs.add(db, job, now))
        return job

    async def get(self, tenant: str, job_id: str) -> Job | None:
        """Return a job of a tenant."""
        from .sql import sql_jobs

        return await self._engine.read(lambda db: sql_jobs.get(db, tenant, job_id))

    async def page(
        self,
        tenant: str,
        *,
        before: tuple[Moment, str] | None,
        limit: int,
        states: Sequence[JobState] | None = None,
    ) -> list[Job]:
        """Return the newest jobs of a tenant that came before a moment and an id, newest first."""
        from .sql import sql_jobs

        return await self._engine.read(lambda db: sql_jobs.page(db, tenant, before, limit, states))

    async def take(self) -> Job | None:
        """Take the job that has been due longest, of any tenant; nothing if there is none.

        No two callers get the same one. Whoever has it says so by `beat`, and changes it by `change_mine`.
        """
        from .sql import sql_jobs

        now = self._clock.now()
        if not await self._engine.read(lambda db: sql_jobs.is_any_due(db, now)):
            return None
        return await self._engine.write(lambda db: sql_jobs.take(db, now))

    async def is_any_due(self) -> bool:
        """Whether a job waits that may be taken."""
        from .sql import sql_jobs

        now = self._clock.now()
        return await self._engine.read(lambda db: sql_jobs.is_any_due(db, now))

    async def change(
        self, tenant: str, job_id: str, change: Callable[[Job], dict[str, Any] | None]
    ) -> Job | None:
        """Change a job in one transaction.

        Args:
            tenant: Whose.
            job_id: Which.
            change: Given the job as it is, returns the fields to replace; nothing to leave it as it is.

        Returns:
            The job as it is afterwards; nothing if there is none.
        """
        from .sql import sql_jobs

        now = self._clock.now()
        return await self._engine.write(lambda db: sql_jobs.change(db, tenant, job_id, change, now))

    async def change_mine(self, job: Job, fields: dict[str, Any]) -> Job | None:
        """Change a job that was taken; one that somebody else has taken since stays as it is.

        Returns:
            The job as it is afterwards; nothing if it is no longer the caller's.
        """

        def mine(now: Job) -> dict[str, Any] | None:
            return fields if now.state == "running" and now.attempt == job.attempt else None

        found = await self.change(job.tenant, job.job_id, mine)
        return found if found is not None and found.attempt == job.attempt else None

    async def put_back(self, job: Job, error: JobError | None) -> Job | None:
        """Give up a job that was taken, for another try: at once, or later if this one failed.

        Args:
            job: As it was taken.
            error: Why it failed; absent if it did not. After `MOST_TRIES` failures it is set aside with this reason.

        Returns:
            The job as it is afterwards; nothing if it is no longer the caller's.
        """
        from .sql import sql_jobs

        now = self._clock.now()
        mine = False

        def back(found: Job) -> dict[str, Any] | None:
            nonlocal mine
            mine = found.state == "running" and found.attempt == job.attempt
            return after_failure(found, error, now) if mine else None

        wait = timedelta() if error is None else wait_after(job.failures + 1)
        found = await self._engine.write(
            lambda db: sql_jobs.change(db, job.tenant, job.job_id, back, now, due=now + wait)
        )
        return found if mine else None

    async def remove(self, tenant: str, job_id: str) -> bool:
        """Remove a job that has ended; return whether it was there and had."""
        from .sql import sql_jobs

        return await self._engine.write(lambda db: sql_jobs.remove(db, tenant, job_id))

    async def drop(self, tenant: str, job_id: str) -> bool:
        """Remove a job that nobody works on; return whether it was there and nobody did."""
        from .sql import sql_jobs

        return await self._engine.write(lambda db: sql_jobs.remove(db, tenant, job_id, waiting=True))

    async def beat(self, job_ids: Sequence[str]) -> None:
        """Say that the holder of these jobs lives."""
        from .sql import sql_jobs

        now = self._clock.now()
        if job_ids:
            await self._engine.write(lambda db: sql_jobs.beat(db, job_ids, now))

    async def sweep(self, *, alone: bool = False) -> list[Job]:
        """Let go of jobs whose holder fell silent; return those that were set aside for it.

        Args:
            alone: Whether no other process can be at work, so that nobody holds anything.
        """
        from .sql import sql_jobs

        now = self._clock.now()
        return await self._engine.write(lambda db: sql_jobs.sweep(db, now, alone=alone))


def new_job(
    tenant: str, kind: str, wanted: dict[str, Any], now: datetime, *, job_id: str | None = None
) -> Job:
    """Return a job that is to be queued."""
    return Job(
        job_id=job_id or secrets.token_hex(8),
        tenant=tenant,
        kind=kind,
        wanted=wanted,
        state="queued",
        created_at=now,
    )


def after_failure(job: Job, error: JobError | None, now: datetime) -> dict[str, Any]:
    """Return what becomes of a job whose try ended without success: queued again, or set aside with its reason."""
    failures = job.failures + (error is not None)
    fields: dict[str, Any] = {"failures": failures, "error": error, "attempt": job.attempt + 1}
    if job.cancel_wanted:
        return {**fields, "state": "cancelled", "ended_at": now}
    if failures >= MOST_TRIES:
        return {**fields, "state": "failed", "ended_at": now}
    return {**fields, "state": "queued"}


def asked_again(job: Job) -> dict[str, Any] | None:
    """Return what becomes of a job that somebody asks for again; nothing if it is not over or it succeeded."""
    if job.state not in ("failed", "cancelled", "interrupted"):
        return None
    return {
        "done": 0,
        "failed": 0,
        "errors": (),
        "error": None,
        "result": None,
        "step": "",
        "state": "queued",
        "cancel_wanted": False,
        "ended_at": None,
        "failures": 0,
        "attempt": job.attempt + 1,
    }
