"""What forgetting would remove, said before anything is touched."""

from dataclasses import dataclass

from ...errors import UnknownItemError
from ...face import Limner
from ...receipts import Receipt
from ..http.problems import Problem
from ..statements import Quote
from .deeds import deeds_by_id, deeds_page, last_with_items, quotes_of
from .portrait_view import Head, head_of

_ITEMS = 40
"""Latest items that are offered."""

_DEEDS = 20
"""Interactions on a page."""

_ROWS = "interactions"
"""Place of a receipt where what a user did is counted."""


@dataclass(frozen=True, kw_only=True)
class Had:
    """An item that the user did something with."""

    item_id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class ForgetView:
    """What can be forgotten about a user."""

    head: Head
    items: tuple[Had, ...]
    """The user's items, latest first."""

    more: bool
    """Whether there may be items that are not listed."""

    deeds: tuple[Quote, ...]
    """What the user did, newest first, a page of it."""

    before: str
    """Where this page begins; empty for the newest."""

    older: str
    """Where the next page begins; empty on the last."""

    preview: Receipt
    """What would go with the whole user."""


@dataclass(frozen=True, kw_only=True)
class PartView:
    """One thing about to be forgotten."""

    head: Head
    item: Had | None
    """The item; absent if it is a single interaction."""

    deed: Quote | None
    """The interaction; absent if it is an item."""

    preview: Receipt
    """What would go."""


async def forget_view(limner: Limner, user_id: str, *, before: str = "") -> ForgetView:
    """Return what can be forgotten about a user; nothing is touched.

    Raises:
        UnknownUserError: The user was never recorded, or is forgotten.
        Problem: 422, no page gave `before`.
    """
    head = await head_of(limner, user_id)
    had = list(await last_with_items(limner, user_id))
    deeds, older = await deeds_page(limner, user_id, before, _DEEDS)
    return ForgetView(
        head=head,
        items=await _named(limner, had[:_ITEMS]),
        more=len(had) > _ITEMS,
        deeds=await quotes_of(limner, deeds),
        before=before,
        older=older,
        preview=await limner.forget(user_id, dry_run=True),
    )


async def forget_item_view(limner: Limner, user_id: str, item_id: str) -> PartView:
    """Return what forgetting an item for a user would remove; nothing is touched.

    Raises:
        UnknownUserError: The user was never recorded, or is forgotten.
        UnknownItemError: The user did nothing with this item.
    """
    head = await head_of(limner, user_id)
    preview = await limner.forget(user_id, item_id=item_id, dry_run=True)
    if not preview.removed.get(_ROWS):
        raise UnknownItemError(item_id)
    (item,) = await _named(limner, [item_id])
    return PartView(head=head, item=item, deed=None, preview=preview)


async def forget_event_view(limner: Limner, user_id: str, event_id: str) -> PartView:
    """Return what forgetting one interaction would remove; nothing is touched.

    Raises:
        UnknownUserError: The user was never recorded, or is forgotten.
        Problem: 404, the user did no such thing.
    """
    head = await head_of(limner, user_id)
    found = await deeds_by_id(limner, user_id, {event_id})
    if not found:
        raise Problem(404, "unknown_event", "Nothing of the kind is on record for this user.")
    (deed,) = await quotes_of(limner, list(found.values()))
    preview = await limner.forget(user_id, event_id=event_id, dry_run=True)
    return PartView(head=head, item=None, deed=deed, preview=preview)


async def _named(limner: Limner, item_ids: list[str]) -> tuple[Had, ...]:
    items = await limner.items(item_ids)
    titles = {item_id: item.title for item_id, item in items.items()}
    return tuple(
        Had(item_id=item_id, title=titles.get(item_id) or "Item without a title") for item_id in item_ids
    )
