"""What a user did, as far as a page needs it: never the whole history, which may be long."""

from ...face import Limner
from ...records import Interaction, Item
from ..http.paging import NEWEST, cursor_of, place_behind
from ..statements import Quote, quote_of

_LOOKED = 500
"""Latest interactions that are looked through for items."""


async def last_deeds(limner: Limner, user_id: str, most: int) -> list[Interaction]:
    """Return what a user did last, newest first."""
    found = await limner.doors.recorded.history(user_id, as_of=limner.now(), last=most)
    return found[::-1]


async def last_with_items(limner: Limner, user_id: str) -> dict[str, Interaction]:
    """Return the last thing a user did with each item, by item id, latest first, as far as one looks back."""
    latest: dict[str, Interaction] = {}
    for event in await last_deeds(limner, user_id, _LOOKED):
        if event.item_id:
            latest.setdefault(event.item_id, event)
    return latest


async def deeds_by_id(limner: Limner, user_id: str, event_ids: set[str]) -> dict[str, Interaction]:
    """Return those of a user's interactions that have these ids, by id."""
    return await limner.doors.recorded.events(user_id, sorted(event_ids))


async def quotes_of(limner: Limner, deeds: list[Interaction]) -> tuple[Quote, ...]:
    """Show interactions in words."""
    items = await items_of(limner, deeds)
    return tuple(quote_of(deed.event_id, {deed.event_id: deed}, items) for deed in deeds)


async def items_of(limner: Limner, deeds: list[Interaction]) -> dict[str, Item]:
    """Return the items that interactions name, by id."""
    return await limner.items(sorted({deed.item_id for deed in deeds if deed.item_id}))


async def deeds_page(limner: Limner, user_id: str, before: str, most: int) -> tuple[list[Interaction], str]:
    """Return a page of what a user did, newest first, and what asks for the next one; empty on the last.

    Raises:
        Problem: 422, no page of this list gave `before`.
    """
    place = (place_behind(before) if before else None) or NEWEST
    found = await limner.doors.recorded.history_page(user_id, before=place, limit=most + 1)
    page = found[:most]
    return page, cursor_of(page[-1].at.isoformat(), page[-1].event_id) if len(found) > most else ""
