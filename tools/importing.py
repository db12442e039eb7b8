"""Import files of interactions and items into a store.

Rows stream through in batches. A bad row goes to the rejects file and the good ones are kept; with `strict`
the whole file is read once before anything is written, so that a bad row anywhere leaves the store as it was.
Event ids make importing a file again a no-op.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from ..errors import BadRowError, SettingsError, UnknownFormatError
from ..records import Interaction, Item, content_hash
from .archives import Contents, contents, is_archive
from .cells import SHORT, BadField
from .exports import Seen
from .forms import Recognised, recognise
from .import_report import FolderReport, ImportProgress, ImportReport, RejectedRow, Step
from .readers import BadLine, Fields, Row, Table
from .store import Store

BATCH = 50_000
"""Rows of one transaction at most. Ids of events are hashes, so that each transaction writes most pages of their index."""

BATCH_BYTES = 16 << 20
"""A batch ends early when this much was read for it, unpacked."""

SAMPLE = 100
"""Rows looked at to tell what a file holds."""

SHOWN_REJECTS = 5
REJECTS_SUFFIX = ".rejects.jsonl"

Progress = Callable[[ImportProgress], None]
OnReject = Callable[[RejectedRow, object], None]
Batch = list[Interaction | Item]


async def import_file(
    path: Path,
    *,
    store: Store,
    form: str | None = None,
    mapping: Mapping[str, str] | None = None,
    kind: str = "purchase",
    user: str | None = None,
    kinds: Mapping[str, str] | None = None,
    strict: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Import one file.

    Args:
        path: JSONL, JSON, CSV or Parquet file, plain or gzipped.
        store: Where everything goes.
        form: One of `forms.FORMS`; absent to recognise it by the columns.
        mapping: Column to field, for columns with other names.
        kind: What an interaction with neither text nor rating is.
        user: Whose turns the user's turns of chats are, or whose export this is; absent where the rows say so.
        kinds: What the names of a stream's events stand for; then events with other names are passed over.
        strict: Whether to stop at the first bad row; then nothing of the file is written.
        rejects: File for the bad rows, one JSON object a line; it is replaced, and removed if there are
            none. Default: `path` with `.rejects.jsonl` behind it.
        progress: Called after every batch.
        dry_run: Read and check only; neither the store nor the rejects file is touched.

    Raises:
        UnknownFormatError: The file cannot be read, has no rows, or its columns fit no form.
        BadRowError: `strict` is set and a row is bad.
        SettingsError: `form`, `mapping`, `kind` or `kinds` names what does not exist.
    """
    options = {"form": form, "mapping": mapping, "kind": kind, "user": user, "kinds": kinds}
    source = await asyncio.to_thread(_open, path, str(path), options, strict)
    if strict:
        await _read(source, None, _refuse, progress)
    return await _import(source, None if dry_run else store, rejects, progress)


async def import_path(
    path: Path,
    *,
    store: Store,
    form: str | None = None,
    mapping: Mapping[str, str] | None = None,
    kind: str = "purchase",
    user: str | None = None,
    kinds: Mapping[str, str] | None = None,
    strict: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
    dry_run: bool = False,
) -> FolderReport:
    """Import a file, or every file of a folder or zip archive that fits a form, item files first.

    Arguments are those of `import_file`, except that `rejects` is a folder, which gets a file for each file
    with bad rows, named by `rejects_path` (default: beside that file). With `strict` all files are checked before any is
    written. Subfolders and hidden files of a folder are left alone; of an archive all tables are looked at.

    Raises:
        UnknownFormatError: The path is missing, or no file of the folder or archive can be imported.
        BadRowError: `strict` is set and a row is bad.
        SettingsError: `form`, `mapping`, `kind` or `kinds` names what does not exist.
    """
    options = {"form": form, "mapping": mapping, "kind": kind, "user": user, "kinds": kinds, "seen": Seen()}
    with contents(path) as found:
        sources, skipped = await asyncio.to_thread(_sources, path, found, options, strict)
        if strict:
            for source in sources:
                await _read(source, None, _refuse, progress)
        reports: list[ImportReport] = []
        folder = path.parent if rejects is None and is_archive(path) else rejects
        for source in sources:
            target = None if folder is None else rejects_path(folder, Path(source.file))
            reports.append(await _import(source, None if dry_run else store, target, progress))
    return FolderReport(files=tuple(reports), skipped=skipped)


