"""Bounded concurrency over a stream."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from limner.streaming import bounded


class Work:
    """Counts what is under way; an entry is done when its gate opens."""

    def __init__(self, *closed: int) -> None:
        self.under_way = 0
        self.most = 0
        self.started: list[int] = []
        self.cancelled: list[int] = []
        self._closed = set(closed)

    async def __call__(self, entry: int) -> int:
        """Work on one entry."""
        self.started.append(entry)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await (asyncio.Event().wait() if entry in self._closed else asyncio.sleep(0))
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # tidying up takes a moment
            self.cancelled.append(entry)
            raise
        finally:
            self.under_way -= 1
        return entry * 10


async def test_every_result_comes_once_and_no_more_than_allowed_run_at_once() -> None:
    work = Work()

    results = [result async for result in bounded(range(20), work, 3)]

    assert sorted(results) == [entry * 10 for entry in range(20)]
    assert work.most == 3


async def test_a_slow_entry_holds_up_nobody() -> None:
    work = Work(0)
    first: list[int] = []

    async with aclosing(bounded(range(6), work, 2)) as results:
        async for result in results:
            first.append(result)
            if len(first) == 5:
                break

    assert first == [10, 20, 30, 40, 50]


async def test_the_source_is_read_no_faster_than_the_work() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for entry in range(1000):
            taken.append(entry)
            yield entry

    async with aclosing(bounded(source(), Work(), 4)) as results:
        await anext(results)

    assert len(taken) == 4


async def test_an_asynchronous_source_is_read_and_closed_when_the_consumer_stops() -> None:
    closed = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        try:
            for entry in range(1000):
                yield entry
        finally:
            closed.set()

    async with aclosing(bounded(source(), Work(), 2)) as results:
        assert await anext(results) in (0, 10)

    assert closed.is_set()


async def test_stopping_early_cancels_what_is_under_way_and_waits_for_it() -> None:
    work = Work(1, 2)

    async with aclosing(bounded(range(9), work, 3)) as results:
        assert await anext(results) == 0

    assert sorted(work.cancelled) == [1, 2]
    assert work.under_way == 0


async def test_an_error_reaches_the_consumer_and_cancels_the_rest() -> None:
    work = Work(0)

    async def fail(entry: int) -> int:
        if entry == 1:
            raise ValueError("entry 1")
        return await work(entry)

    with pytest.raises(ValueError, match="entry 1"):
        [result async for result in bounded(range(5), fail, 2)]

    assert work.cancelled == [0]


async def test_an_empty_source_gives_nothing() -> None:
    assert [result async for result in bounded([], Work(), 2)] == []
