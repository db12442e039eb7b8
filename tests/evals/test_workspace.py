"""The workspace: one budget for everything that is done with it."""

from dataclasses import replace
from pathlib import Path

import pytest

from limner.errors import BudgetExceededError
from limner.evals.workspace import RunBudget, Workspace, say_nothing
from limner.sections import BudgetSettings
from limner.settings import Settings
from limner.tools.budget import Reservation


def test_copies_of_a_workspace_share_its_budget_and_others_have_their_own(tmp_path: Path) -> None:
    settings = Settings(budget=BudgetSettings(calls=3))
    one, other = (Workspace(folder=tmp_path, seed=0, settings=settings) for _ in range(2))

    assert one.budget.limits.calls == 3
    assert replace(one, notice=say_nothing, seed=1).budget is one.budget
    assert other.budget is not one.budget


async def test_a_budget_that_refused_once_lets_nothing_smaller_through() -> None:
    budget = RunBudget(BudgetSettings(tokens=100))
    await budget.admit(Reservation(tokens=60, money=0.0))
    budget.settle(Reservation(tokens=60, money=0.0), budget.spent)

    with pytest.raises(BudgetExceededError):
        await budget.admit(Reservation(tokens=101, money=0.0))
    with pytest.raises(BudgetExceededError):
        await budget.admit(Reservation(tokens=1, money=0.0))
