"""Background jobs as the store keeps them: what was asked for, how far it is, what came of it."""

import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..records import Moment, Record
from .clock import Clock

if TYPE_CHECKING:
    from .sql.sql_engine import Engine

JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]

ENDED: frozenset[JobState] = frozenset({"done", "failed", "cancelled", "interrupted"})

SILENCE = timedelta(seconds=30)
"""A job whose process has not spoken for so long was interrupted."""


class JobError(Record):
    """Why a job, or one entry of it, came to nothing."""

    subject: str | None = None
    """The user or item; absent if it concerns the whole job."""

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
    """`interrupted` if its process ended before it did."""

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


class JobBook:
    """The jobs of one database."""

    def __init__(self, engine: "Engine", clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    async def add(self, tenant: str, kind: str, wanted: dict[str, Any]) -> Job:
        """Keep a new job, queued."""
        from .sql import sql_jobs

        now = self._clock.now()
        job = Job(
            job_id=secrets.token_hex(8),
            tenant=tenant,
            kind=kind,
            wanted=wanted,
            state="queued",
            created_at=now,
        )
        await self._engine.write(lambda db: sql_jobs.add(db, job, now))
        return job

    async def get(self, tenant: str, job_id: str) -> Job | None:
        """Return a job of a tenant."""
        from .sql import sql_jobs

        return await self._engine.read(lambda db: sql_jobs.get(db, tenant, job_id))

    async def page(self, tenant: str, *, before: tuple[Moment, str] | None, limit: int) -> list[Job]:
        """Return the newest jobs of a tenant that came before a moment and an id, newest first."""
        from .sql import sql_jobs

        return await self._engine.read(lambda db: sql_jobs.page(db, tenant, before, limit))

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

    async def remove(self, tenant: str, job_id: str) -> bool:
        """Remove a job that has ended; return whether it was there and had."""
        from .sql import sql_jobs

        return await self._engine.write(lambda db: sql_jobs.remove(db, tenant, job_id))

    async def beat(self, job_ids: Sequence[str]) -> None:
        """Say that the process of these jobs lives."""
        from .sql import sql_jobs

        now = self._clock.now()
        if job_ids:
            await self._engine.write(lambda db: sql_jobs.beat(db, job_ids, now))

    async def sweep(self, *, alone: bool = False) -> list[Job]:
        """Mark jobs as interrupted whose process has gone; return them.

        Args:
            alone: Whether no other process can be at work, so that none of them is alive.
        """
        from .sql import sql_jobs

        now = self._clock.now()
        since = None if alone else now - SILENCE
        return await self._engine.write(lambda db: sql_jobs.sweep(db, since, now))
