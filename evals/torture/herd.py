"""Child processes by fork, so that each starts with everything imported, and what is said to and by them."""

import json
import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

_CHUNK = 1 << 16


class Line(NamedTuple):
    """The two ends of a process's conversation, on its own side."""

    reading: int
    writing: int

    def read(self) -> dict[str, Any] | None:
        """Wait for what is said; nothing once nobody will say any more."""
        said = b""
        while not said.endswith(b"\n"):
            part = os.read(self.reading, 1) if not said else os.read(self.reading, _CHUNK)
            if not part:
                return None
            said += part
        told: dict[str, Any] = json.loads(said)
        return told

    def say(self, told: dict[str, Any]) -> None:
        """Say something, whole."""
        rest = memoryview(json.dumps(told).encode() + b"\n")
        while rest:
            rest = rest[os.write(self.writing, rest) :]


class Child:
    """A process, seen from the one that started it.

    Args:
        live: What it does with its side of the conversation.
        log: File descriptor that takes what it prints.
        open_ends: Ends of other children's conversations, which it must not keep open.
    """

    def __init__(self, live: Callable[[Line], None], *, log: int, open_ends: set[int]) -> None:
        to_read, to_write = os.pipe()
        back_read, back_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for end in (to_write, back_read, *open_ends):
                os.close(end)
            _be(live, Line(to_read, back_write), log)
        os.close(to_read)
        os.close(back_write)
        self._line = Line(back_read, to_write)
        self._open_ends, self._buffer, self.alive = open_ends, b"", True
        open_ends |= {back_read, to_write}

    def say(self, told: dict[str, Any]) -> None:
        """Ask for something; whether it hears that shows later."""
        with suppress(BrokenPipeError):
            self._line.say(told)

    def hear(self, seconds: float) -> dict[str, Any] | None:
        """Return the next answer; nothing if the time is up or the process has ended, which `alive` tells.

        An answer that a kill cut off was never given.
        """
        until = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            if not self.alive:
                return None
            ready, _, _ = select.select([self._line.reading], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return None
            part = os.read(self._line.reading, _CHUNK)
            if not part:
                self._bury()
                return None
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told

    def kill(self) -> None:
        """Kill it by SIGKILL, if it lives; what it said before can still be heard."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Say nothing more and wait until it has ended by itself."""
        if self.alive:
            self._close(self._line.writing)
            while self.hear(60.0) is not None:
                pass
            if self.alive:
                self.kill()
                self.hear(60.0)

    def _bury(self) -> None:
        self.alive = False
        os.waitpid(self.pid, 0)
        self._close(self._line.reading)
        self._close(self._line.writing)

    def _close(self, end: int) -> None:
        if end in self._open_ends:
            self._open_ends.discard(end)
            os.close(end)


def _be(live: Callable[[Line], None], line: Line, log: int) -> None:
    """Be the process until its end; nothing of the parent's is run on the way out."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        live(line)
    except BaseException:  # noqa: BLE001 - what it died of must be in the log, whatever it is
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
