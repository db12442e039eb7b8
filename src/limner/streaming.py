"""Run a coroutine over a stream with bounded concurrency and flat memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


async def bounded(
    source: Iterable[In] | AsyncIterable[In], work: Callable[[In], Awaitable[Out]], at_once: int
) -> AsyncGenerator[Out]:
    """Yield results as they finish; at most `at_once` are in flight, and the source is read no faster.

    If the consumer closes this early (`contextlib.aclosing`), or a call raises, what is in flight is cancelled
    and awaited. The source is closed at the end, if it can be.
    """
    running: set[asyncio.Task[Out]] = set()
    try:
        async with aclosing(_stream(source)) as entries:
            async for entry in entries:
                running.add(asyncio.ensure_future(_run(work, entry)))
                if len(running) >= at_once:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        yield task.result()
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _run(work: Callable[[In], Awaitable[Out]], entry: In) -> Out:
    return await work(entry)


async def _stream(source: Iterable[In] | AsyncIterable[In]) -> AsyncGenerator[In]:
    if not isinstance(source, AsyncIterable):
        for entry in source:
            yield entry
        return
    entries = aiter(source)
    try:
        async for entry in entries:
            yield entry
    finally:
        if isinstance(entries, AsyncGenerator):
            await entries.aclose()
