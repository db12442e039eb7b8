"""What runs functions of a connection, whatever the database is."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from ...errors import InputError

T = TypeVar("T")


def halved(error: UnicodeEncodeError) -> InputError:
    """Return the error that says that a text cannot be written down."""
    shown = error.object[max(0, error.start - 20) : error.end + 20]
    return InputError(f"{shown!r} holds half a character (a lone surrogate); give whole ones")


class Engine(Protocol):
    """Where functions of a connection run."""

    url: str
    """Where the data is, fit to be shown."""

    async def open(self, prepare: Callable[[Connection], None]) -> None:
        """Connect and run `prepare` alone."""
        ...

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query."""
        ...

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Run a change and return when it is durable."""
        ...

    async def snapshot(self, query: Callable[[Connection], T], folder: Path) -> T:
        """Run a long query that sees one moment, while others write; `folder` has room for a copy."""
        ...

    async def scrub(self) -> None:
        """Rewrite the files, so that they hold no byte of what was deleted."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
