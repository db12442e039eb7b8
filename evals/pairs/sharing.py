"""A user's own limit within the limits of a whole run."""

from ...records import Usage
from ...sections import BudgetSettings
from ...tools.budget import Budget, Reservation


class UserBudget(Budget):
    """Counts what one list of candidates takes; the run pays with it.

    Args:
        run: Limits of the whole command.
        calls: Most calls of this list; absent for no limit of its own.
        taken: What an earlier run paid for the same list already.
    """

    def __init__(self, run: Budget, *, calls: int | None = None, taken: Usage | None = None) -> None:
        super().__init__(BudgetSettings(calls=calls))
        self._run = run
        self.spent = taken or Usage()
        self._calls = self.spent.calls

    async def admit(self, worst: Reservation) -> None:
        """Set one call aside here and in the run.

        Raises:
            BudgetExceededError: It does not fit here, or the run refuses it.
        """
        await super().admit(worst)
        await self._run.admit(worst)

    def require(self, *, calls: int = 0, tokens: int = 0) -> None:
        """Make sure that there is room for this much here and in the run.

        Raises:
            BudgetExceededError: There is not.
        """
        super().require(calls=calls, tokens=tokens)
        self._run.require(calls=calls, tokens=tokens)

    def settle(self, worst: Reservation, usage: Usage) -> None:
        """Replace a reservation by what the call really used, here and in the run."""
        super().settle(worst, usage)
        self._run.settle(worst, usage)
