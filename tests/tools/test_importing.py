"""Files become interactions and items in a real store; bad rows are reported and never half-written."""

import csv
import gzip
import importlib
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from limner.errors import BadRowError, InputError, UnknownFormatError
from limner.records import Interaction, Item
from limner.tools import importing
from limner.tools.forms import EPOCH
from limner.tools.import_report import ImportProgress
from limner.tools.importing import import_file, import_path, rejects_path
from limner.tools.layouts import FORMS
from limner.tools.sql.sql_store import SqlStore, open_store

ARROW: Any = importlib.import_module("pyarrow")  # it has no types
PARQUET: Any = importlib.import_module("pyarrow.parquet")
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FUTURE = datetime(2099, 1, 1, tzinfo=UTC)
NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())
GOOD = {
    "user_id": "u1",
    "item_id": "i1",
    "rating": 4.0,
    "timestamp": SECONDS,
    "title": "Dry",
    "text": "Warm too.",
}
EVENT = Interaction(user_id="u1", item_id="i1", kind="review", at=NOON, rating=4.0, text="Dry. Warm too.")

EVENTS: list[dict[str, Any]] = [
    GOOD,
    {"user_id": "u1", "item_id": "i2", "rating": 5.0, "timestamp": SECONDS + 1, "title": None, "text": None},
    {
        "user_id": "u2",
        "item_id": "i1",
        "rating": None,
        "timestamp": SECONDS,
        "title": None,
        "text": "Sehr schön",
    },
]
SEQUENCES: list[dict[str, Any]] = [
    {"user_id": "u1", "item_ids": ["i1", "i2", "i1"]},
    {"user_id": "u2", "item_ids": ["i2"]},
]
ITEMS: list[dict[str, Any]] = [
    {"item_id": "i1", "title": "Lamp", "categories": ["Home", "Lamps"], "description": "Small, warm"},
    {"item_id": "i2", "title": "Boots", "categories": ["Shoes"], "description": None},
]
TABLES = {"events": EVENTS, "sequences": SEQUENCES, "items": ITEMS}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_store(folder=tmp_path / "store", database_url=None, tenant="t")
    yield opened
    await opened.aclose()


def _jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    PARQUET.write_table(ARROW.Table.from_pylist(rows), path)


def _cell(value: Any) -> Any:
    return "|".join(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType] -- a list of text


def _csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(rows[0])
        for row in rows:
            writer.writerow([_cell(value) for value in row.values()])


def _table(path: Path, rows: list[dict[str, Any]], container: str, *, gzipped: bool) -> Path:
    if container == "jsonl":
        _jsonl(path, *rows)
    elif container == "csv":
        _csv(path, rows)
    else:
        _parquet(path, rows)
    if gzipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


async def _events(store: SqlStore) -> list[Interaction]:
    users = [user async for batch in store.users() for user in batch]
    return [event for user in users for event in await store.history(user, as_of=FUTURE)]


async def _items(store: SqlStore) -> list[Item]:
    return [item async for batch in store.all_items() for item in batch]


async def _is_empty(store: SqlStore) -> bool:
    counts = await store.counts()
    return counts.interactions == counts.items == 0


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("container", ["jsonl", "csv", "parquet"])
async def test_every_container_leaves_the_same_in_the_store(
    tmp_path: Path, store: SqlStore, container: str, gzipped: bool
) -> None:
    for name, rows in TABLES.items():
        path = _table(tmp_path / f"{name}.{container}", rows, container, gzipped=gzipped)
        report = await import_file(path, store=store)
        assert (report.rows, report.rejected, report.rejects_file) == (len(rows), 0, None)

    assert await _items(store) == [
        Item(item_id="i1", title="Lamp", categories=("Home", "Lamps"), description="Small, warm"),
        Item(item_id="i2", title="Boots", categories=("Shoes",)),
    ]
    expected = [
        EVENT,
        Interaction(user_id="u1", item_id="i2", kind="rating", at=NOON + timedelta(seconds=1), rating=5.0),
        Interaction(user_id="u2", item_id="i1", kind="review", at=NOON, text="Sehr schön"),
        *(
            Interaction(user_id=user, item_id=item, kind="purchase", at=EPOCH + timedelta(seconds=second))
            for user, item, second in [("u1", "i1", 0), ("u1", "i2", 1), ("u1", "i1", 2), ("u2", "i2", 0)]
        ),
    ]
    expected.sort(key=lambda event: (event.user_id, event.at))
    assert await _events(store) == expected


