"""Jobs as rows: changed by one at a time, and marked when their process is gone."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from limner.receipts import Scope
from limner.records import Interaction
from limner.tools.clock import ManualClock, SystemClock
from limner.tools.jobs import SILENCE, Job, JobBook, JobError, asked_again
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


async def test_a_job_is_taken_once_and_those_due_longest_first(book: JobBook, clock: ManualClock) -> None:
    first = await book.add("shop", "profiles", {})
    clock.advance(1)
    second = await book.add("other", "profiles", {})

    third = await book.add("shop", "profiles", {})

    oldest = await book.take()
    taken = [job for job in await asyncio.gather(*(book.take() for _ in range(5))) if job]

    assert oldest is not None
    assert oldest.job_id == first.job_id
    assert sorted(job.job_id for job in taken) == sorted([second.job_id, third.job_id])
    assert {job.state for job in taken} == {"running"}


async def test_whoever_fell_silent_loses_the_job_to_the_next(book: JobBook, clock: ManualClock) -> None:
    silent, alive = [await book.add("shop", "profiles", {}) for _ in range(2)]
    held = [await book.take(), await book.take()]
    clock.advance((SILENCE + timedelta(seconds=1)).total_seconds())
    await book.beat([alive.job_id])

    assert await book.sweep() == []
    taken = await book.take()

    assert taken is not None
    assert (taken.job_id, taken.attempt, taken.failures) == (silent.job_id, 2, 1)
    late = next(job for job in held if job is not None and job.job_id == silent.job_id)
    assert await book.change_mine(late, {"state": "done"}) is None
    assert await book.put_back(late, None) is None
    assert await book.change_mine(taken, {"state": "done"}) is not None


async def test_whoever_is_alone_lets_go_of_all_that_runs(book: JobBook) -> None:
    job = await book.add("shop", "profiles", {})
    await book.take()

    assert await book.sweep() == []
    assert await book.take() is None
    await book.sweep(alone=True)

    taken = await book.take()
    assert taken is not None
    assert taken.job_id == job.job_id


async def test_a_job_that_fails_waits_longer_each_time_and_is_set_aside_with_its_reason(
    book: JobBook, clock: ManualClock
) -> None:
    job = await book.add("shop", "profiles", {})
    reason = JobError(code="model_unavailable", message="nobody answers there")
    waits: list[float] = []

    while (taken := await book.take()) is not None:
        await book.put_back(taken, reason)
        waited = 0.0
        while not await book.is_any_due() and waited < 60:
            clock.advance(1)
            waited += 1
        waits.append(waited)

    # 2 s, doubled after each failure; nothing comes after the fifth.
    assert waits == [2, 4, 8, 16, 60]
    found = await book.get("shop", job.job_id)
    assert found is not None
    assert (found.state, found.failures, found.error) == ("failed", 5, reason)

    again = await book.change("shop", job.job_id, asked_again)
    assert again is not None
    assert (again.state, again.failures, again.error) == ("queued", 0, None)
    assert await book.take() is not None


async def test_a_job_given_back_unfinished_is_due_at_once_and_has_not_failed(book: JobBook) -> None:
    await book.add("shop", "profiles", {})
    taken = await book.take()
    assert taken is not None

    await book.put_back(taken, None)

    again = await book.take()
    assert again is not None
    assert (again.job_id, again.failures) == (taken.job_id, 0)


@pytest.mark.parametrize("hours", [-48, 48])
async def test_a_clock_that_jumps_loses_no_job(book: JobBook, clock: ManualClock, hours: int) -> None:
    waiting, held = [await book.add("shop", "profiles", {}) for _ in range(2)]
    failed, _ = await book.take(), await book.take()
    assert failed is not None
    await book.put_back(failed, JobError(code="x", message="y"))

    clock.advance(timedelta(hours=hours).total_seconds())
    await book.sweep()

    taken = [await book.take(), await book.take()]
    assert {job.job_id for job in taken if job} == {waiting.job_id, held.job_id}


async def test_drawings_are_queued_with_what_they_are_about_and_each_user_waits_once(
    store: SqlStore, book: JobBook, clock: ManualClock
) -> None:
    def did(user: str, day: int) -> Interaction:
        return Interaction(user_id=user, item_id="a", kind="view", at=NOON + timedelta(days=day))

    await store.record([did("ada", 1), did("bo", 1), did("ada", 2)], draw_at=clock.now())
    await store.record([did("ada", 3)], draw_at=clock.now())
    await store.record([did("cy", 1)])
    await store.record([did("cy", 1)], draw_at=clock.now())  # nothing new

    waiting = await book.page(store.tenant, before=None, limit=9)
    assert sorted(job.wanted["user_id"] for job in waiting) == ["ada", "bo"]

    await book.take()
    await book.take()
    await store.record([did("ada", 4)], draw_at=clock.now())  # the one that runs may have read already

    assert [job.wanted["user_id"] for job in [await book.take()] if job] == ["ada"]


async def test_a_forgotten_part_leaves_the_next_drawing_and_a_forgotten_user_none(
    store: SqlStore, book: JobBook, clock: ManualClock
) -> None:
    event = Interaction(user_id="ada", item_id="a", kind="view", at=NOON)
    other = Interaction(user_id="ada", item_id="b", kind="view", at=NOON)
    await store.record([event, other], draw_at=clock.now())

    part = Scope(kind="event", user_id="ada", event_id=event.event_id, at=clock.now())
    await store.forget_rows(await store.begin_forget(part))
    assert len(await book.page(store.tenant, before=None, limit=9)) == 1

    await store.forget_rows(await store.begin_forget(Scope(kind="user", user_id="ada", at=clock.now())))
    await store.record([event], draw_at=clock.now())
    assert await book.page(store.tenant, before=None, limit=9) == []


async def test_only_a_job_that_has_ended_can_be_removed(book: JobBook) -> None:
    job = await book.add("shop", "profiles", {})

    assert not await book.remove("shop", job.job_id)
    await book.change("shop", job.job_id, lambda _: {"state": "failed"})
    assert not await book.remove("other", job.job_id)
    assert await book.remove("shop", job.job_id)
    assert await book.get("shop", job.job_id) is None


# A worker that says what it takes, and stands still at the third job if it is told to.
WORKER = """
import asyncio, json, sys
from pathlib import Path
from limner.tools.clock import SystemClock
from limner.tools.jobs import JobBook
from limner.tools.sql.sql_store import open_store

