"""An open Limner without a model, and one who is known to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limner import Limner
from limner.settings import Settings, load_settings
from limner.tools.clock import ManualClock

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """No model, and an encoder without weights."""
    return load_settings(store=tmp_path / "store", embedder="hashing", model="none")


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves when told to."""
    return ManualClock(NOW)


@pytest.fixture
async def limner(settings: Settings, clock: ManualClock) -> AsyncIterator[Limner]:
    """An open, empty Limner."""
    async with Limner(settings, clock=clock) as opened:
        yield opened


@pytest.fixture
def draw(limner: Limner) -> Callable[[str], Awaitable[None]]:
    """A function that records somebody who likes roses and draws the portrait."""

    async def record_and_draw(user_id: str) -> None:
        words = ("roses", "compost", "orchids")
        await limner.add_items([{"item_id": word, "title": f"The book of {word}"} for word in words])
        for day, word in enumerate(words):
            at = NOW - timedelta(days=30 - day)
            await limner.record(user_id, [{"item_id": word, "kind": "purchase", "at": at}])
        await limner.profile(user_id)

    return record_and_draw
