"""Do one part of a batch: its users at once, an error of one of them as its row."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING

from ..errors import (
    BudgetExceededError,
    EncoderChangedError,
    LimnerError,
    MissingExtraError,
    PriceUnknownError,
    SettingsError,
    SpaceError,
    StoreError,
    WeightsError,
)
from ..records import Usage
from ..streaming import bounded
from .jobs import Job, Row
from .parts_folder import Bounds, Part, part_of

if TYPE_CHECKING:
    from ..face import Limner
    from ..tools.budget import Budget

_EVERYBODYS = (
    StoreError,
    WeightsError,
    MissingExtraError,
    EncoderChangedError,
    PriceUnknownError,
    SettingsError,
    SpaceError,
)
"""Errors that the next user would meet as well: they end the batch instead of filling it."""

_UNEXPECTED = "unexpected"

Opener = Callable[[AsyncExitStack], Awaitable["Limner"]]
"""Opens a Limner that the stack closes."""


class PartWorker:
    """Does parts, any number of them at once, in one event loop.

    Args:
        job: What is done for each user.
        opener: Opens what it is done with, when the first part comes.
        at_once: Users in flight, of all parts together; chosen by the model if absent.
    """

    def __init__(self, job: Job, opener: Opener, *, at_once: int | None = None) -> None:
        self._job, self._opener, self._at_once = job, opener, at_once
        self._stack = AsyncExitStack()
        self._limner: Limner | None = None
        self._opening = asyncio.Lock()
        self._most, self._slots = 1, asyncio.Semaphore(1)

    async def work(self, bounds: Bounds, budget: "Budget") -> Part:
        """Do a part.

        Raises:
            LimnerError: Something that concerns every user, such as a database that is out of reach.
        """
        limner = await self._opened()
        refused = False

        async def one(user_id: str) -> Row | None:
            nonlocal refused
            async with self._slots:
                if refused:
                    return None
                try:
                    budget.check()
                    return await self._job.row(limner, user_id, budget)
                except BudgetExceededError:
                    refused = True
                    return None
                except _EVERYBODYS:
                    raise
                except LimnerError as error:
                    return _failure(user_id, error.code, error)
                except Exception as error:  # noqa: BLE001 - one user must not stop the others, whatever it is
                    return _failure(user_id, _UNEXPECTED, error)

        async with aclosing(bounded(_users(limner, bounds), one, self._most)) as done:
            rows = [row async for row in done if row]
        if refused or _has_refused(budget):
            return Part(bounds.part, None, len(rows), 0, Usage.total(row.usage for row in rows))
        return await asyncio.to_thread(part_of, bounds, rows)

    async def aclose(self) -> None:
        """Close what was opened."""
        await self._stack.aclose()

    async def _opened(self) -> "Limner":
        async with self._opening:
            if self._limner is None:
                limner = await self._opener(self._stack)
                await limner.prepare()
                self._most = self._at_once or limner.users_at_once
                self._slots = asyncio.Semaphore(self._most)
                self._limner = limner
        return self._limner


async def _users(limner: "Limner", bounds: Bounds) -> AsyncIterator[str]:
    """Yield the users of a part."""
    for user_id in bounds.ids:
        yield user_id
    if bounds.ids:
        return
    if await limner.doors.store.has_user(bounds.first):
        yield bounds.first
    async for page in limner.doors.store.users(after=bounds.first):
        for user_id in page:
            if user_id > bounds.last:
                return
            yield user_id


def _failure(user_id: str, code: str, error: Exception) -> Row:
    return Row(user_id, None, False, Usage(), code, type(error).__name__, str(error))


def _has_refused(budget: "Budget") -> bool:
    """Whether a call was refused, so that portraits may lack what it would have brought."""
    try:
        budget.check()
    except BudgetExceededError:
        return True
    return False
