"""One budget for workers in several processes: they ask it before each call and tell it what the call used."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ..errors import BudgetExceededError
from ..records import Usage
from ..sections import BudgetSettings
from ..tools.budget import Budget, Reservation


class Ticket(NamedTuple):
    """Names a reservation."""

    task: int
    """Task it was made for."""

    number: int
    """Counts the reservations of a worker."""


class BudgetKeeper:
    """Holds the budget; lives in one process.

    Args:
        limits: Of all workers together.
    """

    def __init__(self, limits: BudgetSettings) -> None:
        self._budget = Budget(limits)
        self._open: dict[Ticket, Reservation] = {}

    async def begin(self, task: int) -> None:
        """Take up a task. What an earlier worker reserved for it and never settled may have been billed: it counts."""
        for ticket in [ticket for ticket in self._open if ticket.task == task]:
            worst = self._open.pop(ticket)
            self._budget.settle(worst, Usage(calls=1, prompt_tokens=worst.tokens, cost=worst.money))

    async def admit(self, ticket: Ticket, worst: Reservation) -> BudgetExceededError | None:
        """Set a call aside as `Budget.admit` does; return the refusal, which is easier sent than raised."""
        try:
            await self._budget.admit(worst)
        except BudgetExceededError as refusal:
            return refusal
        self._open[ticket] = worst
        return None

    async def settle(self, ticket: Ticket, usage: Usage) -> None:
        """Replace a reservation by what the call used; one that is not known was settled when its task was taken up."""
        worst = self._open.pop(ticket, None)
        if worst is not None:
            self._budget.settle(worst, usage)

    async def spent(self) -> Usage:
        """Return what is settled."""
        return self._budget.spent


class KeeperLine(NamedTuple):
    """How a worker reaches the keeper."""

    begin: Callable[[int], Awaitable[None]]
    admit: Callable[[Ticket, Reservation], Awaitable[BudgetExceededError | None]]
    settle: Callable[[Ticket, Usage], None]
    """Sends and does not wait."""


class RemoteBudget(Budget):
    """The keeper's budget as one task of a worker sees it.

    Args:
        limits: Of all workers together.
        task: Task that the calls are for.
        line: The keeper.
    """

    def __init__(self, limits: BudgetSettings, task: int, line: KeeperLine) -> None:
        super().__init__(limits)
        self._task, self._line, self._number = task, line, 0
        self._tickets: dict[Reservation, list[Ticket]] = {}

    async def admit(self, worst: Reservation) -> None:
        """Set a call aside with the keeper, then here.

        Raises:
            BudgetExceededError: It does not fit.
        """
        self._number += 1
        ticket = Ticket(self._task, self._number)
        if (refusal := await self._line.admit(ticket, worst)) is not None:
            self._refusal = self._refusal or refusal
            raise refusal
        self._tickets.setdefault(worst, []).append(ticket)
        self.reserve(worst)

    def settle(self, worst: Reservation, usage: Usage) -> None:
        """Tell the keeper, then count here."""
        equal = self._tickets[worst]
        self._line.settle(equal.pop(), usage)
        if not equal:
            del self._tickets[worst]
        super().settle(worst, usage)
