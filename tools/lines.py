"""Cut a stream of bytes into lines, keeping at most one line in memory, and feed them to a CSV reader."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

MAX_LINE = 4 << 20
"""Bytes of the longest line that is read; a longer one is skipped and reported."""

SHOWN = 2000
"""Characters of an unreadable line that are kept for the report."""

BOM = b"\xef\xbb\xbf"


class Unread(NamedTuple):
    """A line in whose place there is only a reason."""

    reason: str
    shown: str | None = None


class UnreadError(Exception):
    """Carries an unread line through the CSV reader."""

    def __init__(self, unread: Unread) -> None:
        self.unread = unread
        super().__init__(unread.reason)


class Splitter:
    """Cuts chunks into lines and keeps at most one line's worth of bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._shown: str | None = None
        self._first = True

    def split(self, chunk: bytes) -> Iterator[bytes | Unread]:
        """Yield the lines that end in this chunk, without their newlines."""
        if self._first:
            chunk = chunk.removeprefix(BOM)
            self._first = False
        head, *tail = chunk.split(b"\n")
        self._extend(head)
        if not tail:
            return
        yield from self.last()
        self._rest = b""
        yield from tail[:-1]
        self._extend(tail[-1])

    def last(self) -> Iterator[bytes | Unread]:
        """Yield the line that is held, if there is one."""
        if self._shown is not None:
            yield Unread(f"is longer than {MAX_LINE} bytes", self._shown)
            self._shown = None
        else:
            yield self._rest

    def _extend(self, more: bytes) -> None:
        self._rest += more
        if len(self._rest) > MAX_LINE:
            if self._shown is None:
                self._shown = self._rest[:SHOWN].decode("utf-8", "replace")
            self._rest = b""


class TextLines:
    """Feeds lines to the CSV reader and remembers those of the present record."""

    def __init__(self, lines: Iterator[bytes | Unread]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self._number = 0
        self.start = 1
        self.taken: list[str] = []
        self.undecodable = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._again:
            text = self._again.popleft()
            self.undecodable |= printable(text) != text
        else:
            text = self._decode(next(self._lines))
        self._number += 1
        self.taken.append(text)
        return text

    def _decode(self, line: bytes | Unread) -> str:
        if isinstance(line, Unread):
            self._number += 1
            raise UnreadError(line)
        try:
            return line.decode() + "\n"
        except UnicodeDecodeError:
            self.undecodable = True
            return line.decode("utf-8", "surrogateescape") + "\n"

    def peek(self) -> str:
        """Return the first line and leave it to be read."""
        try:
            first = next(self)
        except (StopIteration, UnreadError):
            return ""
        self._again.append(self.taken.pop())
        self._number -= 1
        return first

    def begin(self) -> None:
        """Note that a new record starts."""
        self.taken = []
        self.start = self._number + 1
        self.undecodable = False

    def retry(self) -> None:
        """Give out again all lines of the present record but the first, which is to blame."""
        self._again.extendleft(reversed(self.taken[1:]))
        self._number -= len(self.taken) - 1


def printable(text: str) -> str:
    """Put the replacement character for bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
