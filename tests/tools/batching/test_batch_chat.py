"""Requests of many users go out together, at half the price; a kill loses none of their answers and pays for none twice."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from limner.errors import BudgetExceededError, ModelUnavailableError, PriceUnknownError, SettingsError
from limner.records import Message
from limner.sections import BatchSettings, BudgetSettings, ChatSettings
from limner.tools.batching.batch_book import BatchBook, Page
from limner.tools.batching.batch_chat import BatchChat
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.gateway import LiteLLMChat

Make = Callable[..., BatchChat]
QUICK = BatchSettings(linger=0.05, poll=0.01)
SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}


def ask(words: str, **changes: Any) -> ChatRequest:
    given: dict[str, Any] = {"temperature": 0.5, "seed": 1, **changes}
    return ChatRequest(messages=(Message(role="user", content=words),), purpose="t", max_tokens=30, **given)


@pytest.fixture
async def make(server: Any, tmp_path: Path) -> AsyncIterator[Make]:
    """Make doors on one folder; they are closed when the test ends."""
    made: list[BatchChat] = []

    def door(model: str = "openai/main", batch: BatchSettings = QUICK, **settings: Any) -> BatchChat:
        given = {"api_base": server.url, "price_per_million": (2.0, 10.0), **settings}
        chosen = ChatSettings.model_validate(given)
        chat = BatchChat(model, chosen, batch, folder=tmp_path / "book", models_dir=tmp_path)
        made.append(chat)
        return chat

    yield door
    for chat in made:
        await chat.aclose()


def _pages(tmp_path: Path) -> list[Page]:
    return [Page.model_validate_json(path.read_text()) for path in sorted((tmp_path / "book").glob("*.json"))]


async def test_what_is_asked_at_once_is_one_batch_at_half_the_price(server: Any, make: Make) -> None:
    chat, budget = make(), Budget()

    answers = await asyncio.gather(*(chat.complete(ask(f"hello {n}"), budget) for n in range(50)))

    assert [answer.text for answer in answers] == [f"said: hello {n}" for n in range(50)]
    assert len(server.asked) == 1
    # 10 tokens read at 2 and 5 written at 10 dollars a million are 70e-6, of which half is paid.
    assert answers[0].usage.cost == pytest.approx(35e-6)
    assert budget.spent.cost == pytest.approx(50 * 35e-6)
    body = server.asked[0][7]["body"]
    assert body == {
        "model": "main",
        "messages": [{"role": "user", "content": "hello 7"}],
        "max_tokens": 30,
        "temperature": 0.5,
        "top_p": 1.0,
        "seed": 1,
    }


async def test_a_schema_is_sent_as_the_server_takes_it(server: Any, make: Make) -> None:
    await make().complete(ask("hello", json_schema=SCHEMA), Budget())

    assert server.asked[0][0]["body"]["response_format"]["json_schema"]["schema"] == SCHEMA


async def test_more_than_a_batch_may_hold_goes_into_several(server: Any, make: Make) -> None:
    chat = make(batch=QUICK.model_copy(update={"most": 20}))

    await asyncio.gather(*(chat.complete(ask(f"hello {n}"), Budget()) for n in range(50)))

    assert sorted(map(len, server.asked)) == [10, 20, 20]


async def test_a_kill_while_it_is_looked_at_costs_nothing_twice(
    server: Any, make: Make, tmp_path: Path
) -> None:
    server.held = True
    first = make()
    asking = [asyncio.create_task(first.complete(ask(f"hello {n}"), Budget())) for n in range(3)]
    while not server.looks:
        await asyncio.sleep(0.01)
    for task in asking:
        task.cancel()
    await first.aclose()
    [page] = _pages(tmp_path)
    assert (page.batch_id, len(page.keys)) == ("batch-0", 3)

    server.held = False
    budget, second = Budget(), make()
    answers = await asyncio.gather(*(second.complete(ask(f"hello {n}"), budget) for n in range(4)))

    # Three are of the batch that was under way, one is new.
    assert [answer.text for answer in answers] == [f"said: hello {n}" for n in range(4)]
    assert list(map(len, server.asked)) == [3, 1]
    assert budget.spent.calls == 4


async def test_a_batch_whose_id_was_never_written_down_is_found(
    server: Any, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = BatchBook.keep

    def dies(self: BatchBook, page: Page) -> Page:
        if page.batch_id is not None:
            raise asyncio.CancelledError
        return honest(self, page)

    first = make()
    with monkeypatch.context() as broken:
        broken.setattr(BatchBook, "keep", dies)
        asking = asyncio.create_task(first.complete(ask("hello"), Budget()))
        while not server.batches:
            await asyncio.sleep(0.01)
        asking.cancel()
        await first.aclose()
    [page] = _pages(tmp_path)
    assert page.batch_id is None

    answer = await make().complete(ask("hello"), Budget())

    assert answer.text == "said: hello"
    assert len(server.asked) == 1


async def test_a_batch_that_never_came_to_be_is_handed_over_anew_and_leaves_no_file(
    server: Any, make: Make, tmp_path: Path
) -> None:
    chat = make()
    book = BatchBook(tmp_path / "book")
    book.begin("limner-lost", chat.identity, ["k"])
    server._keep("limner-lost.jsonl", "{}")

    await chat.complete(ask("hello"), Budget())

    assert len(server.asked) == 1
    assert all(file["filename"] != "limner-lost.jsonl" for file in server.files.values())
    assert [page.name == "limner-lost" for page in _pages(tmp_path)] == [False]


async def test_a_request_that_failed_for_now_is_in_the_next_batch(
    server: Any, make: Make, refused: Any, said: Any
) -> None:
    def sometimes(body: dict[str, Any]) -> dict[str, Any]:
        hard = body["messages"][-1]["content"] == "hard" and len(server.asked) == 1
        reply: dict[str, Any] = refused(500, "overloaded") if hard else said("fine")
        return reply

    server.answering = sometimes
    chat, budget = make(), Budget()

    easy, hard = await asyncio.gather(*(chat.complete(ask(word), budget) for word in ("easy", "hard")))

    assert (easy.text, hard.text) == ("fine", "fine")
    assert list(map(len, server.asked)) == [2, 1]
    assert (hard.usage.calls, budget.spent.calls) == (2, 3)


async def test_what_an_expired_batch_did_not_come_to_is_asked_again(server: Any, make: Make) -> None:
    server.status, server.leave_out = "expired", 1
    chat = make()
    asking = [asyncio.create_task(chat.complete(ask(f"hello {n}"), Budget())) for n in range(3)]
    await asking[0]
    server.status, server.leave_out = "completed", 0

    assert [answer.text for answer in await asyncio.gather(*asking)] == [f"said: hello {n}" for n in range(3)]
    assert list(map(len, server.asked))[:2] == [3, 1]


async def test_a_request_that_is_refused_is_reported_and_not_repeated(
    server: Any, make: Make, refused: Any
) -> None:
    def refuses(_: dict[str, Any]) -> dict[str, Any]:
        reply: dict[str, Any] = refused(400, "too long")
        return reply

    server.answering = refuses
    budget = Budget()

    with pytest.raises(ModelUnavailableError, match="the batch answered 400: too long"):
        await make().complete(ask("hello"), budget)

    assert len(server.asked) == 1
    assert (budget.spent.calls, budget.spent.cost) == (1, 0)


async def test_a_batch_that_is_refused_as_a_whole_tells_everybody(server: Any, make: Make) -> None:
    server.status = "failed"

    with pytest.raises(ModelUnavailableError, match="line 1 is no request"):
        await make().complete(ask("hello"), Budget())

    assert len(server.asked) == 1


async def test_a_budget_is_held_before_anything_is_handed_over(server: Any, make: Make) -> None:
    chat, one = make(), Budget(BudgetSettings(calls=1))
    await chat.complete(ask("hello"), one)

    with pytest.raises(BudgetExceededError):
        await chat.complete(ask("more"), one)
    # 128 + 16 + 4 tokens read and 30 written at worst, at 2 and 10 dollars a million and half the price: 298e-6.
    with pytest.raises(BudgetExceededError):
        await chat.complete(ask("more"), Budget(BudgetSettings(money=297e-6)))
    await chat.complete(ask("more"), Budget(BudgetSettings(money=299e-6)))

    assert len(server.asked) == 2


async def test_a_money_limit_needs_a_price(make: Make) -> None:
    chat = make(price_per_million=None, api_base="http://192.0.2.1/v1")

    with pytest.raises(PriceUnknownError):
        await chat.complete(ask("hello"), Budget(BudgetSettings(money=1.0)))


async def test_settled_the_service_keeps_no_word_and_the_book_no_page(
    server: Any, make: Make, tmp_path: Path
) -> None:
    chat = make()
    await chat.complete(ask("hello"), Budget())
    assert "hello" not in (tmp_path / "book" / f"{_pages(tmp_path)[0].name}.json").read_text()
    assert len(server.files) == 2

    await chat.settle()

    assert server.files == {}
    assert _pages(tmp_path) == []


async def test_what_a_killed_run_left_is_cleared_by_one_that_asks_nothing(
    server: Any, make: Make, tmp_path: Path
) -> None:
    first = make()
    await first.complete(ask("hello"), Budget())
    await first.aclose()

    await make(batch=QUICK.model_copy(update={"poll": 5.0})).settle()

    assert server.files == {}
    assert _pages(tmp_path) == []


async def test_the_plain_door_takes_its_answers_from_the_same_cache(make: Make, server: Any) -> None:
    plain = LiteLLMChat("openai/main", ChatSettings(api_base=server.url))

    assert make().identity == plain.identity


async def test_other_models_are_refused(make: Make) -> None:
    with pytest.raises(SettingsError, match="cannot be asked in batches"):
        await make("ollama/llama3").complete(ask("hello"), Budget())


async def test_an_unreadable_page_is_passed_over(tmp_path: Path) -> None:
    book = BatchBook(tmp_path)
    kept = book.begin("a", "model", ["k"])
    (tmp_path / "b.json").write_text(json.dumps({"half": "written"}))

    assert book.pages("model") == [kept]
    assert book.pages("other") == []
