"""Wait for a coroutine from plain code, whether or not an event loop is running above it."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Wait(Protocol):
    """Runs a coroutine to its end and returns its result."""

    def __call__(self, work: Coroutine[Any, Any, T], /) -> T:
        """Run it."""
        ...


def wait_for(work: Coroutine[Any, Any, T], /) -> T:
    """Run a coroutine to its end and return its result.

    It runs in a loop of its own, so it must not use what belongs to another loop, such as an open store.

    Examples:
        >>> async def answer() -> int:
        ...     return 42
        >>> wait_for(answer())
        42
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def waiting_on(loop: asyncio.AbstractEventLoop) -> Wait:
    """Return a `Wait` whose coroutines run in this loop, for plain code in another thread.

    A trainer runs in a thread (`asyncio.to_thread`) while the loop that opened the store stays free.

    Examples:
        >>> async def answer() -> int:
        ...     return 42
        >>> async def main() -> int:
        ...     wait = waiting_on(asyncio.get_running_loop())
        ...     return await asyncio.to_thread(lambda: wait(answer()))
        >>> asyncio.run(main())
        42
    """

    def wait(work: Coroutine[Any, Any, T], /) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    return wait