async def test_a_report_counts_everything(tmp_path: Path, store: SqlStore) -> None:
    path = _jsonl(
        tmp_path / "a.jsonl", {**GOOD, "vote": "7"}, {**GOOD, "vote": None}, {**GOOD, "item_id": "i2"}
    )

    first = await import_file(path, store=store)
    second = await import_file(path, store=store)

    assert (first.file, first.form, first.rows, first.events) == (str(path), "interactions", 3, 3)
    # Rows 1 and 2 differ only in an ignored column: one event, once repeated.
    assert (first.added, first.repeated, first.items, first.rejected) == (2, 1, 0, 0)
    assert (first.ignored, first.rejects, first.dry_run) == ({"vote": 1}, (), False)
    assert (second.added, second.repeated) == (0, 3)
    assert len(await _events(store)) == 2


@pytest.mark.parametrize("name", TABLES)
async def test_a_second_import_changes_nothing(tmp_path: Path, store: SqlStore, name: str) -> None:
    path = _jsonl(tmp_path / "a.jsonl", *TABLES[name])
    await import_file(path, store=store)
    before = await store.counts()

    report = await import_file(path, store=store)

    assert (report.added, report.items) == (0, 0)
    assert await store.counts() == before


async def test_an_item_twice_in_a_file_is_the_later_one(tmp_path: Path, store: SqlStore) -> None:
    path = _jsonl(tmp_path / "a.jsonl", {"item_id": "i", "title": "Old"}, {"item_id": "i", "title": "New"})

    report = await import_file(path, store=store)

    assert report.items == 1
    assert await _items(store) == [Item(item_id="i", title="New")]


async def test_a_review_title_is_never_an_item_title(tmp_path: Path, store: SqlStore) -> None:
    await import_file(_jsonl(tmp_path / "a.jsonl", GOOD), store=store)

    assert await _items(store) == []


async def test_strict_imports_a_clean_file(tmp_path: Path, store: SqlStore) -> None:
    report = await import_file(_jsonl(tmp_path / "a.jsonl", *EVENTS), store=store, strict=True)

    assert (report.rows, report.added) == (3, 3)


@pytest.mark.parametrize("container", ["jsonl", "csv"])
async def test_a_gzip_truncated_in_the_middle(tmp_path: Path, store: SqlStore, container: str) -> None:
    # Random users do not compress, so that half the bytes hold about half the rows.
    rows = [{"user_id": os.urandom(16).hex(), "item_id": "i", "timestamp": SECONDS} for _ in range(14_000)]
    path = _table(tmp_path / f"a.{container}.gz", rows, container, gzipped=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(BadRowError, match="the rest of the file cannot be read"):
        await import_file(path, store=store, strict=True)
    assert await _is_empty(store)
    report = await import_file(path, store=store)

    assert 5000 < report.added < 9000
    assert report.rejected == 1
    assert report.rejects[0].line == report.added + (2 if container == "csv" else 1)
    assert {event.user_id for event in await _events(store)} == {
        row["user_id"] for row in rows[: report.added]
    }


async def test_a_damaged_parquet_file(tmp_path: Path, store: SqlStore) -> None:
    path = tmp_path / "a.parquet"
    rows = [{"user_id": os.urandom(16).hex(), "item_id": "i"} for _ in range(20_000)]
    PARQUET.write_table(ARROW.Table.from_pylist(rows), path, row_group_size=5000, compression="gzip")
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 2000] = b"\0" * 2000
    path.write_bytes(whole)

    with pytest.raises(BadRowError, match="the rest of the file cannot be read"):
        await import_file(path, store=store, strict=True)
    assert await _is_empty(store)
    report = await import_file(path, store=store)

    assert 0 < report.added < 15_000
    assert (report.rejected, report.rejects[0].line) == (1, report.added + 1)


async def test_a_bad_value_in_parquet_is_a_reject(tmp_path: Path, store: SqlStore) -> None:
    path = tmp_path / "a.parquet"
    rows = [
        {"user_id": "u", "item_id": "i", "timestamp": at} for at in (NOON, datetime(9999, 1, 1, tzinfo=UTC))
    ]
    _parquet(path, rows)

    report = await import_file(path, store=store)

    assert (report.added, report.rejected) == (1, 1)
    assert (report.rejects[0].line, report.rejects[0].field) == (2, "timestamp")
    entry = json.loads(Path(report.rejects_file or "").read_text())
    assert entry["row"] == {"user_id": "u", "item_id": "i", "timestamp": "9999-01-01T00:00:00+00:00"}


