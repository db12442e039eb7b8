"""The workshop: takes jobs from the queue, does them, and writes down how far they are."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import ForgottenMeanwhileError, LimnerError, ModelUnavailableError, StoreError
from ...tools.jobs import DRAW, Job, JobBook, JobError, asked_again
from .job_kinds import Progress, read_wanted, work
from .problems import problem_of
from .rooms import Rooms

BEAT = 5.0
"""Seconds from one sign of life to the next."""

NOTE = 0.5
"""Seconds from one note of a job's progress to the next, and until a cancellation is seen."""

LOOK = 1.0
"""Seconds from one look at an empty queue to the next."""

_PASSING = (ModelUnavailableError, StoreError, ForgottenMeanwhileError)
"""Reasons that may be gone at the next try."""

_log = logging.getLogger("limner.serve")


class Workshop:
    """Does jobs, a few at once, in the order in which they came, whoever queued them.

    Args:
        book: Where jobs are kept.
        rooms: The tenants.
    """

    def __init__(self, book: JobBook, rooms: Rooms) -> None:
        self.book = book
        self._rooms, self._metrics = rooms, rooms.metrics
        self._slots = asyncio.Semaphore(rooms.settings.serve.jobs_at_once)
        self._mine: dict[str, asyncio.Task[None]] = {}
        self._taking = False
        """Whether a job may be taken in the database and not be in `_mine` yet."""
        self._news = asyncio.Event()
        self._stopping = False
        self._trouble: LimnerError | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Take jobs until the end, and those first that a process before this one left unfinished.

        What is not finished at the end goes back into the queue.
        """
        settings = self._rooms.settings
        # An embedded index belongs to one process, which is this one.
        alone = settings.database_url is None and settings.chroma_url is None
        await self._sweep(alone=alone)
        steady = [asyncio.create_task(self._take_jobs()), asyncio.create_task(self._pulse())]
        try:
            yield
        finally:
            self._stopping = True
            for task in steady:
                task.cancel()
            await asyncio.gather(*steady, return_exceptions=True)
            running = list(self._mine.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    @property
    def uploads(self) -> Path:
        """Where files lie that jobs import; each begins with the job's id, and goes when the job ends."""
        return self._rooms.settings.store / "uploads"

    def look(self) -> None:
        """Look at the queue at once: something came."""
        self._news.set()

    async def idle(self) -> None:
        """Return once nothing is due and nothing is being done.

        Raises:
            StoreError: What is due cannot be taken.
        """
        while await self.book.is_any_due() or self._taking or self._mine:
            if self._trouble is not None and not self._mine:
                raise self._trouble
            await asyncio.sleep(NOTE / 10)

    async def cancel(self, tenant: str, job_id: str) -> Job | None:
        """Ask for a job's end; it ends within a second, wherever it runs. Nothing if there is no such job."""
        now = self._rooms.clock.now()

        def end(job: Job) -> dict[str, Any] | None:
            if job.state == "queued":
                return {"state": "cancelled", "ended_at": now}
            return None if job.ended else {"cancel_wanted": True}

        job = await self.book.change(tenant, job_id, end)
        if job is not None and job.state == "cancelled":
            self._clear(job)
        elif job is not None and job.cancel_wanted and (task := self._mine.get(job_id)):
            task.cancel()
        return job

    async def retry(self, tenant: str, job_id: str) -> Job | None:
        """Queue a job again that did not get to its end; return it as it is then."""
        job = await self.book.change(tenant, job_id, asked_again)
        self.look()
        return job

    async def _take_jobs(self) -> None:
        while True:
            await self._slots.acquire()
            job = None
            try:
                while (job := await self._take()) is None:
                    await self._rest()
            finally:
                if job is None:
                    self._slots.release()
            task = self._mine[job.job_id] = asyncio.create_task(self._run(job))
            self._taking = False
            task.add_done_callback(partial(self._done, job.job_id))

    def _done(self, job_id: str, _: "asyncio.Task[None]") -> None:
        self._mine.pop(job_id, None)
        self._slots.release()

    async def _take(self) -> Job | None:
        self._taking = True
        taking = asyncio.create_task(self.book.take())
        try:
            job = await asyncio.shield(taking)
        except asyncio.CancelledError:
            if (job := await taking) is not None:  # nobody would do it
                await self.book.put_back(job, None)
            raise
        except LimnerError as error:  # a database that is away for a moment
            _log.error("no job could be taken: %s: %s", error.code, error)
            self._trouble = error
            return None
        self._trouble = None
        return job

    async def _rest(self) -> None:
        self._taking = False
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await self._news.wait()
        self._news.clear()

    async def _run(self, job: Job) -> None:
        """Do a job and write down what became of it; if the database is away just then, its next holder does."""
        progress = Progress()
        try:
            await self._settle(job, progress, self._perform(job, progress))
        except LimnerError as error:
            _log.error("job %s: its end could not be noted: %s: %s", job.job_id, error.code, error)

    async def _settle(self, job: Job, progress: Progress, doing: Coroutine[Any, Any, None]) -> None:
        try:
            await doing
        except asyncio.CancelledError:
            if self._stopping:
                await asyncio.shield(self.book.put_back(job, None))
            else:
                await asyncio.shield(self._end(job, progress, {"state": "cancelled"}))
        except LimnerError as error:
            problem = problem_of(error)
            if problem.status >= 500:
                _log.error("job %s: %s: %s", job.job_id, error.code, error)
            reason = JobError(code=problem.code, message=problem.detail)
            if isinstance(error, _PASSING):
                await self._put_back(job, reason)
            else:
                await self._end(job, progress, {"state": "failed", "error": reason})
        except Exception:  # noqa: BLE001 - a job's failure is its own, whatever it is
            _log.exception("job %s failed", job.job_id)
            told = JobError(code="internal", message="this should not happen; the server's log says more")
            await self._end(job, progress, {"state": "failed", "error": told})

    async def _put_back(self, job: Job, reason: JobError) -> None:
        left = await self.book.put_back(job, reason)
        if left is not None and left.ended:
            self._clear(left)

    async def _perform(self, job: Job, progress: Progress) -> None:
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
        """Note progress now and then, and end a job that is to be cancelled, is gone, or is somebody else's."""
        told = None
        while True:
            await asyncio.sleep(NOTE)
            fields = _fields(progress)
            try:
                now = await (self.book.change_mine(job, fields) if fields != told else self._mine_now(job))
            except LimnerError as error:  # a database that is away for a moment
                _log.error("job %s: its progress could not be noted: %s", job.job_id, error.code)
                continue
            told = fields
            if (now is None or now.cancel_wanted) and runner:
                runner.cancel()
                return

    async def _mine_now(self, job: Job) -> Job | None:
        found = await self.book.get(job.tenant, job.job_id)
        mine = found is not None and found.state == "running" and found.attempt == job.attempt
        return found if mine else None

    async def _end(self, job: Job, progress: Progress, fields: dict[str, Any]) -> None:
        """Write down a job's end, and clear up after it; if it is somebody else's by then, leave it to them."""
        ended = {**_fields(progress), **fields, "ended_at": self._rooms.clock.now()}
        if await self.book.change_mine(job, ended) is None:
            return
        self._clear(job)
        if job.kind == DRAW and fields["state"] == "done":
            await self.book.remove(job.tenant, job.job_id)

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
