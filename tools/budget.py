"""Hard limits on calls, tokens and money that hold under concurrency.

A call first reserves the most it can cost, then settles what it did cost. A reservation that does not fit
is refused before anything is sent, so a limit is never passed, at the price of leaving up to one call's
worst case unused. One budget belongs to one event loop.
"""

import asyncio
from dataclasses import dataclass

from ..errors import BudgetExceededError
from ..records import Usage
from ..sections import BudgetSettings


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """The worst case of one request."""

    tokens: int
    """Most tokens it can read and write."""

    money: float
    """Most it can cost, in US dollars."""


class Budget:
    """Counts what a run spends and refuses what could pass a limit."""

    def __init__(self, limits: BudgetSettings | None = None) -> None:
        self.limits = limits or BudgetSettings()
        self.spent = Usage()
        self._calls = 0
        self._tokens = 0
        self._money = 0.0
        self._open = 0
        self._refusal: BudgetExceededError | None = None
        self._settled = asyncio.Event()

    @property
    def open(self) -> int:
        """How many reservations are not settled yet."""
        return self._open

    def reserve(self, worst: Reservation) -> None:
        """Set one call with this worst case aside.

        Raises:
            BudgetExceededError: It does not fit beside what is spent and reserved.
        """
        self._check("calls", self.limits.calls, self._calls, 1)
        self._check("tokens", self.limits.tokens, self._tokens, worst.tokens)
        self._check("money", self.limits.money, self._money, worst.money)
        self._open += 1
        self._calls += 1
        self._tokens += worst.tokens
        self._money += worst.money

    async def admit(self, worst: Reservation) -> None:
        """Set one call aside as `reserve` does, but wait for calls under way that may leave room for it.

        Calls under way hold their worst case, usually several times what they will use. Refusing because
        of that would end a run far below its limit.

        Raises:
            BudgetExceededError: It does not fit beside what is spent already.
        """
        while self._must_wait(worst):
            await self._settled.wait()
        self.reserve(worst)

    def require(self, *, calls: int = 0, tokens: int = 0) -> None:
        """Make sure that there is room for this much before anything of it is begun; nothing is set aside.

        Raises:
            BudgetExceededError: There is not.
        """
        self._check("calls", self.limits.calls, self._calls, calls)
        self._check("tokens", self.limits.tokens, self._tokens, tokens)

    def settle(self, worst: Reservation, usage: Usage) -> None:
        """Replace a reservation by what the call really used.

        A call whose outcome is unknown (a timeout, a dropped connection) is settled at its worst case by
        passing that as `usage`: it may have been billed.
        """
        self._open -= 1
        self._tokens += usage.tokens - worst.tokens
        self._money += usage.cost - worst.money
        self.spent += usage
        self._settled.set()
        self._settled = asyncio.Event()

    def _must_wait(self, worst: Reservation) -> bool:
        """Whether only the worst cases of calls under way keep this one out."""
        self._check("calls", self.limits.calls, self._calls, 1)
        self._check("tokens", self.limits.tokens, self.spent.tokens, worst.tokens)
        self._check("money", self.limits.money, self.spent.cost, worst.money)
        if self._open == 0:
            return False
        crowded = self.limits.tokens is not None and self._tokens + worst.tokens > self.limits.tokens
        return crowded or (self.limits.money is not None and self._money + worst.money > self.limits.money)

    def check(self) -> None:
        """Start nothing new once a call was refused.

        Raises:
            BudgetExceededError: The first refusal, again.
        """
        if self._refusal is not None:
            raise self._refusal

    def _check(self, name: str, limit: float | None, taken: float, needed: float) -> None:
        if limit is not None and taken + needed > limit:
            refusal = BudgetExceededError(name, limit, taken, needed)
            self._refusal = self._refusal or refusal
            raise refusal
