"""The gateway against a real server on loopback that misbehaves."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from limner.errors import BudgetExceededError, ModelUnavailableError, PriceUnknownError
from limner.evals.bench.loopback_server import Json, LoopbackServer, Reply, fitting
from limner.records import Message
from limner.sections import BudgetSettings, ChatSettings
from limner.tools.backends import load_litellm
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.clock import Clock, ManualClock
from limner.tools.gateway import LiteLLMChat
from limner.tools.structured import complete_as

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = "hunter2-of-the-user"
WORST_READ = 128 + 16 + 5  # one message of 5 bytes
Make = Callable[..., LiteLLMChat]


class Answer(BaseModel):
    """What structured requests ask for."""

    word: str
    count: int


def request(**changes: Any) -> ChatRequest:
    return ChatRequest(
        messages=(Message(role="user", content="hello"),), purpose="t", max_tokens=30, **changes
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture(params=["directly", "by litellm"])
async def make(
    clock: ManualClock, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Make]:
    """Make gateways that are closed when the test ends."""
    made: list[LiteLLMChat] = []
    if request.param == "by litellm":  # what is set up in LiteLLM keeps every call there
        monkeypatch.setattr(load_litellm(), "headers", {"X-Set-Up": "yes"})

    def gateway(
        server: LoopbackServer, *, model: str = "openai/main", clock: Clock = clock, **settings: Any
    ) -> LiteLLMChat:
        chosen = ChatSettings.model_validate({"api_base": server.url, "api_key": KEY, **settings})
        made.append(LiteLLMChat(model, chosen, clock=clock))
        return made[-1]

    yield gateway
    for chat in made:
        await chat.aclose()


async def test_a_plain_answer_carries_usage_cost_and_latency(make: Make) -> None:
    budget = Budget()
    async with LoopbackServer(Reply(text="hi", usage=(11, 2), delay=0.02)) as server:
        chat = make(server, price_per_million=(1.0, 10.0))
        result = await chat.complete(request(seed=5, temperature=0.5, top_p=0.9), budget)

    assert (result.text, result.finish_reason, result.model) == ("hi", "stop", "openai/main")
    assert result.model_rev == "loopback-1"
    assert (result.usage.calls, result.usage.prompt_tokens, result.usage.completion_tokens) == (1, 11, 2)
    assert result.usage.cost == pytest.approx(11e-6 + 2e-5)
    assert result.usage.seconds >= 0.02
    assert result.usage.unpriced_calls == 0
    assert budget.spent == result.usage
    sent = server.requests[0]
    assert (sent["model"], sent["max_tokens"], sent["seed"]) == ("main", 30, 5)
    assert (sent["temperature"], sent["top_p"]) == (0.5, 0.9)
    assert sent["messages"] == [{"role": "user", "content": "hello"}]
    assert "response_format" not in sent and "logprobs" not in sent
    assert f"authorization: bearer {KEY}" in server.heads[0].decode().lower()


def test_the_identity_names_models_address_and_revision(tmp_path: Path) -> None:
    def identity(model: str, **settings: Any) -> str:
        return LiteLLMChat(model, ChatSettings.model_validate(settings), models_dir=tmp_path).identity

    weights = tmp_path / "mine.gguf"
    assert identity("limner/mine") == "limner/mine@missing"
    weights.write_bytes(b"abc")
    assert identity("limner/mine") == "limner/mine@ba7816bf8f01"  # the start of sha256("abc")
    weights.write_bytes(b"")
    assert identity("limner/mine") == "limner/mine@e3b0c44298fc"
    assert identity("limner/minilm") == "limner/minilm@missing"
    assert identity("openai/main", fallback_models=["b", "limner/mine"]) == (
        "openai/main b limner/mine@e3b0c44298fc"
    )
    address = identity("openai/main", api_base="http://user:hush@host:8000/v1")
    assert address == "openai/main at http://host:8000/v1"
    assert identity("openai/main", api_key="hush") == "openai/main"


async def test_log_probabilities_come_if_asked_for(make: Make) -> None:
    async with LoopbackServer("B") as server:
        result = await make(server).complete(request(top_logprobs=3), Budget())

    assert (server.requests[0]["logprobs"], server.requests[0]["top_logprobs"]) == (True, 3)
    assert (result.first_token, result.token_logprobs) == ({"B": -0.25}, (-0.25,))


@pytest.mark.parametrize(
    ("header", "least"), [("7", 7.0), ("2.5", 2.5), ("Thu, 01 Jan 2026 12:00:20 GMT", 20.0)]
)
async def test_retry_after_is_honoured(make: Make, clock: ManualClock, header: str, least: float) -> None:
    first = [Reply(status=429, retry_after=header)]
    async with LoopbackServer(first=first) as server:
        result = await make(server, max_wait=30).complete(request(), Budget())

    assert len(clock.slept) == 1
    assert least <= clock.slept[0] <= 30
    assert (result.usage.calls, result.usage.tokens) == (2, 10)  # the refusal cost no tokens


async def test_a_longer_retry_after_than_allowed_goes_to_the_fallback(make: Make, clock: ManualClock) -> None:
    def answer(sent: Json) -> Reply:
        return Reply(status=429, retry_after="31") if sent["model"] == "main" else Reply(text="plan B")

    async with LoopbackServer(answer) as server:
        chat = make(server, max_wait=30, fallback_models=["openai/second"])
        result = await chat.complete(request(), Budget())

    assert (result.text, result.model, result.usage.calls) == ("plan B", "openai/second", 2)
    assert clock.slept == []


async def test_a_storm_of_errors_is_waited_out(make: Make, clock: ManualClock) -> None:
    storm = [Reply(status=500), Reply(status=503), Reply(status=502)]
    async with LoopbackServer(first=storm) as server:
        result = await make(server, attempts=4).complete(request(), Budget())

    assert result.usage.calls == server.count == 4
    assert all(0 <= waited <= 0.5 * 2**turn for turn, waited in enumerate(clock.slept, start=0))
    assert len(set(clock.slept)) == 3  # jitter: no two equal


async def test_a_storm_that_lasts_ends_in_an_error_that_says_so(make: Make) -> None:
    async with LoopbackServer(Reply(status=503, text="overloaded")) as server:
        chat = make(server, attempts=3)
        with pytest.raises(ModelUnavailableError) as caught:
            await chat.complete(request(), Budget())

    assert server.count == 3  # neither LiteLLM nor the OpenAI client retries on its own
    assert str(caught.value).startswith(
        "model='openai/main' failed 3 times, last: the server failed (503): overloaded; check"
    )


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(fault="drop"), "the connection broke"),
        (Reply(fault="cut", text="x" * 999), "the connection broke"),
        (Reply(raw=b"<html>oops</html>"), "the answer could not be read"),
        (Reply(raw=b'{"object": "chat.completion"}'), "the answer could not be read"),
        (Reply(raw=b'{"object": "chat.completion", "choices": []}'), "the answer could not be read"),
        (Reply(fault="hang"), "no answer within 0.2 s"),
    ],
)
async def test_a_lost_answer_is_asked_for_again_and_counted_at_its_worst(
    make: Make, reply: Reply, reason: str
) -> None:
    budget = Budget()
    async with LoopbackServer(first=[reply]) as server:
        result = await make(server, timeout=0.2).complete(request(), budget)
    assert (result.text, result.usage.calls) == ("ok", 2)
    assert result.usage.prompt_tokens == WORST_READ + 7
    assert result.usage.completion_tokens == 30 + 3

    async with LoopbackServer(reply) as server:
        with pytest.raises(ModelUnavailableError, match=f"failed 1 times, last: {reason}"):
            await make(server, timeout=0.2, attempts=1).complete(request(), budget)
    assert budget.spent.calls == 3
    assert budget.open == 0


async def test_an_address_where_nobody_listens_costs_no_tokens(make: Make) -> None:
    budget = Budget()
    async with LoopbackServer() as server:
        chat = make(server, attempts=2)
    with pytest.raises(ModelUnavailableError, match="nobody answers there"):
        await chat.complete(request(), budget)
    assert (budget.spent.calls, budget.spent.tokens) == (2, 0)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=400, text="no such field"), r"the request was rejected \(400\): no such field"),
        (Reply(status=401, text="wrong key"), r"the key was refused \(401\): wrong key"),
        (Reply(status=404, text="gone"), r"there is no such model or path \(404\): gone"),
        (
            Reply(
                status=400,
                error_code="context_length_exceeded",
                text="This model's maximum context length is 512 tokens",
            ),
            r"the prompt is longer than the model's context \(400\)",
        ),
    ],
)
async def test_what_cannot_succeed_is_not_retried(
    make: Make, clock: ManualClock, reply: Reply, reason: str
) -> None:
    async with LoopbackServer(reply) as server:
        with pytest.raises(ModelUnavailableError, match=f"failed 1 times, last: {reason}"):
            await make(server).complete(request(), Budget())
    assert server.count == 1
    assert clock.slept == []


async def test_without_a_key_nothing_is_sent_retried_or_booked(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for model in ("gpt-5-mini", "gemini/gemini-2.5-flash"):
        budget = Budget()
        chat = LiteLLMChat(model, ChatSettings(attempts=3), clock=clock)
        with pytest.raises(ModelUnavailableError, match=r"nothing was sent, for want of a key: .*_API_KEY"):
            await chat.complete(request(), budget)
        await chat.aclose()
        assert (budget.spent.calls, budget.spent.tokens, budget.spent.cost) == (1, 0, 0.0)
    assert clock.slept == []


async def test_when_every_model_fails_each_says_why(make: Make) -> None:
    def answer(sent: Json) -> Reply:
        return Reply(status=401, text="no") if sent["model"] == "main" else Reply(status=500, text="boom")

    async with LoopbackServer(answer) as server:
        chat = make(server, attempts=2, fallback_models=["openai/second"])
        with pytest.raises(ModelUnavailableError, match="failed 3 times") as caught:
            await chat.complete(request(), Budget())

    assert "openai/main: the key was refused (401): no; openai/second: the server failed" in str(caught.value)


def _texts(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{error} {error!r} {error.args}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("status", [400, 401, 500])
async def test_no_key_is_in_any_error(make: Make, status: int) -> None:
    reply = Reply(status=status, text=f"you sent {KEY} and sk-proj-abcdefgh12345678")
    async with LoopbackServer(reply) as server:
        with pytest.raises(ModelUnavailableError) as caught:
            await make(server, attempts=1).complete(request(), Budget())

    told = "".join(_texts(caught.value))
    assert "you sent [key] and [key]" in told
    assert KEY not in told and "abcdefgh" not in told


async def test_a_server_that_takes_schemas_gets_the_schema(make: Make) -> None:
    async with LoopbackServer(fitting) as server:
        read = await complete_as(make(server), request(), Answer, Budget())

    assert read.value == Answer(word="loopback", count=0)
    form = server.requests[0]["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    assert form["json_schema"]["schema"]["required"] == ["word", "count"]


async def test_a_server_that_refuses_schemas_is_asked_in_words_from_then_on(make: Make) -> None:
    def answer(sent: Json) -> Reply:
        if "response_format" in sent:
            return Reply(status=400, text="response_format json_schema is not supported")
        return Reply(text='{"word": "plain", "count": 1}')

    async with LoopbackServer(answer) as server:
        chat = make(server)
        first = await complete_as(chat, request(), Answer, Budget())
        await complete_as(chat, request(), Answer, Budget())

    assert (first.value.word, first.usage.calls, server.count) == ("plain", 2, 3)
    system, user = server.requests[2]["messages"]
    assert system["role"] == "system" and '"required": ["word", "count"]' in system["content"]
    assert user == {"role": "user", "content": "hello"}


async def test_malformed_json_is_repaired_and_nonsense_asked_for_again(make: Make) -> None:
    first = [
        Reply(text='```json\n{"word": "fenced", "count": 1,}\n```'),
        Reply(text='{"word": "cut", "count": 2, "', finish_reason="length"),
        Reply(text="I would rather not"),
    ]
    async with LoopbackServer(Reply(text='{"word": "again", "count": 3}'), first=first) as server:
        chat = make(server)
        fenced = await complete_as(chat, request(), Answer, Budget())
        again = [await complete_as(chat, request(), Answer, Budget()) for _ in range(2)]

    assert (fenced.value.word, fenced.repaired, fenced.usage.calls) == ("fenced", True, 1)
    assert (again[0].value.word, again[0].repaired, again[0].usage.calls) == ("cut", True, 1)
    assert (again[1].value.word, again[1].repaired, again[1].usage.calls) == ("again", False, 2)


async def test_a_server_that_reports_no_usage_is_taken_at_a_bound(make: Make) -> None:
    async with LoopbackServer(Reply(text="café", usage=None)) as server:
        result = await make(server).complete(request(), Budget())

    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (WORST_READ, 5)  # bytes


async def test_a_money_limit_needs_a_price_before_anything_is_sent() -> None:
    chat = LiteLLMChat("openai/nobody-lists-this", ChatSettings(api_key=SecretStr(KEY)))
    with pytest.raises(PriceUnknownError, match="model='openai/nobody-lists-this' has no known price"):
        await chat.complete(request(), Budget(BudgetSettings(money=1.0)))


async def test_a_fallbacks_price_must_be_known_too(make: Make) -> None:
    async with LoopbackServer() as server:
        chat = make(server, fallback_models=["anthropic/nobody-lists-this"])
        with pytest.raises(PriceUnknownError, match="nobody-lists-this"):
            await chat.complete(request(), Budget(BudgetSettings(money=1.0)))
    assert server.count == 0


def _moody(rng: random.Random) -> Callable[[Json], Reply]:
    def answer(sent: Json) -> Reply:
        mood = rng.random()
        if mood < 0.1:
            return Reply(status=500)
        if mood < 0.15:
            return Reply(fault="drop")
        return Reply(usage=(rng.randrange(1, WORST_READ), rng.randrange(1, 30)))

    return answer


@pytest.mark.parametrize(
    "limits",
    [BudgetSettings(calls=40), BudgetSettings(tokens=3000), BudgetSettings(money=0.004)],
    ids=["calls", "tokens", "money"],
)
async def test_limits_hold_under_a_hundred_concurrent_calls(make: Make, limits: BudgetSettings) -> None:
    budget = Budget(limits)
    async with LoopbackServer(_moody(random.Random(7))) as server:
        chat = make(server, concurrency=100, price_per_million=(1.0, 1.0))
        outcomes = await asyncio.gather(
            *(chat.complete(request(), budget) for _ in range(100)), return_exceptions=True
        )

    refused = [error for error in outcomes if isinstance(error, BudgetExceededError)]
    assert refused
    assert budget.spent.calls == server.count  # every request is accounted for
    assert budget.spent.calls <= (limits.calls or 1000)
    assert budget.spent.tokens <= (limits.tokens or 100_000)
    assert budget.spent.cost <= (limits.money or 1.0)
    worst = WORST_READ + 30
    if limits.tokens:
        assert budget.spent.tokens > limits.tokens - worst  # refused for one call's worst case, not before
    assert budget.open == 0


async def test_waiting_for_a_retry_leaves_the_slot_to_others(make: Make) -> None:
    class Gate(ManualClock):
        def __init__(self) -> None:
            super().__init__(NOON)
            self.asleep, self.open = asyncio.Event(), asyncio.Event()

        async def sleep(self, seconds: float) -> None:
            self.asleep.set()
            await self.open.wait()

    gate = Gate()
    async with LoopbackServer(first=[Reply(status=500)]) as server:
        chat = make(server, concurrency=1, clock=gate)
        waiting = asyncio.create_task(chat.complete(request(), Budget()))
        await gate.asleep.wait()
        other = await chat.complete(request(), Budget())
        gate.open.set()
        await waiting

    assert (other.usage.calls, server.count) == (1, 3)


async def test_closing_one_gateway_leaves_its_twin_open(make: Make) -> None:
    async with LoopbackServer() as server:
        one, two = make(server), make(server)
        await one.complete(request(), Budget())
        await two.complete(request(), Budget())
        await one.aclose()
        assert (await two.complete(request(), Budget())).text == "ok"
        assert (await one.complete(request(), Budget())).text == "ok"  # it connects again


def test_one_gateway_serves_one_event_loop_after_another() -> None:
    server = LoopbackServer()
    chat: list[LiteLLMChat] = []

    async def once() -> str:
        async with server:  # the second time on the same port
            chat.append(chat[0] if chat else LiteLLMChat("openai/main", ChatSettings(api_base=server.url)))
            result = await chat[0].complete(request(), Budget())
            await chat[0].aclose()
            return result.text

    assert [asyncio.run(once()), asyncio.run(once())] == ["ok", "ok"]


async def test_no_key_is_needed_for_a_server_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with LoopbackServer() as server:
        chat = LiteLLMChat("openai/main", ChatSettings(api_base=server.url))
        assert (await chat.complete(request(), Budget())).text == "ok"
        await chat.aclose()
