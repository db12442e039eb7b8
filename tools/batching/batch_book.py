"""What was handed to a batch service: written down before it is handed over, so that a kill loses and doubles nothing.

A page holds hashes of requests and no words of anybody.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from ...records import Record
from ..whole_files import write_whole


class Page(Record):
    """One batch."""

    name: str
    """Unique; the service is given it too, so that a batch can be found whose id was not written down in time."""

    identity: str
    """Model and address that it is for."""

    keys: tuple[str, ...]
    """Its requests, by hash."""

    number: int
    """Counts the pages of a folder; of two pages with one request the later one holds."""

    batch_id: str | None = None
    """The service's id; absent until it is known to be there."""


class BatchBook:
    """Pages in a folder, one process at a time.

    Args:
        folder: Made when the first page is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pages(self, identity: str) -> list[Page]:
        """Return the pages of a model in the order of writing; one that cannot be read is passed over."""
        return sorted(
            (page for page in self._read() if page.identity == identity), key=lambda page: page.number
        )

    def begin(self, name: str, identity: str, keys: Sequence[str]) -> Page:
        """Write a page before its batch is handed over."""
        number = max((page.number for page in self._read()), default=0) + 1
        return self.keep(Page(name=name, identity=identity, keys=tuple(keys), number=number))

    def keep(self, page: Page) -> Page:
        """Write a page, in place of its earlier form."""
        write_whole(self._file(page), page.model_dump_json())
        return page

    def drop(self, page: Page) -> None:
        """Remove a page whose answers are kept elsewhere."""
        self._file(page).unlink(missing_ok=True)

    def _file(self, page: Page) -> Path:
        return self._folder / f"{page.name}.json"

    def _read(self) -> Iterator[Page]:
        for path in sorted(self._folder.glob("*.json")):
            try:
                yield Page.model_validate_json(path.read_bytes())
            except (ValidationError, OSError):
                continue
