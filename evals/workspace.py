"""What systems need from the machine they run on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..settings import Settings
from ..tools.budget import Budget, Reservation
from ..tools.grouping.aligning import Align
from ..tools.lessons import Teach


class RunBudget(Budget):
    """Limits of a whole run: once it refused a call, no model is asked any more, however small the question."""

    async def admit(self, worst: Reservation) -> None:
        """Set one call aside.

        Raises:
            BudgetExceededError: It does not fit, or one before it did not.
        """
        self.check()
        await super().admit(worst)


_OF_SETTINGS = RunBudget()


def say_nothing(line: str) -> None:
    """Take a line of progress for nobody."""
    del line


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Where a system may keep things, and how it speaks."""

    folder: Path
    """For caches; made by whoever writes first."""

    seed: int
    """For whatever is drawn at random before a past is given."""

    settings: Settings
    """Limner's own: models, encoders, budgets."""

    notice: Callable[[str], None] = say_nothing
    """Takes one line of progress or warning for the person who waits."""

    teach: Teach | None = None
    """Teaches spaces, for systems with `space=fit`; absent where nobody does."""

    align: Align | None = None
    """Trains individuals and groups towards each other, for `group:rounds=learned`; absent where nobody does."""

    budget: Budget = _OF_SETTINGS
    """Limits of everything that is done with this workspace and its copies; those of the settings if absent."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        seed: int,
        notice: Callable[[str], None] = say_nothing,
        teach: Teach | None = None,
        align: Align | None = None,
    ) -> Self:
        """Return the workspace beside the store that settings name."""
        folder = settings.store / "evals"
        return cls(folder=folder, seed=seed, settings=settings, notice=notice, teach=teach, align=align)

    def __post_init__(self) -> None:
        """Open the budget."""
        if self.budget is _OF_SETTINGS:
            object.__setattr__(self, "budget", RunBudget(self.settings.budget))
