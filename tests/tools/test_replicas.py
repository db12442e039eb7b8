"""Several servers of one model: calls are shared out, a failing server rests, and nobody waits where another is well."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from limner.errors import ModelUnavailableError, SettingsError
from limner.evals.bench.loopback_server import LoopbackServer, Reply
from limner.records import Message
from limner.sections import ChatSettings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.clock import ManualClock
from limner.tools.gateway import LiteLLMChat
from limner.tools.replicas import Replica, Replicas
from limner.tools.retrying import Failure

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DOWN = Failure(reason="down", retry=True, billed=False)
Make = Callable[..., LiteLLMChat]


def ask(number: int = 0) -> ChatRequest:
    return ChatRequest(
        messages=(Message(role="user", content=f"hello {number}"),), purpose="t", max_tokens=30
    )


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[LiteLLMChat] = []

    def chat(*servers: LoopbackServer | str, **settings: Any) -> LiteLLMChat:
        first, *others = (server if isinstance(server, str) else server.url for server in servers)
        given = {"api_base": first, "replicas": others, "max_wait": 0.3, **settings}
        made.append(LiteLLMChat("openai/main", ChatSettings.model_validate(given)))
        return made[-1]

    yield chat
    for each in made:
        await each.aclose()


async def _start(stack: AsyncExitStack, *servers: LoopbackServer) -> tuple[LoopbackServer, ...]:
    return tuple([await stack.enter_async_context(server) for server in servers])


async def test_calls_are_shared_out_and_no_server_is_given_more_than_it_may_have(make: Make) -> None:
    async with AsyncExitStack() as stack:
        servers = await _start(stack, *(LoopbackServer(delay=0.05) for _ in range(3)))
        chat = make(*servers, concurrency=4)

        answers = await asyncio.gather(*(chat.complete(ask(n), Budget()) for n in range(60)))

    assert {answer.text for answer in answers} == {"ok"}
    assert [server.most_at_once for server in servers] == [4, 4, 4]
    assert sum(server.count for server in servers) == 60


async def test_a_server_that_fails_is_left_alone_and_every_call_is_answered(make: Make) -> None:
    async with AsyncExitStack() as stack:
        broken = LoopbackServer(Reply(status=500, text="broken"), delay=0.02)
        well, ill, other = await _start(stack, LoopbackServer(delay=0.02), broken, LoopbackServer(delay=0.02))
        chat, budget = make(well, ill, other, concurrency=2, max_wait=60.0), Budget()

        answers = await asyncio.gather(*(chat.complete(ask(n), budget) for n in range(40)))

    assert {answer.text for answer in answers} == {"ok"}
    # Two calls at most were under way when it failed first. After that it rests for a second, then one call tries it.
    assert ill.count <= 4
    assert budget.spent.calls == 40 + ill.count


async def test_a_server_that_is_not_there_costs_a_call_no_wait_it_was_not_asked_for(make: Make) -> None:
    async with LoopbackServer() as server:
        chat = make("http://127.0.0.1:9/v1", server, max_wait=60.0)

        answer = await chat.complete(ask(), Budget())

    assert answer.text == "ok"


async def test_a_server_that_asks_for_patience_is_given_it_while_another_works(make: Make) -> None:
    """Its Retry-After is longer than a call may wait, which would be a failure if it were the only one."""
    async with AsyncExitStack() as stack:
        slow = Reply(status=429, text="slow down", retry_after="100")
        busy, well = await _start(stack, LoopbackServer(slow), LoopbackServer())
        chat = make(busy, well, max_wait=30.0)

        answers = [await chat.complete(ask(n), Budget()) for n in range(5)]

    assert [answer.text for answer in answers] == ["ok"] * 5
    assert (busy.count, well.count) == (1, 5)


async def test_a_server_that_is_well_again_is_asked_again(make: Make) -> None:
    async with AsyncExitStack() as stack:
        starting = LoopbackServer(first=[Reply(status=503, text="starting")])
        first, second = await _start(stack, starting, LoopbackServer())
        chat = make(first, second, max_wait=0.05)
        await chat.complete(ask(), Budget())
        await asyncio.sleep(0.1)  # longer than any rest

        await chat.complete(ask(), Budget())

    assert (first.count, second.count) == (2, 1)


async def test_where_all_fail_the_caller_is_told(make: Make) -> None:
    async with AsyncExitStack() as stack:
        broken = Reply(status=500, text="broken")
        servers = await _start(stack, *(LoopbackServer(broken) for _ in range(3)))

        with pytest.raises(ModelUnavailableError, match="broken"):
            await make(*servers, max_wait=0.01).complete(ask(), Budget())

    assert sum(server.count for server in servers) == 4  # `chat.attempts`


async def test_a_refused_request_says_nothing_of_the_server(make: Make) -> None:
    async with AsyncExitStack() as stack:
        refusing = LoopbackServer(first=[Reply(status=400, text="too long")])
        first, second = await _start(stack, refusing, LoopbackServer())
        chat = make(first, second)
        with pytest.raises(ModelUnavailableError, match="too long"):
            await chat.complete(ask(), Budget())

        await chat.complete(ask(), Budget())

    assert (first.count, second.count) == (2, 0)


def test_replicas_need_a_first_server() -> None:
    with pytest.raises(SettingsError, match=r"`chat\.replicas`"):
        LiteLLMChat("openai/main", ChatSettings(replicas=("http://127.0.0.1:1/v1",)))


def test_an_answer_is_known_wherever_it_came_from() -> None:
    """More servers of one model must not make the cache forget what it said."""
    one, two = (
        ChatSettings(api_base="http://a/v1"),
        ChatSettings(api_base="http://a/v1", replicas=("http://b/v1",)),
    )

    assert LiteLLMChat("openai/main", one).identity == LiteLLMChat("openai/main", two).identity


async def test_rests_grow_to_the_longest_and_end_with_an_answer() -> None:
    clock = ManualClock(NOON)
    pool = Replicas(["a", "b"], most=3, longest=5.0, clock=clock)
    [server, _] = pool.servers
    rests: list[float] = []
    for _ in range(4):
        pool.failed(server, DOWN)
        assert server.rests_until is not None
        rests.append((server.rests_until - clock.now()).total_seconds())
        await clock.sleep(rests[-1])

    assert rests == [1.0, 2.0, 4.0, 5.0]
    pool.worked(server)
    pool.failed(server, DOWN)
    assert server.rests_until is not None
    assert (server.rests_until - clock.now()).total_seconds() == 1.0


async def test_one_call_tries_a_server_that_has_rested() -> None:
    clock = ManualClock(NOON)
    pool = Replicas(["a", "b"], most=3, longest=5.0, clock=clock)
    pool.failed(pool.servers[0], DOWN)
    await clock.sleep(1.0)

    async with AsyncExitStack() as stack:
        held: list[Replica] = [await stack.enter_async_context(pool.place()) for _ in range(3)]

    assert Counter(each.url for each in held) == {"a": 1, "b": 2}


async def test_who_waits_while_all_rest_is_served_when_the_first_has_rested() -> None:
    clock = ManualClock(NOON)
    pool = Replicas(["a", "b"], most=3, longest=5.0, clock=clock)
    for server, after in zip(pool.servers, (3.0, 2.0), strict=True):
        pool.failed(server, Failure(reason="busy", retry=True, billed=False, retry_after=after))

    async with asyncio.timeout(5), pool.place() as found:
        assert (found.url, clock.now()) == ("b", NOON.replace(second=2))
    await pool.aclose()


async def test_a_waiter_that_gives_up_leaves_its_turn_to_the_next() -> None:
    pool = Replicas(["a"], most=1, longest=5.0, clock=ManualClock(NOON))

    async def hold() -> None:
        async with pool.place():
            pass

    async with pool.place():
        first, second = asyncio.create_task(hold()), asyncio.create_task(hold())
        await asyncio.sleep(0)
    first.cancel()  # just called up, and not yet running

    async with asyncio.timeout(5):
        await second