async def test_csv_cells_that_are_bad_are_rejects(tmp_path: Path, store: SqlStore) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"user_id,item_id,rating,timestamp,text\r\n"
        b'u1,i1,4,1577880000,"two\r\nlines"\r\n'
        b"u2,i1,inf,1577880000,\r\n"
        b"u3,i1,4,1577880000,caf\xe9\r\n"
        b"u4,i1\r\n"
        b"u5,i1,4,tomorrow,\r\n"
        b"u6,i\x001,4,1577880000,\r\n"
    )

    report = await import_file(path, store=store)

    assert [(bad.line, bad.field) for bad in report.rejects] == [
        (4, "rating"),
        (5, "text"),
        (6, "rating"),
        (7, "timestamp"),
        (8, "item_id"),
    ]
    assert [event.text for event in await _events(store)] == ["two\r\nlines"]


async def test_other_columns_are_mapped(tmp_path: Path, store: SqlStore) -> None:
    path = tmp_path / "a.csv"
    path.write_text("uid;sku;stars;when\n7;x1;4;2020-01-01T12:00:00Z\n")

    with pytest.raises(UnknownFormatError, match=r"'uid', 'sku', 'stars', 'when'.*--map column=field"):
        await import_file(path, store=store)
    mapping = {"uid": "user_id", "sku": "item_id", "stars": "rating", "when": "timestamp"}
    await import_file(path, store=store, mapping=mapping)

    assert await _events(store) == [
        Interaction(user_id="7", item_id="x1", kind="rating", at=NOON, rating=4.0)
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.csv", b"user_id,item_id\n", "has no rows"),
        ("a.jsonl", b"{\n}\n", "has no readable row at its start; line 1 is not valid JSON"),
        ("a.parquet", b"PAR1....", "is a damaged Parquet file"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "has a header line that is not UTF-8 text"),
    ],
)
@pytest.mark.parametrize("form", [None, "interactions"])
async def test_a_file_without_rows_is_a_typed_error(
    tmp_path: Path, store: SqlStore, name: str, content: bytes, reason: str, form: str | None
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(UnknownFormatError) as caught:
        await import_file(path, store=store, form=form)

    assert caught.value.reason.startswith(reason)
    assert await _is_empty(store)


@pytest.mark.parametrize("strict", [False, True])
async def test_a_first_row_that_is_bad_does_not_hide_the_form(
    tmp_path: Path, store: SqlStore, strict: bool
) -> None:
    path = _jsonl(tmp_path / "a.jsonl", "{", {"item_id": "i1", "text": "no user"}, GOOD)

    if strict:
        with pytest.raises(BadRowError, match=r"a\.jsonl:1: `row`: is not valid JSON"):
            await import_file(path, store=store, strict=True)
        assert await _is_empty(store)
    else:
        report = await import_file(path, store=store)
        assert (report.form, report.added, report.rejected) == ("interactions", 1, 2)


async def test_strict_names_the_row_where_none_is_readable(tmp_path: Path, store: SqlStore) -> None:
    with pytest.raises(BadRowError, match=r"a\.jsonl:1: `row`: is not valid JSON"):
        await import_file(_jsonl(tmp_path / "a.jsonl", "{"), store=store, strict=True)


async def test_a_dry_run_checks_and_touches_nothing(tmp_path: Path, store: SqlStore) -> None:
    path = _jsonl(tmp_path / "a.jsonl", GOOD, "{}")

    report = await import_file(path, store=store, dry_run=True)

    assert (report.dry_run, report.rows, report.events, report.added, report.rejected) == (True, 2, 1, 0, 1)
    assert report.rejects_file is None
    assert await _is_empty(store)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["a.jsonl"]


async def test_progress_tells_step_and_share(
    tmp_path: Path, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 5000)
    path = _jsonl(tmp_path / "a.jsonl", *({**GOOD, "item_id": n} for n in range(12_000)), "{}")
    seen: list[ImportProgress] = []

    await import_file(path, store=store, progress=seen.append)
    writes = list(seen)
    seen.clear()
    await import_file(_jsonl(path, *EVENTS), store=store, strict=True, progress=seen.append)

    # Batches of 5,000 rows: two full ones and the rest.
    assert [(step.step, step.rows, step.rejected) for step in writes] == [
        ("write", 5000, 0),
        ("write", 10_000, 0),
        ("write", 12_001, 1),
    ]
    assert writes[-1].share == 1.0
    assert [(step.step, step.rows, step.share) for step in seen] == [("check", 3, 1.0), ("write", 3, 1.0)]


async def test_a_file_that_changes_between_check_and_write_is_refused(
    tmp_path: Path, store: SqlStore
) -> None:
    path = _jsonl(tmp_path / "a.jsonl", *EVENTS)

    def meddle(_: ImportProgress) -> None:
        _jsonl(path, *EVENTS, "{}")

    with pytest.raises(UnknownFormatError, match="changed while it was read"):
        await import_file(path, store=store, strict=True, progress=meddle)

    assert await _is_empty(store)


async def test_a_folder_is_imported_items_first(tmp_path: Path, store: SqlStore) -> None:
    folder = tmp_path / "ml"
    folder.mkdir()
    (folder / "ratings.csv").write_text(f"userId,movieId,rating,timestamp\n1,2,3.5,{SECONDS}\n")
    (folder / "movies.csv").write_text('movieId,title,genres\n2,"Tide, The (1999)",Drama|Sea\n')
    (folder / "tags.csv").write_text(f"userId,movieId,tag,timestamp\n1,2,slow,{SECONDS + 60}\n,2,lost,1\n")
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n2,1,1\n")
    (folder / "README.txt").write_text("About this data\n")
    (folder / ".hidden.jsonl").write_text(json.dumps(GOOD))
    (folder / "old.csv.rejects.jsonl").write_text(json.dumps(GOOD))
    rejects = tmp_path / "rejects"

    report = await import_path(folder, store=store, rejects=rejects)

    assert [(Path(file.file).name, file.form) for file in report.files] == [
        ("movies.csv", "movielens"),
        ("ratings.csv", "movielens"),
        ("tags.csv", "movielens"),
    ]
    assert {Path(name).name: reason.split(";")[0] for name, reason in report.skipped.items()} == {
        "links.csv": f"has columns 'movieId', 'imdbId', 'tmdbId' and fits no form ({', '.join(FORMS)})",
        "README.txt": "has no rows",
    }
    assert report.files[2].rejects_file == str(rejects_path(rejects, folder / "tags.csv"))
    assert await _items(store) == [
        Item(item_id="2", title="Tide, The (1999)", categories=("Drama", "Sea")),
    ]
    assert await _events(store) == [
        Interaction(user_id="1", item_id="2", kind="rating", at=NOON, rating=3.5),
        Interaction(user_id="1", item_id="2", kind="review", at=NOON + timedelta(minutes=1), text="slow"),
    ]


async def test_a_strict_folder_is_written_as_a_whole_or_not_at_all(tmp_path: Path, store: SqlStore) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    _jsonl(folder / "items.jsonl", *ITEMS)
    _jsonl(folder / "z.jsonl", *EVENTS, "{}")

    with pytest.raises(BadRowError, match=r"z\.jsonl:4: `user_id`: is missing"):
        await import_path(folder, store=store, strict=True)
    assert await _is_empty(store)

    _jsonl(folder / "z.jsonl", *EVENTS)
    report = await import_path(folder, store=store, strict=True)
    assert [(file.items, file.added) for file in report.files] == [(2, 0), (0, 3)]


async def test_a_folder_without_a_table_says_why(tmp_path: Path, store: SqlStore) -> None:
    folder = tmp_path / "in"
    folder.mkdir()

    with pytest.raises(UnknownFormatError, match=r"in: holds no file that can be imported$"):
        await import_path(folder, store=store)
    (folder / "a.csv").write_text("a,b\n")
    with pytest.raises(UnknownFormatError, match=r"holds no file that can be imported: a\.csv has no rows$"):
        await import_path(folder, store=store)


async def test_a_path_that_is_a_file_is_imported_alone(tmp_path: Path, store: SqlStore) -> None:
    path = _jsonl(tmp_path / "a.jsonl", GOOD)

    report = await import_path(path, store=store)

    assert [file.added for file in report.files] == [1]
    with pytest.raises(InputError, match="No such file"):
        await import_path(tmp_path / "none", store=store)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the research data in ../shared/data")
async def test_real_files_import_without_a_reject(tmp_path: Path, store: SqlStore) -> None:
    report = await import_path(DATA / "amazon18_gift_cards", store=store, rejects=tmp_path)

    # As the data's own README counts them.
    assert [(file.form, file.rejected) for file in report.files] == [("items", 0), ("interactions", 0)]
    counts = await store.counts()
    assert (counts.users, counts.interactions) == (458, 2972)
