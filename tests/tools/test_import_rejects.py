"""Bad rows go to a rejects file with their reason; a strict import stops at the first and writes nothing."""

import json
import pickle
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from limner.errors import BadRowError, SettingsError
from limner.records import Interaction
from limner.tools.import_report import RejectedRow
from limner.tools.importing import import_file, import_path, rejects_path
from limner.tools.sql.sql_store import SqlStore, open_store

FUTURE = datetime(2099, 1, 1, tzinfo=UTC)
GOOD = {"user_id": "u1", "item_id": "i1", "rating": 4.0, "timestamp": 1577880000, "text": "Warm too."}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_store(folder=tmp_path / "store", database_url=None, tenant="t")
    yield opened
    await opened.aclose()


def _jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


async def _events(store: SqlStore) -> list[Interaction]:
    users = [user async for batch in store.users() for user in batch]
    return [event for user in users for event in await store.history(user, as_of=FUTURE)]


async def _is_empty(store: SqlStore) -> bool:
    counts = await store.counts()
    return counts.interactions == counts.items == 0


BAD_ROWS: list[tuple[object, str, str, object]] = [
    ({**GOOD, "user_id": None}, "user_id", "is missing", {**GOOD, "user_id": None}),
    ('{"user_id": "u1", "item', "row", "is not valid JSON: ", '{"user_id": "u1", "item'),
    (
        '{"user_id": "u1", "item_id": "i1", "rating": NaN, "timestamp": 1}',
        "rating",
        "must be a finite number, got nan",
        {"user_id": "u1", "item_id": "i1", "rating": None, "timestamp": 1},
    ),
    (
        {**GOOD, "timestamp": 1e30},
        "timestamp",
        "must be seconds, milliseconds or ",
        {**GOOD, "timestamp": 1e30},
    ),
    (
        {**GOOD, "item_id": {"a": 1}},
        "item_id",
        "must be text or a whole number, got ",
        {**GOOD, "item_id": {"a": 1}},
    ),
    ({**GOOD, "text": "a\0b"}, "text", "contains a NUL character, ", {**GOOD, "text": "a\0b"}),
    ([1, 2], "row", "is a JSON list, not an object", [1, 2]),
]


async def test_bad_rows_go_to_the_rejects_file_and_good_rows_stay(tmp_path: Path, store: SqlStore) -> None:
    path = _jsonl(tmp_path / "a.jsonl", GOOD, *(row for row, *_ in BAD_ROWS), {**GOOD, "user_id": "u9"})
    rejects = tmp_path / "new" / "bad.jsonl"

    report = await import_file(path, store=store, rejects=rejects)

    assert (report.rows, report.added, report.rejected) == (9, 2, 7)
    assert [event.user_id for event in await _events(store)] == ["u1", "u9"]
    assert report.rejects_file == str(rejects)
    lines = [json.loads(line) for line in rejects.read_text().splitlines()]
    for line, entry, (_, field, reason, row) in zip(range(2, 9), lines, BAD_ROWS, strict=True):
        assert entry["reason"].startswith(reason)
        assert entry == {
            "file": str(path),
            "line": line,
            "field": field,
            "reason": entry["reason"],
            "row": row,
        }
    shown = [
        RejectedRow(**{key: entry[key] for key in ("file", "line", "field", "reason")}) for entry in lines[:5]
    ]
    assert list(report.rejects) == shown


async def test_rejects_lie_beside_the_file_unless_told_otherwise(tmp_path: Path, store: SqlStore) -> None:
    path = _jsonl(tmp_path / "a.jsonl", GOOD, "{}")

    report = await import_file(path, store=store)

    assert report.rejects_file == str(tmp_path / "a.jsonl.rejects.jsonl")
    assert json.loads((tmp_path / "a.jsonl.rejects.jsonl").read_text()) == {
        "file": str(path),
        "line": 2,
        "field": "user_id",
        "reason": "is missing",
        "row": {},
    }


async def test_the_rejects_of_an_earlier_import_do_not_outlive_the_repair(
    tmp_path: Path, store: SqlStore
) -> None:
    path = _jsonl(tmp_path / "a.jsonl", GOOD, "{}")
    rejects = tmp_path / "bad.jsonl"
    await import_file(path, store=store, rejects=rejects)
    assert rejects.exists()

    await import_file(_jsonl(path, GOOD), store=store, rejects=rejects)

    assert not rejects.exists()


async def test_files_of_one_name_do_not_share_a_rejects_file(tmp_path: Path, store: SqlStore) -> None:
    rejects = tmp_path / "rejects"
    paths = [tmp_path / folder / "e.jsonl" for folder in ("a", "b", "c")]
    for path, bad in zip(paths, ("{}", "[]", ""), strict=True):
        path.parent.mkdir()
        _jsonl(path, GOOD, bad)

    reports = [await import_path(path, store=store, rejects=rejects) for path in paths]
    again = await import_path(tmp_path / "b" / ".." / "a" / "e.jsonl", store=store, rejects=rejects)

    files = [report.files[0].rejects_file for report in reports]
    assert files == [str(rejects_path(rejects, path)) for path in paths[:2]] + [None]
    assert sorted(file.name for file in rejects.iterdir()) == sorted(
        Path(file or "").name for file in files[:2]
    )
    assert all(re.fullmatch(r"e-[0-9a-f]{8}\.rejects\.jsonl", file.name) for file in rejects.iterdir())
    rejected = [json.loads(Path(file or "").read_text())["row"] for file in files[:2]]
    assert rejected == [{}, []]
    assert again.files[0].rejects_file == files[0]


async def test_rejects_that_cannot_be_written_are_a_typed_error(tmp_path: Path, store: SqlStore) -> None:
    path = _jsonl(tmp_path / "a.jsonl", GOOD, "{}")
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match=r"setting `rejects`: .* cannot be written"):
        await import_file(path, store=store, rejects=tmp_path / "file" / "bad.jsonl")
    with pytest.raises(SettingsError, match="is the file to import"):
        await import_file(path, store=store, rejects=path)
    with pytest.raises(SettingsError, match="is a folder"):
        await import_file(path, store=store, rejects=tmp_path)

    assert path.read_text().endswith("{}\n")


async def test_a_row_too_deep_for_json_is_shown_shortened(tmp_path: Path, store: SqlStore) -> None:
    deep = '{"user_id": "u", "item_id": ' + "[" * 900 + "]" * 900 + "}"
    path = _jsonl(tmp_path / "a.jsonl", GOOD, deep)

    report = await import_file(path, store=store)

    (line,) = Path(report.rejects_file or "").read_text().splitlines()
    assert json.loads(line)["row"] == "{'item_id': [[[[[[...]]]]]], 'user_id': 'u'}"


@pytest.mark.parametrize("row", [row for row, *_ in BAD_ROWS])
async def test_strict_stops_at_the_first_bad_row_and_writes_nothing(
    tmp_path: Path, store: SqlStore, row: object
) -> None:
    good = [{**GOOD, "item_id": f"i{n}"} for n in range(6000)]  # more than a batch
    path = _jsonl(tmp_path / "a.jsonl", *good, row, "{}")

    with pytest.raises(BadRowError) as caught:
        await import_file(path, store=store, strict=True)

    assert (caught.value.file, caught.value.line) == (str(path), 6001)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert await _is_empty(store)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["a.jsonl"]
