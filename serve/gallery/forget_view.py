"""What forgetting would remove, said before anything is touched."""

from dataclasses import dataclass

from ...errors import UnknownItemError
from ...face import Limner
from ...receipts import Receipt
from .portrait_view import Head, head_of

_LISTED = 40
"""Latest items that are offered."""


@dataclass(frozen=True, kw_only=True)
class Had:
    """An item that the user did something with."""

    item_id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class ForgetView:
    """What can be forgotten, or one thing about to be."""

    head: Head
    item: Had | None
    """The item about to be forgotten; absent on the page that offers everything."""

    choices: tuple[Had, ...]
    """The user's items, latest first."""

    more: int
    """Items that are not listed."""

    preview: Receipt
    """What would go: with an item what hangs on it, else the whole user."""


async def forget_view(limner: Limner, user_id: str, *, item_id: str = "") -> ForgetView:
    """Return what can be forgotten about a user; nothing is touched.

    Raises:
        UnknownUserError: The user was never recorded, or is forgotten.
        UnknownItemError: The user did nothing with this item.
    """
    head, history = await head_of(limner, user_id)
    had = list(dict.fromkeys(event.item_id for event in reversed(history) if event.item_id))
    if item_id and item_id not in had:
        raise UnknownItemError(item_id)
    listed = [item_id] if item_id else had[:_LISTED]
    items = await limner.items(listed)
    choices = tuple(
        Had(item_id=one, title=(items[one].title if one in items else "") or "Item without a title")
        for one in listed
    )
    preview = await limner.forget(user_id, item_id=item_id or None, dry_run=True)
    return ForgetView(
        head=head,
        item=choices[0] if item_id else None,
        choices=() if item_id else choices,
        more=0 if item_id else max(0, len(had) - _LISTED),
        preview=preview,
    )
