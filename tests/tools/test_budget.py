"""Limits on calls, tokens and money are never passed, and never refuse what would fit."""

import asyncio
import pickle
import random

import pytest

from limner.errors import BudgetExceededError
from limner.records import Usage
from limner.sections import BudgetSettings
from limner.tools.budget import Budget, Reservation


def worst(tokens: int = 0, money: float = 0.0) -> Reservation:
    return Reservation(tokens=tokens, money=money)


@pytest.mark.parametrize(
    ("limits", "fits", "too_much", "text"),
    [
        (
            BudgetSettings(calls=1),
            worst(),
            worst(),
            "budget of 1 calls has 0 left and the next call may need 1",
        ),
        (BudgetSettings(tokens=10), worst(7), worst(4), "budget of 10 tokens has 3 left and .* may need 4"),
        (BudgetSettings(money=1.0), worst(0, 0.75), worst(0, 0.5), "budget of 1 money has 0.25 left"),
    ],
)
def test_a_reservation_that_does_not_fit_is_refused(
    limits: BudgetSettings, fits: Reservation, too_much: Reservation, text: str
) -> None:
    budget = Budget(limits)
    budget.reserve(fits)

    with pytest.raises(BudgetExceededError, match=text):
        budget.reserve(too_much)

    assert budget.open == 1


def test_what_is_left_of_a_reservation_is_free_again() -> None:
    budget = Budget(BudgetSettings(tokens=100))
    budget.reserve(worst(90))
    budget.settle(worst(90), Usage(calls=1, prompt_tokens=20, completion_tokens=5))

    budget.reserve(worst(75))  # 25 spent + 75 = 100

    assert (budget.spent.tokens, budget.open) == (25, 1)


def test_no_limits_refuse_nothing() -> None:
    budget = Budget()
    for _ in range(3):
        budget.reserve(worst(10**9, 1e9))
    assert budget.open == 3


async def test_a_call_waits_for_room_that_others_may_leave() -> None:
    budget = Budget(BudgetSettings(tokens=100))
    await budget.admit(worst(80))
    second = asyncio.create_task(budget.admit(worst(80)))
    await asyncio.sleep(0)
    assert not second.done()

    budget.settle(worst(80), Usage(calls=1, prompt_tokens=20))
    await second

    assert budget.open == 1


async def test_a_call_that_waited_in_vain_is_refused() -> None:
    budget = Budget(BudgetSettings(money=1.0))
    await budget.admit(worst(0, 0.8))
    second = asyncio.create_task(budget.admit(worst(0, 0.8)))
    await asyncio.sleep(0)

    budget.settle(worst(0, 0.8), Usage(calls=1, cost=0.8))

    with pytest.raises(BudgetExceededError, match=r"has 0\.2 left"):
        await second


async def test_a_call_that_can_never_fit_is_refused_at_once() -> None:
    budget = Budget(BudgetSettings(calls=2, tokens=100))
    await budget.admit(worst(10))

    with pytest.raises(BudgetExceededError):
        await asyncio.wait_for(budget.admit(worst(101)), timeout=5)


@pytest.mark.parametrize("seed", range(20))
async def test_limits_hold_for_any_mix_of_calls(seed: int) -> None:
    rng = random.Random(seed)
    limits = BudgetSettings(calls=60, tokens=rng.randrange(500, 3000), money=rng.uniform(0.5, 3.0))
    budget = Budget(limits)
    refused = 0

    async def call() -> None:
        nonlocal refused
        most = worst(rng.randrange(1, 200), rng.uniform(0.0, 0.2))
        try:
            await budget.admit(most)
        except BudgetExceededError:
            refused += 1
            return
        await asyncio.sleep(0)
        share = rng.random()
        budget.settle(most, Usage(calls=1, prompt_tokens=int(most.tokens * share), cost=most.money * share))

    await asyncio.gather(*(call() for _ in range(100)))

    assert limits.calls and limits.tokens and limits.money
    assert budget.spent.calls <= limits.calls
    assert budget.spent.tokens <= limits.tokens
    assert budget.spent.cost <= limits.money
    assert budget.spent.calls + refused == 100
    assert refused > 0  # 100 calls, room for 60
    assert budget.open == 0


def test_the_error_survives_a_pickle() -> None:
    error = BudgetExceededError("tokens", 10, 7, 4)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
