"""A small store to feed: invented people in a folder, opened with doubles for model and encoder."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...face import Limner
from ...records import Interaction
from ...settings import NO_MODEL, Settings
from ...tools.clock import ManualClock
from ..torture.invented import Invented

if TYPE_CHECKING:
    from ...tools.chat import ChatModel

EVENTS = 240
USERS = 8


def settings_of(folder: Path, **groups: Any) -> Settings:
    """Return the settings of a store in a folder, whatever the environment says."""
    told = {
        "store": folder,
        "database_url": None,
        "chroma_url": None,
        "model": NO_MODEL,
        "embedder": "hashing",
    }
    return Settings.model_validate(told | {"groups": {"minimum": 2, "size": 6}} | groups)


def events() -> list[Interaction]:
    """Return what the invented people did."""
    world = Invented(1, USERS)
    return [
        Interaction.model_validate({"event_id": f"e{number}", **world.event(number)})
        for number in range(EVENTS)
    ]


@asynccontextmanager
async def staged(folder: Path, *, chat: "ChatModel | None" = None, **groups: Any) -> AsyncGenerator[Limner]:
    """Open a store with eight people in it."""
    world = Invented(1, USERS)
    clock = ManualClock(world.now(EVENTS) + timedelta(days=1))
    async with Limner(settings_of(folder, **groups), chat=chat, clock=clock) as limner:
        await limner.add_items(world.items)
        await limner.record_many(events())
        yield limner
