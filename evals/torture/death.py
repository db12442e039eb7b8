"""Points at which a process can be made to die: around every statement, and before every change of a file."""

import os
import signal
import sys
from typing import Any

_CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Death:
    """Counts points, and kills its own process at one of them; there can be one in a process."""

    def __init__(self) -> None:
        self.points = 0
        self._at: int | None = None

    def listen(self) -> None:
        """Begin to count; it cannot be undone."""
        from sqlalchemy import Engine, event

        for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
            event.listen(Engine, name, self._on_statement)
        sys.addaudithook(self._on_file)

    def arm(self, at: int | None) -> None:
        """Count from 0, and die at a point; absent to live."""
        self.points, self._at = 0, at

    def _on_statement(self, *_: object) -> None:
        self._pass()

    def _on_file(self, name: str, given: tuple[Any, ...]) -> None:
        if name in _CHANGES or (name == "open" and isinstance(given[2], int) and given[2] & _WRITING):
            self._pass()

    def _pass(self) -> None:
        self.points += 1
        if self._at is not None and self.points >= self._at:
            os.kill(os.getpid(), signal.SIGKILL)
