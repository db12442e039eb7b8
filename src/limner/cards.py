"""Cards: what reasoning about an item found, as data."""

from .records import Identifier, Record


class ItemCard(Record):
    """What reasoning about an item found: who it is for, who it is not for, and why."""

    item_id: Identifier
    """The item described."""

    liked_by: str
    """Who would like it."""

    disliked_by: str
    """Who would not."""

    feature: str
    """What sets it apart, in at most 25 words."""

    evidence: tuple[str, ...] = ()
    """Event ids of the reviews it rests on; empty if it rests on publisher text alone."""
