"""Receipts: what was asked to be forgotten, and what that removed, place by place."""

from typing import Literal

from pydantic import Field

from .records import Identifier, Moment, Record

ForgetKind = Literal["user", "user_item", "event", "item", "older", "tenant"]


class Scope(Record):
    """What is to be forgotten; of the fields only those that `kind` names are given."""

    kind: ForgetKind
    """`user` with everything, `user_item` what one user did with one item, `event` one interaction of a user,
    `item` with everything that anybody did with it, `older` every interaction before a moment, `tenant` all."""

    user_id: Identifier | None = None
    """Whose."""

    item_id: Identifier | None = None
    """Which item."""

    event_id: Identifier | None = None
    """Which interaction."""

    before: Moment | None = None
    """Exclusive bound of `older`."""

    at: Moment
    """When it was asked for."""


class Receipt(Record):
    """What a forget removed; it names what was asked for, and nothing of what was forgotten."""

    kind: ForgetKind
    """What was asked for."""

    user_id: Identifier | None = None
    """Whose, as the caller named it; absent in what Limner itself keeps, as all ids are."""

    item_id: Identifier | None = None
    """Which item."""

    event_id: Identifier | None = None
    """Which interaction."""

    before: Moment | None = None
    """Exclusive bound of `older`."""

    removed: dict[str, int] = Field(default_factory=dict[str, int])
    """Place to number of entries that were removed, or with `dry_run` would be; places with none are left out."""

    kept: dict[str, str] = Field(default_factory=dict[str, str])
    """Place to why something of it stays, and what to do about it."""

    dry_run: bool = False
    """Whether nothing was touched."""

    finished: bool = True
    """Whether the files were rewritten too, so that no deleted byte is left in them."""

    at: Moment
    """When it was asked for."""

    @property
    def total(self) -> int:
        """How many entries were removed."""
        return sum(self.removed.values())
