"""What every chat model must do: the double, the gateway on a real server, the cache, the embedded model."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import pytest
from pydantic import BaseModel

from limner.errors import BudgetExceededError
from limner.evals.bench.loopback_server import Json, LoopbackServer, Reply, fill
from limner.records import Message
from limner.sections import BudgetSettings, ChatSettings
from limner.tools.backends import load_litellm
from limner.tools.budget import Budget
from limner.tools.chat import ChatModel, ChatRequest
from limner.tools.completion_cache import CachedChat
from limner.tools.gateway import LiteLLMChat
from limner.tools.schemas import schema_of
from limner.tools.scripted import ScriptedChat
from limner.tools.structured import complete_as

CONCURRENCY = 3
EMBEDDED = "limner/smollm2-135m"


class Remark(BaseModel):
    """What structured requests ask for."""

    mood: Literal["good", "bad"]
    evidence: list[str]


class Subject(NamedTuple):
    """A chat model under test."""

    chat: ChatModel
    name: str
    sent: list[int]
    """Grows by the number of requests in flight, whenever a request really goes out; empty if not known."""
    counts: bool
    """Whether `sent` is known."""


class Nowhere:
    """A store that keeps no completion."""

    async def cached_completions(self, keys: Sequence[str]) -> dict[str, str]:
        """Find nothing."""
        return {}

    async def cache_completions(self, entries: Mapping[str, str], subject: str) -> None:
        """Keep nothing."""


def _text(schema: Json | None, seed: object) -> str:
    """Answer as a model would: fitting the schema, the same for the same seed."""
    number = random.Random(str(seed)).randrange(10**6)
    if schema is None:
        return f"A remark about {number}."
    values = fill(schema)
    assert isinstance(values, dict)
    return Remark(mood="good", evidence=["e1"]).model_dump_json()


def _scripted() -> ScriptedChat:
    return ScriptedChat(lambda asked: _text(asked.json_schema, asked.seed), concurrency=CONCURRENCY)


def _reply(sent: Json) -> Reply:
    schema = sent["response_format"]["json_schema"]["schema"] if "response_format" in sent else None
    text, allowed = _text(schema, sent.get("seed")), sent["max_tokens"]
    if allowed < 5:
        return Reply(
            text=" ".join(text.split()[:allowed]), finish_reason="length", usage=(12, allowed), delay=0.01
        )
    return Reply(text=text, usage=(12, 5), delay=0.01)


@pytest.fixture(
    params=["scripted", "cached", "server", "litellm", pytest.param("embedded", marks=pytest.mark.weights)],
)
async def subject(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Subject]:
    """Each chat model in turn."""
    if request.param == "scripted":
        yield Subject(_scripted(), "scripted", [], False)
    elif request.param == "cached":
        cached = CachedChat(_scripted(), Nowhere(), linger=0)
        yield Subject(cached.for_subject("user:1"), "scripted", [], False)
        await cached.aclose()
    elif request.param in ("server", "litellm"):
        sent: list[int] = []
        if request.param == "litellm":  # what is set up in LiteLLM keeps every call there
            monkeypatch.setattr(load_litellm(), "headers", {"X-Set-Up": "yes"})

        def answer(body: Json) -> Reply:
            sent.append(server.at_once)
            return _reply(body)

        server = LoopbackServer(answer)
        async with server:
            settings = ChatSettings(api_base=server.url, concurrency=CONCURRENCY)
            chat = LiteLLMChat("openai/loopback", settings)
            yield Subject(chat, "openai/loopback", sent, True)
            await chat.aclose()
    else:
        folder = request.getfixturevalue("weights")
        settings = ChatSettings(concurrency=CONCURRENCY)
        embedded = LiteLLMChat(EMBEDDED, settings, models_dir=folder)
        yield Subject(embedded, EMBEDDED, [], False)
        await embedded.aclose()


def ask(text: str = "Say something short about jazz.", *, seed: int = 1) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), purpose="t", max_tokens=24, seed=seed)


async def test_it_goes_by_the_first_choices_name(subject: Subject) -> None:
    result = await subject.chat.complete(ask(), Budget())
    assert result.model == subject.chat.name == subject.name


async def test_usage_is_counted_on_the_result_and_in_the_budget(subject: Subject) -> None:
    budget = Budget()

    results = [await subject.chat.complete(ask(seed=seed), budget) for seed in (1, 2)]

    for result in results:
        assert result.text
        assert result.usage.calls == 1
        assert result.usage.prompt_tokens > 0
        assert 0 < result.usage.completion_tokens <= 24
        assert result.usage.cost == 0  # on this machine
    assert budget.spent == results[0].usage + results[1].usage
    assert budget.open == 0


@pytest.mark.parametrize("limits", [BudgetSettings(calls=1), BudgetSettings(tokens=10)])
async def test_a_spent_budget_refuses_before_anything_is_sent(
    subject: Subject, limits: BudgetSettings
) -> None:
    budget = Budget(limits)
    if limits.calls:
        await subject.chat.complete(ask(), budget)
    spent, sent = budget.spent, len(subject.sent)

    with pytest.raises(BudgetExceededError):
        await subject.chat.complete(ask(seed=2), budget)

    assert (budget.spent, budget.open) == (spent, 0)
    assert len(subject.sent) == sent


async def test_money_limits_allow_what_is_free(subject: Subject) -> None:
    result = await subject.chat.complete(ask(), Budget(BudgetSettings(money=0.01)))
    assert (result.usage.cost, result.usage.unpriced_calls) == (0, 0)


async def test_structured_answers_fit_their_schema(subject: Subject) -> None:
    schema = schema_of(Remark)
    schema["properties"]["evidence"] = {
        "type": "array",
        "items": {"type": "string", "enum": ["e1", "e2"]},
        "maxItems": 2,
    }
    asked = replace(ask('Answer in JSON: is "I love it" good or bad?'), json_schema=schema, max_tokens=60)

    read = await complete_as(subject.chat, asked, Remark, Budget())

    assert set(read.value.evidence) <= {"e1", "e2"}
    assert not read.repaired
    assert read.result.finish_reason == "stop"


async def test_equal_seeds_give_equal_answers_at_temperature_0(subject: Subject) -> None:
    first, second = [await subject.chat.complete(ask(seed=4), Budget()) for _ in range(2)]
    assert first.text == second.text


async def test_an_answer_as_long_as_allowed_says_it_was_cut(subject: Subject) -> None:
    result = await subject.chat.complete(replace(ask(), max_tokens=2), Budget())
    assert result.finish_reason == "length"
    assert result.usage.completion_tokens <= 2


async def test_many_at_once_all_answer_and_keep_to_the_limit(subject: Subject) -> None:
    budget = Budget()

    results = await asyncio.gather(
        *(subject.chat.complete(replace(ask(seed=seed), max_tokens=4), budget) for seed in range(8))
    )

    assert budget.spent.calls == len(results) == 8
    assert budget.open == 0
    if subject.counts:
        assert max(subject.sent) == CONCURRENCY


async def test_cancelling_leaves_the_budget_settled_and_the_slots_free(subject: Subject) -> None:
    budget = Budget()
    calls = [asyncio.create_task(subject.chat.complete(ask(seed=seed), budget)) for seed in range(9)]
    while budget.open < CONCURRENCY and not any(call.done() for call in calls):
        await asyncio.sleep(0)

    for call in calls:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert budget.open == 0
    assert budget.spent.calls >= CONCURRENCY  # they may have been billed
    after = await asyncio.gather(*(subject.chat.complete(ask(seed=seed), Budget()) for seed in range(20, 24)))
    assert [result.usage.calls for result in after] == [1, 1, 1, 1]
