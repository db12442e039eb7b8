"""Many users are drawn in one batch a stage, killed or not, and nothing of it stays with the service."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from limner import InputError, Limner
from limner.commands.batching import batching
from limner.evals.bench.server import plausible
from limner.settings import Settings, load_settings

USERS = 12


@pytest.fixture
async def settings(server: Any, said: Any, tmp_path: Path) -> Settings:
    """A store with a few people, and a model in batches."""

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        reply = plausible(body)
        assert reply.usage is not None
        response: dict[str, Any] = said(reply.text, *reply.usage)
        return response

    server.answering = answer
    made = load_settings(
        store=tmp_path / "store",
        model="openai/main",
        embedder="hashing",
        chat={"api_base": server.url, "price_per_million": (2.0, 10.0)},
        drafting={"drafts": 2, "rounds": 0},
        batch={"linger": 0.5, "poll": 0.05},
    )
    async with Limner(made.model_copy(update={"model": "none"})) as limner:
        await limner.add_items([{"item_id": f"i{n}", "title": f"Thing number {n}"} for n in range(9)])
        await limner.record_many(
            {
                "user_id": f"u{user}",
                "event_id": f"u{user}-{day}",
                "item_id": f"i{(user + day) % 9}",
                "kind": "review",
                "at": f"2026-03-0{day + 1}",
                "text": f"Number {user} likes things of day {day}.",
            }
            for user in range(USERS)
            for day in range(6)
        )
    return made


async def _draw(settings: Settings) -> tuple[list[Any], float]:
    async with batching(settings) as limner:
        budget = limner.new_budget()
        outcomes = [each async for each in limner.profiles(at_once=settings.batch.users, budget=budget)]
    return outcomes, budget.spent.cost


async def test_each_stage_of_everybody_s_drawing_is_one_batch(server: Any, settings: Settings) -> None:
    outcomes, cost = await _draw(settings)

    assert [outcome.error for outcome in outcomes] == [None] * USERS
    assert min(outcome.profile.usage.calls for outcome in outcomes) >= 3  # cues and two drafts
    # Cues of everybody, drafts of everybody; an answer that does not fit its form is asked for again, in one more.
    assert [len(batch) for batch in server.asked][:2] == [USERS, 2 * USERS]
    assert len(server.asked) <= 4
    # The usual price of what was read and written, by the server's own count, halved.
    usage = [plausible(row["body"]).usage or (0, 0) for batch in server.asked for row in batch]
    usual = sum(read * 2e-6 + written * 10e-6 for read, written in usage)
    assert cost == pytest.approx(usual / 2)
    assert server.files == {}
    assert list((settings.store / "batches").rglob("*.json")) == []


async def test_a_killed_run_goes_on_with_the_batch_that_was_under_way(
    server: Any, settings: Settings
) -> None:
    server.held = True
    first = asyncio.create_task(_draw(settings))
    while not server.looks:
        await asyncio.sleep(0.02)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    server.held = False

    outcomes, _ = await _draw(settings)

    assert [outcome.error for outcome in outcomes] == [None] * USERS
    asked = [row["custom_id"] for batch in server.asked for row in batch]
    assert len(asked) == len(set(asked))
    assert server.files == {}


async def test_an_embedded_model_has_no_batches(settings: Settings) -> None:
    with pytest.raises(InputError, match="--batch asks a server"):
        async with batching(settings.model_copy(update={"model": "none"})):
            pass
