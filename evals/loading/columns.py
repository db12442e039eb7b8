"""Collect events in columns while files stream by: a few bytes an event, whatever the file holds."""

from array import array
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import nan
from typing import cast

import numpy as np

from ...errors import UnknownFormatError
from ...tools.cells import (
    FIRST_SECOND,
    LAST_SECOND,
    MILLISECONDS_ABOVE,
    BadField,
    identifier,
    moment,
    number,
    pick,
    review,
    shown,
    split,
    words,
)
from ...tools.readers import Fields
from ..dataset import IntArray
from ..texts import GrowingTexts
from .sources import Source

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNTIMED = -1
_LONG = 19
"""Digits of a number that is no time; Python refuses to read very long ones."""


def microseconds(column: str, value: object) -> int:
    """Return a time in microseconds since 1970. A number is seconds, or milliseconds above 1e11."""
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < _LONG:
        value = int(value)
    if type(value) is int:
        millis = abs(value) > MILLISECONDS_ABOVE
        if FIRST_SECOND <= (value / 1000 if millis else value) < LAST_SECOND:
            return value * (1000 if millis else 1_000_000)
    return (moment(column, value) - _EPOCH) // _MICROSECOND


class Numbering:
    """Gives each id a number, in the order in which ids come up."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def __call__(self, name: str) -> int:
        """Return the number of an id, a new one for a new id."""
        return self.numbers.setdefault(name, len(self.numbers))


class EventColumns:
    """Every event of a set, in the order of its files."""

    def __init__(self, *, keep_text: bool) -> None:
        self.users, self.items = Numbering(), Numbering()
        self.user, self.item, self.at = array("q"), array("q"), array("q")
        self.rating = array("f")
        self.text = array("q")
        """Place of an event's text in `texts`; the first is empty."""
        self.texts = GrowingTexts()
        self.texts.append("")
        self._texts = 1
        self._keep_text = keep_text
        self._timed: dict[bool, str] = {}

    def __len__(self) -> int:
        return len(self.user)

    @property
    def timed(self) -> bool:
        """Whether events have times; if not, their order is all there is."""
        return True in self._timed

    def read(self, source: Source) -> None:
        """Take all events of a file.

        Raises:
            UnknownFormatError: Not one row is good, or the file has times and another one has none.
        """
        before = len(self)
        how = source.how
        timed = how is not None and source.holds == "events" and how.timed
        self._timed.setdefault(timed, str(source.path))
        if len(self._timed) > 1:
            raise UnknownFormatError(
                str(source.path), f"{'has' if timed else 'lacks'} times, unlike {self._timed[not timed]}"
            )
        add = self._adder(source, timed=timed) if source.holds == "events" else self._sequence_adder(source)
        for line, row in source.rows():
            try:
                add(row)
            except BadField as error:
                source.reject(line, error)
        if len(self) == before:
            raise UnknownFormatError(str(source.path), f"has no usable row; {source.rejected.first}")

    def keep(self, text: str | None) -> int:
        """Store a text and return its place."""
        if not text or not self._keep_text:
            return 0
        self.texts.append(text)
        self._texts += 1
        return self._texts - 1

    def _adder(self, source: Source, *, timed: bool) -> Callable[[Fields], None]:
        read = row_reader(source, timed=timed)

        def add(row: Fields) -> None:
            user, item, at, rating, text = read(row)
            self._append(user, item, at, rating, self.keep(text))

        return add

    def _sequence_adder(self, source: Source) -> Callable[[Fields], None]:
        columns = source.how.columns if source.how else {"user_id": ("user_id",), "item_ids": ("item_ids",)}

        def add(row: Fields) -> None:
            user = identifier(*pick(row, columns["user_id"]))
            column, value = pick(row, columns["item_ids"])
            entries = split(value, "|") if isinstance(value, str) else value
            if not isinstance(entries, list) or not entries:
                raise BadField(column, f"must be a list of at least one item id, got {shown(value)}")
            entries = cast(list[object], entries)  # each is checked in the next line
            for item in [identifier(column, entry) for entry in entries]:
                self._append(user, item, _UNTIMED, nan, 0)

        return add

    def _append(self, user: str, item: str, at: int, rating: float, text: int) -> None:
        self.user.append(self.users(user))
        self.item.append(self.items(item))
        self.at.append(at)
        self.rating.append(rating)
        self.text.append(text)


def row_reader(source: Source, *, timed: bool) -> Callable[[Fields], tuple[str, str, int, float, str | None]]:
    """Return a function from a row to user, item, time, rating and text. It raises `BadField`."""
    assert source.how is not None  # only sequence files have none
    columns = source.how.columns
    user_id, item_id, at = columns["user_id"], columns["item_id"], columns["timestamp"]
    rated, title, written = columns["rating"], columns.get("title", ()), columns["text"]

    def read(row: Fields) -> tuple[str, str, int, float, str | None]:
        user = identifier(*pick(row, user_id))
        item = identifier(*pick(row, item_id))
        column, value = pick(row, at)
        if not timed and value is not None:
            raise BadField(column, "is given although the first rows of the file have no time")
        moment_at = microseconds(column, value) if timed else _UNTIMED
        rating = number(*pick(row, rated))
        text = review(words(*pick(row, title)) if title else None, words(*pick(row, written)))
        return user, item, moment_at, nan if rating is None else rating, text

    return read


def column(values: "array[int]") -> IntArray:
    """Return a copy of a column of whole numbers, shape `(E,)`."""
    return np.frombuffer(values, dtype=np.int64).copy() if len(values) else np.empty(0, dtype=np.int64)