def rejects_path(folder: Path, source: Path) -> Path:
    """Return where in `folder` the bad rows of `source` go: its own file, the same on every import.

    The name holds a hash of the whole path, because files of two folders may share a name.
    """
    return folder / f"{source.stem}-{content_hash(str(source.resolve()))[:8]}{REJECTS_SUFFIX}"


def _sources(
    path: Path, found: Contents, options: Mapping[str, Any], strict: bool
) -> tuple[list["_Source"], dict[str, str]]:
    """Recognise the files at a path, in the order in which they are to be read."""
    sources: list[_Source] = []
    skipped = dict(found.skipped)
    for name, file in found.files.items():
        if file.name.endswith(REJECTS_SUFFIX) and file != path:
            continue
        try:
            sources.append(_open(file, name, options, strict))
        except UnknownFormatError as error:
            if file == path:
                raise
            skipped[name] = error.reason
    if not sources:
        reasons = "; ".join(f"{Path(name).name} {reason}" for name, reason in skipped.items())
        raise UnknownFormatError(str(path), f"holds no file that can be imported{reasons and ': ' + reasons}")
    return sorted(sources, key=lambda source: (source.how.order, source.file)), skipped


class _Source(NamedTuple):
    """A file that was recognised."""

    file: str
    table: Table
    how: Recognised
    stamp: tuple[int, int]
    """Size and time of change when it was recognised."""


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # gone; that differs from any stamp
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _open(path: Path, name: str, options: Mapping[str, Any], strict: bool) -> _Source:
    table = Table(path)
    stamp = _stamp(path)
    sample: list[Row | BadLine] = []
    for row in table:
        sample.append(row)
        if len(sample) == SAMPLE or table.taken > BATCH_BYTES:
            break
    good = [row.fields for row in sample if isinstance(row, Row)]
    if not sample:
        raise table.unreadable("has no rows")
    if not good:
        first = next(row for row in sample if isinstance(row, BadLine))
        if strict:
            raise BadRowError(name, first.line, first.field, first.reason)
        raise table.unreadable(f"has no readable row at its start; line {first.line} {first.reason}")
    return _Source(name, table, recognise(name, good, **options), stamp)


def _refuse(rejected: RejectedRow, row: object) -> None:
    raise BadRowError(rejected.file, rejected.line, rejected.field, rejected.reason)


class _Reading:
    """One pass over a file: its good rows in batches, and what was counted on the way."""

    def __init__(self, source: _Source, on_reject: OnReject) -> None:
        self._source = source
        self._on_reject = on_reject
        self._convert = source.how.converter()
        self._makes_events = source.how.makes != "items"
        self._makes_both = source.how.export is not None
        self._used = source.how.used
        self.rows = 0
        self.events = 0
        self.passed_over = 0
        self.rejected = 0
        self.rejects: list[RejectedRow] = []
        self.ignored: Counter[str] = Counter()

    def batches(self) -> Iterator[Batch]:
        """Yield what the rows hold; a batch may be empty where all its rows are bad."""
        table = self._source.table
        batch: Batch = []
        until_row, until_byte = BATCH, BATCH_BYTES
        for row in table:
            self.rows += 1
            if isinstance(row, Row):
                self._add(row, batch)
            else:
                self._reject(row)
            if len(batch) >= BATCH or self.rows >= until_row or table.taken >= until_byte:
                yield batch
                batch, until_row, until_byte = [], self.rows + BATCH, table.taken + BATCH_BYTES
        yield batch

    def _add(self, row: Row, batch: Batch) -> None:
        if not self._used.issuperset(row.fields):
            for name in row.fields.keys() - self._used:
                self.ignored[name] += row.fields[name] not in (None, "")
        try:
            made = self._convert(row.fields)
        except BadField as error:
            self._reject(BadLine(row.line, error.field, error.reason, row.fields))
            return
        batch += made
        self.passed_over += not made
        self.events += self._count(made)

    def _count(self, made: Sequence[Interaction | Item]) -> int:
        """Return how many interactions a row made; counted one by one only where they come with items."""
        if self._makes_both:
            return sum(isinstance(entry, Interaction) for entry in made)
        return len(made) if self._makes_events else 0

    def _reject(self, bad: BadLine) -> None:
        rejected = RejectedRow(file=self._source.file, line=bad.line, field=bad.field, reason=bad.reason)
        self.rejected += 1
        if len(self.rejects) < SHOWN_REJECTS:
            self.rejects.append(rejected)
        self._on_reject(rejected, bad.row)


