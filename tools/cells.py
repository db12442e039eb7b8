"""Read the single values of a row as ids, numbers, times, words and lists of words.

Every function takes the column's name for the error it raises, `BadField`.
"""

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite, isnan, nan
from reprlib import Repr
from typing import cast

import orjson

from ..records import LONGEST_ID
from .readers import WHOLE_ROW, Fields

FIRST_YEAR, LAST_YEAR = 1900, 2099
FIRST_SECOND = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp()
LAST_SECOND = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp()
MILLISECONDS_ABOVE = 1e11
NO_GENRES = "(no genres listed)"
MISSING = "is missing"
TIMES = f"seconds, milliseconds or an ISO 8601 time between {FIRST_YEAR} and {LAST_YEAR}"
SHORT = Repr()
SHORT.maxstring = SHORT.maxother = 100


class BadField(ValueError):
    """A field of a row is not what it should be."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        super().__init__(field, reason)


def pick(row: Fields, columns: tuple[str, ...]) -> tuple[str, object]:
    """Return the first of the columns that has a value, and the value; `None` if none has one."""
    for column in columns:
        value = row.get(column)
        if value is not None and value != "":
            return column, value
    return (columns[0] if columns else WHOLE_ROW), None


def identifier(column: str, value: object) -> str:
    """Return an id as text; whole numbers count, fractions and truth values do not."""
    if type(value) is int:
        value = str(value)
    if type(value) is not str:
        raise BadField(
            column, MISSING if value is None else f"must be text or a whole number, got {shown(value)}"
        )
    if not value or value.isspace():
        raise BadField(column, "is blank")
    if len(value) > LONGEST_ID:
        raise BadField(column, f"String should have at most {LONGEST_ID} characters")
    return _clean(column, value)


def words(column: str, value: object) -> str | None:
    """Return text without white space around it, `None` if nothing is left."""
    if value is None or (isinstance(value, float) and isnan(value)):  # pandas writes NaN for no text
        return None
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise BadField(column, f"must be text, got {shown(value)}")
    return _clean(column, value.strip()) or None


def number(column: str, value: object) -> float | None:
    """Return a finite number, `None` for an absent value."""
    if value is None:
        return None
    found = nan
    if not isinstance(value, bool) and isinstance(value, (float, int, str, Decimal)):
        with suppress(ValueError, OverflowError):
            found = float(value)
    if not isfinite(found):
        raise BadField(column, f"must be a finite number, got {shown(value)}")
    return found


def moment(column: str, value: object) -> datetime:
    """Return a time in UTC from seconds, milliseconds, ISO 8601 text or a date."""
    if isinstance(value, date):
        return _dated(column, value)
    if isinstance(value, bool) or not isinstance(value, (float, int, str)):
        raise BadField(column, MISSING if value is None else f"must be a time, got {shown(value)}")
    try:
        seconds = float(value)
    except OverflowError as error:
        raise BadField(column, f"must be {TIMES}, got {shown(value)}") from error
    except ValueError:
        return _dated(column, _iso(column, str(value)))
    if abs(seconds) > MILLISECONDS_ABOVE:
        seconds /= 1000
    if not FIRST_SECOND <= seconds < LAST_SECOND:  # false for NaN as well
        raise BadField(column, f"must be {TIMES}, got {shown(value)}")
    return datetime.fromtimestamp(seconds, UTC)


def review(title: str | None, text: str | None) -> str | None:
    """Join a review's title and text as `Title. Text`."""
    if title is None or text is None:
        return title or text
    return f"{title} {text}" if title[-1] in ".!?" else f"{title}. {text}"


def split(text: str, separator: str | None) -> list[object]:
    """Read a list from one cell, where it is JSON or has separators."""
    if text.startswith("["):
        try:
            return cast(list[object], orjson.loads(text))  # an array, by its first character
        except orjson.JSONDecodeError:
            pass
    return [part.strip() for part in text.split(separator)] if separator else [text]


def gather(row: Fields, columns: tuple[str, ...], separator: str | None) -> tuple[str, ...]:
    """Collect the words of several columns, each once, in order; lists may be nested."""
    found: dict[str, None] = {}
    for column in columns:
        value = row.get(column)
        pending = split(value, separator) if isinstance(value, str) else [value]
        while pending:
            entry = pending.pop(0)
            if isinstance(entry, list):
                pending[:0] = cast(list[object], entry)  # its entries are checked in turn
            elif (entry_words := words(column, entry)) and entry_words != NO_GENRES:
                found[entry_words] = None
    return tuple(found)


def shown(value: object) -> str:
    """Show a value in an error text, however long or deep it is."""
    return SHORT.repr(value)


def _clean(column: str, text: str) -> str:
    if "\0" in text:
        raise BadField(column, "contains a NUL character, which databases refuse")
    return text


def _dated(column: str, value: date) -> datetime:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise BadField(column, f"must be {TIMES}, got {shown(str(value))}")
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _iso(column: str, value: str) -> datetime:
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise BadField(column, f"must be {TIMES}, got {shown(value)}") from error
