"""Cut a JSON array, or one JSON value after another, into its values, keeping at most one in memory."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from .lines import BOM, SHOWN, Unread

MAX_VALUE = 64 << 20
"""Bytes of the longest value that is read; a longer one is skipped and reported."""

_MARKS = re.compile(rb'["\\{}\[\]]')
_BETWEEN = b" \t\r\n,"


class Value(NamedTuple):
    """One value, or why there is none."""

    line: int
    """Where it starts, from 1."""

    text: bytes | Unread


class ValueSplitter:
    """Cuts chunks into objects and arrays; a pair of square brackets around all of them is passed over."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._depth = 0
        self._string = self._escaped = self._opened = self._skipping = False
        self.line = 1
        """Line that the file was read to."""
        self._start = 1

    def split(self, chunk: bytes) -> Iterator[Value]:
        """Yield the values that end in this chunk."""
        if not self._opened and not self._held:
            chunk = chunk.removeprefix(BOM)
        place, begin = int(self._escaped), 0
        self._escaped = False
        while found := _MARKS.search(chunk, place):
            mark, at = found.group(), found.start()
            place = at + 1
            if self._string or mark in b'"\\':
                place += self._in_string(mark, last=place == len(chunk))
            elif mark in b"{[":
                outermost = mark == b"[" and not self._opened
                self._opened = True
                if self._depth == 0:
                    yield from self._stray(chunk[begin:at])
                    begin = place if outermost else at
                self._depth += not outermost
            elif self._depth == 0:
                yield from self._stray(chunk[begin:at])
                begin = place
            else:
                self._depth -= 1
                if self._depth == 0:
                    self._hold(chunk[begin:place])
                    yield self._value()
                    begin = place
        self._hold(chunk[begin:])

    def last(self) -> Iterator[Value]:
        """Yield what is left when the file ends."""
        if self._depth:
            shown = bytes(self._held[:SHOWN]).decode("utf-8", "replace")
            yield Value(self._start, Unread("ends within a value", shown))
        else:
            yield from self._stray(b"")

    def _in_string(self, mark: bytes, *, last: bool) -> int:
        """Follow a text; returns how many bytes to pass over."""
        if mark == b'"':
            self._string = not self._string
        elif self._string and mark == b"\\":
            self._escaped = last
            return 1
        return 0

    def _hold(self, more: bytes) -> None:
        self.line += more.count(b"\n")
        self._held += more
        if len(self._held) > MAX_VALUE:
            self._skipping = True
            del self._held[SHOWN:]

    def _stray(self, more: bytes) -> Iterator[Value]:
        """Report what stands between values and is none."""
        self._hold(more)
        stray = bytes(self._held).strip(_BETWEEN)
        if stray:
            yield Value(self._start, Unread("is not valid JSON", stray[:SHOWN].decode("utf-8", "replace")))
        self._next()

    def _value(self) -> Value:
        text = bytes(self._held)
        value = Value(self._start, text)
        if self._skipping:
            reason = f"is longer than {MAX_VALUE} bytes"
            value = Value(self._start, Unread(reason, text[:SHOWN].decode("utf-8", "replace")))
        self._next()
        return value

    def _next(self) -> None:
        self._held.clear()
        self._start, self._skipping = self.line, False
