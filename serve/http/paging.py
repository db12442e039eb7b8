"""Long lists in pages, by cursors that mean nothing to whoever holds them."""

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import Query
from pydantic import TypeAdapter, ValidationError

from ...records import Moment
from .problems import Problem

PAGE = 100
MOST_PAGE = 1_000

Limit = Annotated[int, Query(ge=1, le=MOST_PAGE, description="Entries of a page at most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=2_000, description="`next_cursor` of the page before; absent for the first page."),
]

T = TypeVar("T")


class Place(NamedTuple):
    """A place in a list that is ordered by time, then by id."""

    at: datetime
    key: str


NEWEST = Place(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "")
"""Behind it every list of what somebody did begins, newest first."""


def cursor_of(*parts: str) -> str:
    """Return a place in a list as opaque words.

    Examples:
        >>> id_behind(cursor_of("b1"))
        'b1'
    """
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def id_behind(cursor: str | None) -> str | None:
    """Return the id that a cursor names; nothing for the first page.

    Raises:
        Problem: 422, no page of such a list gave it.
    """
    return None if cursor is None else str(_read(cursor, tuple[str])[0])


def place_behind(cursor: str | None) -> Place | None:
    """Return the moment and the id that a cursor names; nothing for the first page.

    Raises:
        Problem: 422, no page of such a list gave it.
    """
    return None if cursor is None else Place(*_read(cursor, tuple[Moment, str]))


async def page_of(
    batches: AsyncIterator[list[T]], limit: int, key: Callable[[T], str]
) -> tuple[tuple[T, ...], str | None]:
    """Return the first page of a stream in batches of one more than `limit`, and the cursor of the next."""
    try:
        batch: list[T] = await anext(batches, [])
    finally:
        if isinstance(batches, AsyncGenerator):
            await batches.aclose()
    return tuple(batch[:limit]), cursor_of(key(batch[limit - 1])) if len(batch) > limit else None


def _read(cursor: str, form: Any) -> Any:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        place = TypeAdapter(form).validate_json(raw)
    except (ValueError, ValidationError):
        place = None
    if place is None or "\0" in place[-1]:
        raise Problem(422, "cursor", "`cursor` must be `next_cursor` of an earlier page of this list")
    return place
