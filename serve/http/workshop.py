"""The workshop: runs background jobs in the process that took them in, and writes down how far they are."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import LimnerError
from ...tools.jobs import Job, JobBook, JobError
from .job_kinds import Progress, read_wanted, work
from .problems import problem_of
from .rooms import Rooms

BEAT = 5.0
"""Seconds from one sign of life to the next."""

NOTE = 0.5
"""Seconds from one note of a job's progress to the next, and until a cancellation is seen."""

_log = logging.getLogger("limner.serve")


class Workshop:
    """Runs jobs, a few at once, in the order in which they came.

    Args:
        book: Where jobs are kept.
        rooms: The tenants.
    """

    def __init__(self, book: JobBook, rooms: Rooms) -> None:
        self.book = book
        self._rooms, self._metrics = rooms, rooms.metrics
        self._slots = asyncio.Semaphore(rooms.settings.serve.jobs_at_once)
        self._mine: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Mark what a process before this one left unfinished, and take in jobs until the end.

        Jobs that are not finished then are marked as interrupted; they can be tried again.
        """
        settings = self._rooms.settings
        # An embedded index belongs to one process, which is this one.
        alone = settings.database_url is None and settings.chroma_url is None
        await self._sweep(alone=alone)
        pulse = asyncio.create_task(self._pulse())
        try:
            yield
        finally:
            self._stopping = True
            pulse.cancel()
            running = list(self._mine.values())
            for task in running:
                task.cancel()
            await asyncio.gather(pulse, *running, return_exceptions=True)

    @property
    def uploads(self) -> Path:
        """Where files lie that jobs import; each begins with the job's id, and goes when the job ends."""
        return self._rooms.settings.store / "uploads"

    def begin(self, job: Job) -> None:
        """Take in a queued job."""
        task = asyncio.create_task(self._run(job))
        self._mine[job.job_id] = task
        task.add_done_callback(lambda _: self._mine.pop(job.job_id, None))

    async def cancel(self, tenant: str, job_id: str) -> Job | None:
        """Ask for a job's end; it ends within a second, wherever it runs. Nothing if there is no such job."""
        job = await self.book.change(
            tenant, job_id, lambda job: None if job.ended else {"cancel_wanted": True}
        )
        if job is not None and job.cancel_wanted and (task := self._mine.get(job_id)):
            task.cancel()
        return job

    async def _run(self, job: Job) -> None:
        progress = Progress()
        try:
            async with self._slots:
                await self._perform(job, progress)
        except asyncio.CancelledError:
            state = "interrupted" if self._stopping else "cancelled"
            await asyncio.shield(self._end(job, progress, {"state": state}))
        except LimnerError as error:
            if problem_of(error).status >= 500:
                _log.error("job %s: %s: %s", job.job_id, error.code, error)
            await self._end(job, progress, _failed(error))
        except Exception:  # noqa: BLE001 - a job's failure is its own, whatever it is
            _log.exception("job %s failed", job.job_id)
            told = JobError(code="internal", message="this should not happen; the server's log says more")
            await self._end(job, progress, {"state": "failed", "error": told})

    async def _perform(self, job: Job, progress: Progress) -> None:
        await self._note(job, {"state": "running"})
        self._metrics.job_began(job.kind)
        state = "stopped"
        noting = asyncio.create_task(self._follow(job, progress, asyncio.current_task()))
        try:
            async with self._rooms.limner(job.tenant) as limner:
                found = await work(read_wanted(job.wanted), limner, progress, self._file(job))
            state = "done"
        except Exception:
            state = "failed"
            raise
        finally:
            noting.cancel()
            with suppress(asyncio.CancelledError):
                await noting
            self._metrics.job_ended(job.kind, state)
        await self._end(job, progress, {"state": "done", "result": found})

    async def _follow(self, job: Job, progress: Progress, runner: "asyncio.Task[Any] | None") -> None:
        """Note progress now and then, and end a job that another process was asked to cancel."""
        told = None
        while True:
            await asyncio.sleep(NOTE)
            fields = _fields(progress)
            now = await (self._note(job, fields) if fields != told else self.book.get(job.tenant, job.job_id))
            told = fields
            if now is not None and now.cancel_wanted and runner:
                runner.cancel()
                return

    async def _note(self, job: Job, fields: dict[str, Any]) -> Job | None:
        return await self.book.change(job.tenant, job.job_id, lambda now: None if now.ended else fields)

    async def _end(self, job: Job, progress: Progress, fields: dict[str, Any]) -> None:
        self._clear(job)
        await self._note(job, {**_fields(progress), **fields, "ended_at": self._rooms.clock.now()})

    def _file(self, job: Job) -> Path:
        return next(self.uploads.glob(f"{job.job_id}*"), self.uploads / job.job_id)

    def _clear(self, job: Job) -> None:
        """Remove a job's file: what it holds about people must not outlive their being forgotten."""
        for file in list(self.uploads.glob(f"{job.job_id}*")):
            file.unlink(missing_ok=True)

    async def _pulse(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            try:
                await self.book.beat(list(self._mine))
                await self._sweep()
            except LimnerError as error:  # a database that is away for a moment
                _log.error("jobs could not be looked after: %s: %s", error.code, error)

    async def _sweep(self, *, alone: bool = False) -> None:
        for job in await self.book.sweep(alone=alone):
            self._clear(job)


def _fields(progress: Progress) -> dict[str, Any]:
    return {
        "done": progress.done,
        "total": progress.total,
        "step": progress.step,
        "failed": progress.failed,
        "errors": tuple(progress.errors),
    }


def _failed(error: LimnerError) -> dict[str, Any]:
    problem = problem_of(error)
    return {"state": "failed", "error": JobError(code=problem.code, message=problem.detail)}
