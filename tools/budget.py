"""Hard limits on calls, tokens and money that hold under concurrency.

A call first reserves the most it can cost, then settles what it did cost. A reservation that does not fit
is refused before anything is sent, so a limit is never passed, at the price of leaving up to one call's
worst case unused.
"""

from dataclasses import dataclass

from ..errors import BudgetExceededError
from ..models import Usage
from ..settings import BudgetSettings


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

    def reserve(self, worst: Reservation) -> None:
        """Set one call with this worst case aside.

        Raises:
            BudgetExceededError: It does not fit beside what is spent and reserved.
        """
        self._check("calls", self.limits.calls, self._calls, 1)
        self._check("tokens", self.limits.tokens, self._tokens, worst.tokens)
        self._check("money", self.limits.money, self._money, worst.money)
        self._calls += 1
        self._tokens += worst.tokens
        self._money += worst.money

    def settle(self, worst: Reservation, usage: Usage) -> None:
        """Replace a reservation by what the call really used.

        A call whose outcome is unknown (a timeout, a dropped connection) is settled at its worst case by
        passing that as `usage`: it may have been billed.
        """
        self._tokens += usage.tokens - worst.tokens
        self._money += usage.cost - worst.money
        self.spent += usage

    @staticmethod
    def _check(name: str, limit: float | None, taken: float, needed: float) -> None:
        if limit is not None and taken + needed > limit:
            raise BudgetExceededError(name, limit, taken, needed)
