"""What an import says about itself: while it runs, and when it is done."""

from typing import Literal, NamedTuple

from ..records import Record
from .layouts import Form


class RejectedRow(Record):
    """A row that was left out. The rejects file also holds the row itself, under `row`."""

    file: str
    """Path as it was given."""

    line: int
    """From 1; in a Parquet file the number of the row."""

    field: str
    """Column of the file; `row` if it concerns the row as a whole."""

    reason: str
    """What is wrong with it."""


class ImportReport(Record):
    """What an import of one file did."""

    file: str
    """Path as it was given."""

    form: Form
    """What the file was read as."""

    rows: int
    """Rows read, rejected ones included."""

    events: int
    """Interactions in the good rows."""

    added: int
    """Interactions that were new to the store."""

    repeated: int
    """Interactions that were there already, or earlier in the file."""

    forgotten: int = 0
    """Interactions that were forgotten, or whose user or item was; they stay out."""

    items: int
    """Items that were new or changed."""

    rejected: int
    """Rows left out."""

    passed_over: int = 0
    """Good rows that hold nothing to keep: cancelled orders, what another file of the export told better, other events."""

    rejects_file: str | None
    """Where all of them are; absent if there are none, and in a dry run."""

    rejects: tuple[RejectedRow, ...]
    """The first of them."""

    ignored: dict[str, int]
    """Columns that mean nothing here, with the number of rows that have them."""

    dry_run: bool = False
    """Whether nothing was written; then `added`, `repeated` and `items` are 0."""


class FolderReport(Record):
    """What an import of a folder did."""

    files: tuple[ImportReport, ...]
    """The files that were imported, in order."""

    skipped: dict[str, str]
    """The files that were not, with the reason."""


Step = Literal["check", "write"]


class ImportProgress(NamedTuple):
    """How far an import is."""

    file: str
    step: Step
    """A strict import checks the whole file before it writes."""

    rows: int
    rejected: int
    share: float
    """Part of the file read in this step, 0 to 1."""
