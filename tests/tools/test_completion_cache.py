"""An answer is paid for once, found again, and durable before it is relied on."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from limner.errors import BudgetExceededError, ModelUnavailableError, StoreError
from limner.records import Message, Usage
from limner.sections import BudgetSettings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest, ChatResult
from limner.tools.completion_cache import CachedChat, completion_key
from limner.tools.scripted import ScriptedChat


class Table:
    """Completions as the store keeps them, by key and subject."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], str] = {}
        self.queries: list[list[str]] = []
        self.broken = False

    async def cached_completions(self, keys: Sequence[str]) -> dict[str, str]:
        """Find rows."""
        self.queries.append(list(keys))
        await asyncio.sleep(0)
        return {key: answer for (key, _), answer in self.rows.items() if key in keys}

    async def cache_completions(self, entries: Mapping[str, str], subject: str) -> None:
        """Insert or replace rows."""
        if self.broken:
            raise StoreError("table", "disk full")
        await asyncio.sleep(0)
        self.rows |= {(key, subject): answer for key, answer in entries.items()}


def request(text: str = "hello", *, seed: int | None = 1, temperature: float = 0.9) -> ChatRequest:
    return ChatRequest(
        messages=(Message(role="user", content=text),),
        purpose="test",
        max_tokens=20,
        seed=seed,
        temperature=temperature,
    )


async def test_a_repeated_request_is_free_even_with_nothing_left() -> None:
    table, budget = Table(), Budget(BudgetSettings(calls=1))
    inner = ScriptedChat(["one"])
    cached = CachedChat(inner, table, linger=0)
    chat = cached.for_subject("user:1")

    first = await chat.complete(request(), budget)
    await cached.flush()
    second = await CachedChat(inner, table).for_subject("user:2").complete(request(), budget)

    assert (first.text, second.text) == ("one", "one")
    assert (first.cached, second.cached) == (False, True)
    assert second.usage == Usage(cached_calls=1)
    assert budget.spent.calls == 1
    await cached.aclose()


async def test_everything_but_usage_comes_back_from_the_cache() -> None:
    given = ChatResult(
        text="é\n",
        finish_reason="stop",
        model="scripted",
        usage=Usage(),
        model_rev="r1",
        token_logprobs=(-0.5, -1.0),
        first_token={"A": -0.1},
    )
    table = Table()
    cached = CachedChat(ScriptedChat([given]), table)
    await cached.complete(request(), Budget(), "user:1")
    await cached.aclose()

    found = await CachedChat(ScriptedChat(), table).complete(request(), Budget(), "user:1")

    assert (found.text, found.model_rev) == ("é\n", "r1")
    assert (found.token_logprobs, found.first_token) == ((-0.5, -1.0), {"A": -0.1})


async def test_an_answer_is_found_before_it_is_written() -> None:
    cached = CachedChat(ScriptedChat(["one"]), Table(), linger=60)

    await cached.complete(request(), Budget(), "user:1")
    again = await cached.complete(request(), Budget(), "user:1")

    assert again.cached
    await cached.aclose()


async def test_identical_requests_in_flight_are_sent_once() -> None:
    table, budget = Table(), Budget()
    inner = ScriptedChat(["one"])
    cached = CachedChat(inner, table)

    results = await asyncio.gather(*(cached.complete(request(), budget, f"user:{n}") for n in range(5)))
    await cached.aclose()

    assert len(inner.requests) == 1
    assert [result.cached for result in results] == [False, True, True, True, True]
    assert {subject for _, subject in table.rows} == {f"user:{n}" for n in range(5)}


async def test_concurrent_look_ups_share_a_query() -> None:
    table = Table()
    cached = CachedChat(ScriptedChat(lambda asked: asked.messages[0].content), table)

    await asyncio.gather(*(cached.complete(request(f"q{n}"), Budget(), "user:1") for n in range(50)))
    await cached.aclose()

    assert len(table.queries) == 1
    assert len(table.rows) == 50


async def test_answers_are_written_without_being_asked_to() -> None:
    table = Table()
    cached = CachedChat(ScriptedChat(["one"]), table, linger=0)
    await cached.complete(request(), Budget(), "user:1")
    for _ in range(100):
        await asyncio.sleep(0.001)
        if table.rows:
            break

    assert len(table.rows) == 1
    await cached.aclose()


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_incomplete_answers_are_not_kept(reason: str) -> None:
    cut = ChatResult(text="half", finish_reason=reason, model="scripted", usage=Usage())
    table = Table()
    cached = CachedChat(ScriptedChat([cut, "whole"]), table)

    await cached.complete(request(), Budget(), "user:1")
    second = await cached.complete(request(), Budget(), "user:1")

    assert second.text == "whole"
    await cached.aclose()


