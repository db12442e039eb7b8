"""Jobs as rows: changed by one at a time, and marked when their process is gone."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from limner.tools.clock import ManualClock
from limner.tools.jobs import SILENCE, Job, JobBook
from limner.tools.sql.sql_store import SqlStore

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def book(store: SqlStore, clock: ManualClock) -> JobBook:
    return JobBook(store.engine, clock)


async def test_a_job_is_kept_as_it_is_for_its_tenant_alone(book: JobBook) -> None:
    job = await book.add("shop", "profiles", {"user_ids": ["ada"]})

    assert await book.get("shop", job.job_id) == job
    assert await book.get("other", job.job_id) is None
    assert (job.state, job.revision, job.created_at) == ("queued", 1, NOON)


async def test_changes_at_once_are_all_kept(book: JobBook) -> None:
    job = await book.add("shop", "profiles", {})

    def more(now: Job) -> dict[str, object]:
        return {"done": now.done + 1}

    await asyncio.gather(*(book.change("shop", job.job_id, more) for _ in range(20)))

    found = await book.get("shop", job.job_id)
    assert found is not None
    assert (found.done, found.revision) == (20, 21)


async def test_a_change_of_nothing_is_none(book: JobBook) -> None:
    job = await book.add("shop", "profiles", {})

    assert await book.change("shop", job.job_id, lambda _: None) == job
    assert await book.change("shop", "0" * 16, lambda _: {"done": 1}) is None


async def test_jobs_whose_process_is_silent_are_marked(book: JobBook, clock: ManualClock) -> None:
    silent, alive, over = [await book.add("shop", "profiles", {}) for _ in range(3)]
    await book.change("shop", silent.job_id, lambda _: {"state": "running", "done": 4})
    await book.change("shop", over.job_id, lambda _: {"state": "done"})
    clock.advance((SILENCE + timedelta(seconds=1)).total_seconds())
    await book.beat([alive.job_id])

    assert [job.job_id for job in await book.sweep()] == [silent.job_id]

    states = {job.job_id: job.state for job in await book.page("shop", before=None, limit=9)}
    assert states == {silent.job_id: "interrupted", alive.job_id: "queued", over.job_id: "done"}
    found = await book.get("shop", silent.job_id)
    assert found is not None
    assert (found.done, found.revision, found.ended_at) == (4, 3, clock.now())
    assert await book.sweep() == []


async def test_whoever_is_alone_marks_all_that_has_not_ended(book: JobBook) -> None:
    job = await book.add("shop", "profiles", {})

    assert await book.sweep() == []
    assert [found.job_id for found in await book.sweep(alone=True)] == [job.job_id]


async def test_only_a_job_that_has_ended_can_be_removed(book: JobBook) -> None:
    job = await book.add("shop", "profiles", {})

    assert not await book.remove("shop", job.job_id)
    await book.change("shop", job.job_id, lambda _: {"state": "failed"})
    assert not await book.remove("other", job.job_id)
    assert await book.remove("shop", job.job_id)
    assert await book.get("shop", job.job_id) is None
