"""A store with a few people in it, as a chat assistant finds it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from limner import Limner
from limner.settings import Settings, load_settings

START = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = ("roses", "compost", "orchids", "hedges", "ferns", "tulips", "dahlias", "peonies")
ITEMS: list[dict[str, Any]] = [
    {
        "item_id": word,
        "title": f"The book of {word}",
        "categories": ["gardening" if place % 2 else "botany"],
        "tags": [word],
        "description": f"All about {word} and how to grow them.",
    }
    for place, word in enumerate(WORDS)
]


def happened(user: str, words: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "event_id": f"{user}-{word}",
            "item_id": word,
            "kind": "review",
            "at": START + timedelta(days=day),
            "rating": 5.0,
            "text": f"Lovely {word}, I read it all weekend.",
        }
        for day, word in enumerate(words)
    ]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A store in a folder, no model, the encoder's double."""
    return load_settings(store=tmp_path / "store", model="none", embedder="hashing")


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled store, to be copied: ada has a portrait, bo has events only; tenant `other` has cleo."""
    folder = tmp_path_factory.mktemp("original") / "store"
    asyncio.run(_fill(load_settings(store=folder, model="none", embedder="hashing")))
    return folder


async def _fill(settings: Settings) -> None:
    async with Limner(settings) as limner:
        await limner.add_items(ITEMS)
        await limner.record("ada", happened("ada", WORDS[:5]))
        await limner.record("bo", happened("bo", WORDS[2:6]))
        await limner.profile("ada")
    async with Limner(settings.model_copy(update={"tenant": "other"})) as limner:
        await limner.add_items(ITEMS)
        await limner.record("cleo", happened("cleo", WORDS[1:5]))
        await limner.profile("cleo")


@pytest.fixture
def filled(settings: Settings, original: Path) -> Settings:
    """The settings of a filled store."""
    shutil.copytree(original, settings.store)
    return settings


@pytest.fixture
async def limner(filled: Settings) -> AsyncIterator[Limner]:
    """The filled store, open."""
    async with Limner(filled) as opened:
        yield opened