place, stuck = json.loads(sys.argv[1])

async def main():
    store = await open_store(folder=Path(place["folder"]), database_url=place["database_url"], tenant="shop")
    book = JobBook(store.engine, SystemClock())
    taken = 0
    while (job := await book.take()) is not None:
        taken += 1
        print("took", job.job_id, flush=True)
        if taken == 3 and stuck:
            await asyncio.Event().wait()
        await book.change_mine(job, {"state": "done"})
        print("did", job.job_id, flush=True)

asyncio.run(main())
"""


async def test_two_processes_share_a_queue_and_one_that_is_killed_loses_nothing(
    place: dict[str, Any], store: SqlStore
) -> None:
    book = JobBook(store.engine, SystemClock())
    wanted = {(await book.add("shop", "profiles", {})).job_id for _ in range(30)}
    told = {"folder": str(place["folder"]), "database_url": place["database_url"]}

    async def work(*, stuck: bool) -> list[list[str]]:
        command = [sys.executable, "-c", WORKER, json.dumps([told, stuck])]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        said: list[list[str]] = []
        while line := (await process.stdout.readline()).decode().split():
            said.append(line)
            if stuck and [word for word, _ in said].count("took") == 3:
                process.kill()
                stuck = False
        await process.wait()
        return said

    said = [line for lines in await asyncio.gather(work(stuck=True), work(stuck=False)) for line in lines]
    left = await book.page("shop", before=None, limit=99, states=["running"])
    await book.sweep(alone=True)
    said += await work(stuck=False)

    assert len(left) <= 1  # the second may have taken all before the first came to its third
    assert sorted(job_id for word, job_id in said if word == "did") == sorted(wanted)
    done = await book.page("shop", before=None, limit=99, states=["done"])
    assert {job.job_id for job in done} == wanted
    assert sum(job.failures for job in done) == len(left)
