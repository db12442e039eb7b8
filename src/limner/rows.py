"""Read what callers hand over as interactions and items."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from .errors import BadRowError
from .faults import first_fault
from .records import Interaction, Item


def read_event(user_id: str | None, row: Interaction | Mapping[str, Any], ix: int) -> Interaction:
    """Return one interaction.

    Args:
        user_id: Whose it must be; `None` if the row names its user.
        row: An interaction, or its fields.
        ix: Place in the argument, counted from 1, for the error.

    Raises:
        BadRowError: It is not valid or somebody else's.
    """
    named = {} if user_id is None else {"user_id": user_id}
    try:
        event = row if isinstance(row, Interaction) else Interaction.model_validate({**named, **row})
    except ValidationError as error:
        raise _bad_row(ix, error) from error
    if user_id is not None and event.user_id != user_id:
        raise BadRowError("argument", ix, "user_id", f"is {event.user_id!r}, but the call is for {user_id!r}")
    return event


def read_item(row: Item | Mapping[str, Any], ix: int) -> Item:
    """Return one item; see `read_event`."""
    try:
        return row if isinstance(row, Item) else Item.model_validate(row)
    except ValidationError as error:
        raise _bad_row(ix, error) from error


def _bad_row(ix: int, error: ValidationError) -> BadRowError:
    fault = first_fault(error)
    return BadRowError("argument", ix, fault.field or "row", str(fault))