async def test_a_verdict_that_is_cut_after_its_token_is_kept() -> None:
    cut = ChatResult(text="4 of", finish_reason="length", model="scripted", usage=Usage())
    cached = CachedChat(ScriptedChat([cut, "asked again"]), Table())

    await cached.complete(request(temperature=0.0), Budget(), "user:1")
    second = await cached.complete(request(temperature=0.0), Budget(), "user:1")

    assert (second.text, second.finish_reason, second.cached) == ("4 of", "length", True)
    await cached.aclose()


async def test_a_fallbacks_answer_is_not_kept() -> None:
    other = ChatResult(text="plan B", finish_reason="stop", model="other", usage=Usage())
    cached = CachedChat(ScriptedChat([other, "plan A"]), Table())

    await cached.complete(request(), Budget(), "user:1")

    assert (await cached.complete(request(), Budget(), "user:1")).text == "plan A"
    await cached.aclose()


async def test_samples_without_a_seed_are_drawn_anew() -> None:
    cached = CachedChat(ScriptedChat(["one", "two"]), Table())
    unseeded = request(seed=None)

    drawn = await asyncio.gather(*(cached.complete(unseeded, Budget(), "user:1") for _ in range(2)))

    assert {result.text for result in drawn} == {"one", "two"}


async def test_if_the_sender_is_cancelled_another_caller_sends() -> None:
    inner = ScriptedChat(["one", "two"])
    cached = CachedChat(inner, Table())
    first = asyncio.create_task(cached.complete(request(), Budget(), "user:1"))
    second = asyncio.create_task(cached.complete(request(), Budget(), "user:2"))
    while not inner.requests:
        await asyncio.sleep(0)

    first.cancel()

    assert (await second).text == "two"
    assert first.cancelled()
    await cached.aclose()


async def test_one_callers_empty_budget_is_not_anothers() -> None:
    broke = Budget(BudgetSettings(tokens=1))
    cached = CachedChat(ScriptedChat(["one"]), Table())

    poor, rich = await asyncio.gather(
        cached.complete(request(), broke, "user:1"),
        cached.complete(request(), Budget(), "user:2"),
        return_exceptions=True,
    )

    assert isinstance(poor, BudgetExceededError)
    assert isinstance(rich, ChatResult) and rich.text == "one"
    await cached.aclose()


async def test_a_failure_reaches_everybody_who_waited_and_is_not_kept() -> None:
    inner = ScriptedChat([ModelUnavailableError("m", 1, "down"), "up"])
    cached = CachedChat(inner, Table())

    failed = await asyncio.gather(
        *(cached.complete(request(), Budget(), "user:1") for _ in range(2)), return_exceptions=True
    )

    assert [type(error) for error in failed] == [ModelUnavailableError] * 2
    assert (await cached.complete(request(), Budget(), "user:1")).text == "up"
    await cached.aclose()


async def test_a_store_that_refuses_is_reported_by_flush_and_tried_again() -> None:
    table = Table()
    cached = CachedChat(ScriptedChat(["one"]), table)
    await cached.complete(request(), Budget(), "user:1")
    table.broken = True
    with pytest.raises(StoreError, match="disk full"):
        await cached.flush()

    table.broken = False
    await cached.flush()

    assert len(table.rows) == 1
    await cached.aclose()


class Elsewhere(ScriptedChat):
    """A model of the same name at another address."""

    @property
    def identity(self) -> str:
        """Its name and where it is."""
        return f"{self.name} at elsewhere"


async def test_an_answer_of_another_address_or_revision_is_not_taken() -> None:
    table = Table()
    here = CachedChat(ScriptedChat(["here"]), table, linger=0)
    await here.complete(request(), Budget(), "user:1")
    await here.flush()

    there = CachedChat(Elsewhere(["there"]), table).for_subject("user:1")

    assert there.identity == "scripted at elsewhere"
    assert (await there.complete(request(), Budget())).text == "there"
    await here.aclose()


def test_the_key_covers_everything_the_answer_depends_on() -> None:
    base = request()
    others = [
        request("bye"),
        request(seed=2),
        request(temperature=0.1),
        ChatRequest(messages=base.messages, purpose="test", max_tokens=21, seed=1, temperature=0.9),
        ChatRequest(
            messages=base.messages, purpose="test", max_tokens=20, seed=1, temperature=0.9, top_p=0.5
        ),
        ChatRequest(
            messages=base.messages,
            purpose="test",
            max_tokens=20,
            seed=1,
            temperature=0.9,
            json_schema={"type": "object"},
        ),
    ]
    keys = {completion_key("m", base), completion_key("n", base), *(completion_key("m", o) for o in others)}
    assert len(keys) == 8
    relabelled = ChatRequest(messages=base.messages, purpose="other", max_tokens=20, seed=1, temperature=0.9)
    assert completion_key("m", relabelled) == completion_key("m", base)