class _Rejects:
    """Writes the rejects file, which exists only if there is something in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: BinaryIO | None = None

    def __call__(self, rejected: RejectedRow, row: object) -> None:
        try:
            if self._stream is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._stream = self._path.open("wb")
            self._stream.write(_json_line({**rejected.model_dump(), "row": row}))
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def close(self, *, complete: bool) -> str | None:
        """Finish and return the file's name; after a complete pass without rejects an old file goes."""
        if self._stream is not None:
            self._stream.close()
            return str(self._path)
        if complete:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                raise _unwritable(self._path, error) from error
        return None


def _unwritable(path: Path, error: OSError) -> SettingsError:
    return SettingsError("rejects", f"{path} cannot be written: {error.strerror}")


def _json_line(entry: Fields) -> bytes:
    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(entry, default=str, option=options)
    except orjson.JSONEncodeError:  # nested too deeply, or numbers beyond 64 bits
        return orjson.dumps({**entry, "row": SHORT.repr(entry["row"])}, option=options)


async def _import(
    source: _Source, store: Store | None, rejects: Path | None, progress: Progress | None
) -> ImportReport:
    """Read a file and write what it holds; without a store only count."""
    path = source.table.path
    if _stamp(path) != source.stamp:
        raise source.table.unreadable("changed while it was read; import it again")
    target = rejects or path.with_name(path.name + REJECTS_SUFFIX)
    if target.is_dir() or target.resolve() == path.resolve():
        raise SettingsError(
            "rejects", f"{target} is {'a folder' if target.is_dir() else 'the file to import'}"
        )
    sink = _Rejects(target)
    complete = False
    try:
        reading, written = await _read(source, store, _pass_over if store is None else sink, progress)
        complete = store is not None
    finally:
        rejects_file = sink.close(complete=complete)
    return ImportReport(
        file=source.file,
        form=source.how.form,
        rows=reading.rows,
        events=reading.events,
        added=written["added"],
        repeated=written["repeated"],
        forgotten=written["forgotten"],
        items=written["items"],
        rejected=reading.rejected,
        passed_over=reading.passed_over,
        rejects_file=rejects_file,
        rejects=tuple(reading.rejects),
        ignored={name: count for name, count in sorted(reading.ignored.items()) if count},
        dry_run=store is None,
    )


def _pass_over(rejected: RejectedRow, row: object) -> None:
    """Leave a bad row out without writing it down."""


async def _read(
    source: _Source, store: Store | None, on_reject: OnReject, progress: Progress | None
) -> tuple[_Reading, Counter[str]]:
    """Go through a file once, in threads so that the loop stays free; write if there is a store."""
    reading = _Reading(source, on_reject)
    written: Counter[str] = Counter()
    batches = reading.batches()
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        if store is not None:
            await _write(batch, store, written, known=source.how.export is None)
        if progress is not None:
            step: Step = "check" if store is None else "write"
            progress(ImportProgress(source.file, step, reading.rows, reading.rejected, source.table.share))
    return reading, written


async def _write(batch: Batch, store: Store, written: Counter[str], *, known: bool) -> None:
    """Write a batch.

    Args:
        batch: Interactions and items.
        store: Where to.
        written: What was written, to be added to.
        known: Whether items that are in the store already are written again; a history knows less of them.
    """
    events = [entry for entry in batch if isinstance(entry, Interaction)]
    # One statement must not carry an item twice; the later row is the newer one.
    rest = (entry for entry in batch if not isinstance(entry, Interaction))
    items = list({entry.item_id: entry for entry in rest}.values())
    for start in range(0, len(events), BATCH):
        recorded = await store.record(events[start : start + BATCH])
        written.update(recorded._asdict())
    if items and not known:
        there = await store.items([item.item_id for item in items])
        items = [item for item in items if item.item_id not in there]
    if items:
        written["items"] += await store.put_items(items)
