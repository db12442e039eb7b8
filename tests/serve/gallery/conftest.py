"""A store with a few people in it, one of whom writes markup, and the gallery before it."""

import asyncio
import random
import re
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limner import Limner
from limner.settings import Settings, load_settings
from limner.tools.chat import ChatRequest
from limner.tools.clock import ManualClock
from limner.tools.scripted import Scripted, ScriptedChat

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=60)
HOSTILE = "</p><script>document.title='owned'</script><img src=x onerror=alert(1)> \"it's\" {{ 7 * 7 }} & co"
"""What an attacker would write into an id, a title or a review."""

_ENTRY = re.compile(r"^(e\d+): ([^(\n]*)\(", re.MULTILINE)
WORDS = ("roses", "compost", "orchids", "comets", "nebulae", "planets", "dinghies", "knots", "harbours")


def _answer(request: ChatRequest) -> Scripted:
    """Note nothing, and write sentences about the entries that may be cited."""
    if request.purpose == "extract_cues":
        return {"cues": []}
    if request.purpose == "judge_pair":
        return "4"
    if request.purpose == "choose_next":
        return "A"
    shown = "\n".join(message.content for message in request.messages if message.role == "user")
    entries = [(ref, title.strip().lower()) for ref, title in _ENTRY.findall(shown)]
    if request.purpose == "draft_pair":
        mine, theirs = entries[0][1], entries[-1][1]
        return {
            "user_cue": mine,
            "user_instruction": f"Say what {mine} mean here.",
            "user_profile": f"Enjoys {mine}.",
            "item_cue": theirs,
            "item_instruction": f"Say whom {theirs} suit.",
            "item_profile": f"Suits lovers of {theirs}.",
        }
    chosen = random.Random(request.seed).sample(entries, 2)
    return {
        "likes": [
            {"evidence": [ref], "theme": title, "sentence": f"Enjoys {title}."} for ref, title in chosen
        ]
    }


@pytest.fixture
def hostile() -> str:
    """What an attacker would write into an id, a title or a review."""
    return HOSTILE


def _settings(folder: Path) -> Settings:
    """The encoder's double, and short drawings."""
    drafting = {"drafts": 2, "rounds": 1, "revisions": 1}
    return load_settings(store=folder, embedder="hashing", drafting=drafting)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with people in it, of whom `ada` is drawn; to be copied."""
    folder = tmp_path_factory.mktemp("filled") / "store"

    async def fill_it() -> None:
        async with Limner(_settings(folder), chat=ScriptedChat(_answer), clock=ManualClock(NOW)) as limner:
            await fill(limner)
            await limner.profile("ada")

    asyncio.run(fill_it())
    return folder


@pytest.fixture
def settings(tmp_path: Path, filled: Path) -> Settings:
    """A copy of the filled store."""
    shutil.copytree(filled, tmp_path / "store")
    return _settings(tmp_path / "store")


@pytest.fixture
def chat() -> ScriptedChat:
    """The model."""
    return ScriptedChat(_answer)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still after everything happened."""
    return ManualClock(NOW)


async def fill(limner: Limner) -> None:
    """Record `ada`, `bo` and somebody hostile, with nine items each."""
    titles = {word: word.capitalize() for word in (*WORDS, "lamps", "chairs", "kettles")}
    await limner.add_items(
        [
            {"item_id": word, "title": title, "tags": [word], "categories": ["things"]}
            for word, title in titles.items()
        ]
        + [{"item_id": HOSTILE, "title": HOSTILE, "tags": ["roses"]}]
    )
    for user in ("ada", "bo", HOSTILE):
        words = HOSTILE if user == HOSTILE else f"Lovely, says {user}."
        items = (*WORDS[:8], HOSTILE) if user == HOSTILE else WORDS
        await limner.record(
            user,
            [
                {
                    "item_id": item,
                    "kind": "review",
                    "rating": 5.0 - day % 2,
                    "at": START + timedelta(days=day),
                    "event_id": f"{user}-{day}",
                    "text": words,
                }
                for day, item in enumerate(items)
            ],
        )


@pytest.fixture
async def limner(settings: Settings, chat: ScriptedChat, clock: ManualClock) -> AsyncIterator[Limner]:
    """An open Limner with people in it, of whom `ada` is drawn."""
    async with Limner(settings, chat=chat, clock=clock) as opened:
        yield opened
