"""Answers that are no words of Limner: counts, pages."""

from typing import Any

from ...models import Profile
from ...records import Interaction, Item, Record


class RecordedEvents(Record):
    """What recording did; durable when it is answered."""

    added: int
    """Events that were new."""

    repeated: int
    """Events whose id was there already."""

    forgotten: int = 0
    """Events that were forgotten before, or whose user or item was; nothing was kept of them."""


class AddedItems(Record):
    """What adding items did."""

    changed: int
    """Items that were new or changed."""


class StoreCounts(Record):
    """How much a tenant has."""

    users: int
    items: int
    interactions: int
    cues: int
    profiles: int
    rollouts: int


class HistoryPage(Record):
    """Part of what a user did."""

    events: tuple[Interaction, ...]
    """Newest first."""

    next_cursor: str | None
    """Asks for what came before; absent on the last page."""


class UsersPage(Record):
    """Part of the users."""

    users: tuple[str, ...]
    """In order of ids."""

    next_cursor: str | None
    """Asks for the next ones; absent on the last page."""


class ItemsPage(Record):
    """Part of the catalogue."""

    items: tuple[Item, ...]
    """In order of ids."""

    next_cursor: str | None
    """Asks for the next ones; absent on the last page."""


class Versions(Record):
    """Every version of a portrait."""

    versions: tuple[Profile, ...]
    """Oldest first."""


class FinishedForgets(Record):
    """What resuming did."""

    finished: int
    """Forgets that were finished."""


class PersonalisedMessages(Record):
    """Messages with context in place."""

    messages: list[dict[str, Any]]
    """Those that came, with what is known about the user before them and before the last one of the user's."""
