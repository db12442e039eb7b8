"""A budget that several processes share is never passed, whoever dies meanwhile."""

import asyncio

import pytest

from limner.engines.shared_budget import BudgetKeeper, KeeperLine, RemoteBudget, Ticket
from limner.errors import BudgetExceededError
from limner.records import Usage
from limner.sections import BudgetSettings
from limner.tools.budget import Reservation

WORST = Reservation(tokens=10, money=0.0)


def _line(keeper: BudgetKeeper) -> KeeperLine:
    """Reach a keeper in this process as if it were in another: what is sent is not waited for."""
    sent: set[asyncio.Task[None]] = set()

    def settle(ticket: Ticket, usage: Usage) -> None:
        task = asyncio.get_running_loop().create_task(keeper.settle(ticket, usage))
        sent.add(task)
        task.add_done_callback(sent.discard)

    return KeeperLine(begin=keeper.begin, admit=keeper.admit, settle=settle)


async def _call(budget: RemoteBudget, tokens: int) -> None:
    await budget.admit(WORST)
    await asyncio.sleep(0)
    budget.settle(WORST, Usage(calls=1, prompt_tokens=tokens))


async def test_calls_of_several_workers_stay_within_one_limit() -> None:
    limits = BudgetSettings(calls=7)
    keeper = BudgetKeeper(limits)
    workers = [RemoteBudget(limits, task, _line(keeper)) for task in range(3)]

    done = await asyncio.gather(
        *(_call(worker, 1) for worker in workers for _ in range(4)), return_exceptions=True
    )

    refused = [error for error in done if isinstance(error, BudgetExceededError)]
    assert (len(done) - len(refused), len(refused)) == (7, 5)
    assert sum(worker.spent.calls for worker in workers) == 7
    with pytest.raises(BudgetExceededError):
        for worker in workers:
            worker.check()


async def test_a_call_waits_for_calls_of_others_that_may_leave_room() -> None:
    """Of 12 tokens each call may take 10 and takes 3: all four fit one after another, no two at once."""
    limits = BudgetSettings(tokens=12)
    keeper = BudgetKeeper(limits)
    workers = [RemoteBudget(limits, task, _line(keeper)) for task in range(2)]

    first = asyncio.create_task(_call(workers[0], 3))
    await _call(workers[1], 1)
    await first

    await asyncio.sleep(0)
    assert (await keeper.spent()).tokens == 4


async def test_what_a_dead_worker_had_set_aside_counts_when_its_task_is_taken_up() -> None:
    limits = BudgetSettings(calls=3, tokens=25)
    keeper = BudgetKeeper(limits)
    dead = RemoteBudget(limits, 5, _line(keeper))
    await dead.admit(WORST)  # and never settled

    other = RemoteBudget(limits, 6, _line(keeper))
    await other.admit(WORST)
    waiting = asyncio.create_task(RemoteBudget(limits, 5, _line(keeper)).admit(WORST))
    await asyncio.sleep(0)
    assert not waiting.done()  # 10 + 10 + 10 tokens are more than 25: the two under way may leave room
    await keeper.begin(5)
    other.settle(WORST, Usage(calls=1, prompt_tokens=2))

    await waiting
    assert (await keeper.spent()).tokens == 12
    assert (await keeper.spent()).calls == 2


async def test_a_late_word_of_a_worker_that_was_given_up_changes_nothing() -> None:
    keeper = BudgetKeeper(BudgetSettings(calls=3))
    await keeper.admit(Ticket(1, 1), WORST)
    await keeper.begin(1)

    await keeper.settle(Ticket(1, 1), Usage(calls=1, prompt_tokens=1))

    assert (await keeper.spent()).tokens == 10
