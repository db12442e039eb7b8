"""Every container gives the same rows, and bad content is reported where it stands."""

import csv
import gzip
import importlib
import json
import os
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limner.errors import UnknownFormatError
from limner.tools.lines import MAX_LINE
from limner.tools.readers import BadLine, Row, Table

ARROW: Any = importlib.import_module("pyarrow")  # it has no types
PARQUET: Any = importlib.import_module("pyarrow.parquet")
ROWS = [{"user_id": "u1", "text": "warm, dry"}, {"user_id": "u2", "text": 'two\nlines "quoted"'}]


def _write(path: Path, container: str, *, gzipped: bool) -> Path:
    if container == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif container == "csv":
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, ["user_id", "text"])
            writer.writeheader()
            writer.writerows(ROWS)
    else:
        _parquet(path, ROWS)
    if gzipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


def _parquet(path: Path, rows: list[dict[str, Any]], **options: Any) -> None:
    PARQUET.write_table(ARROW.Table.from_pylist(rows), path, **options)


def _read(path: Path) -> list[Row | BadLine]:
    return list(Table(path))


def _refused(path: Path) -> str:
    with pytest.raises(UnknownFormatError) as caught:
        _read(path)
    assert caught.value.file == str(path)
    return caught.value.reason


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("container", ["jsonl", "csv", "parquet"])
def test_every_container_gives_the_same_rows(tmp_path: Path, container: str, gzipped: bool) -> None:
    path = _write(tmp_path / f"rows.{container}{'.gz' * gzipped}", container, gzipped=gzipped)

    table = Table(path)
    rows = list(table)

    assert [row.fields for row in rows if isinstance(row, Row)] == ROWS
    # In CSV the header is line 1 and the first row line 2.
    assert [row.line for row in rows] == ([2, 3] if container == "csv" else [1, 2])
    assert table.share == 1.0
    assert list(table) == rows  # a second iteration starts again


@pytest.mark.parametrize("container", ["jsonl", "csv", "parquet"])
def test_content_is_recognised_without_a_telling_name(tmp_path: Path, container: str) -> None:
    path = _write(tmp_path / "export", container, gzipped=True)

    assert [row.fields for row in _read(path) if isinstance(row, Row)] == ROWS


def test_a_byte_order_mark_and_dos_line_ends_change_nothing(tmp_path: Path) -> None:
    jsonl, table = tmp_path / "a.jsonl", tmp_path / "a.csv"
    jsonl.write_bytes(b'\xef\xbb\xbf{"user_id": "u1"}\r\n\r\n{"user_id": "u2"}\r\n')
    table.write_bytes(b"\xef\xbb\xbfuser_id,text\r\nu1,a\r\n\r\nu2,b\r\n")

    assert _read(jsonl) == [Row(1, {"user_id": "u1"}), Row(3, {"user_id": "u2"})]
    assert _read(table) == [Row(2, {"user_id": "u1", "text": "a"}), Row(4, {"user_id": "u2", "text": "b"})]


@pytest.mark.parametrize(("name", "delimiter"), [("a.tsv", "\t"), ("a.csv", ";"), ("a.csv", ",")])
def test_the_delimiter_is_taken_from_the_header(tmp_path: Path, name: str, delimiter: str) -> None:
    path = tmp_path / name
    path.write_text(f"user_id{delimiter}text\nu1{delimiter}a b\n")

    assert _read(path) == [Row(2, {"user_id": "u1", "text": "a b"})]


def test_quoted_newlines_count_as_lines_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('user_id,text\nu1,"one\ntwo\nthree"\nu2,b\n')

    assert _read(path) == [
        Row(2, {"user_id": "u1", "text": "one\ntwo\nthree"}),
        Row(5, {"user_id": "u2", "text": "b"}),
    ]


def test_a_quote_that_is_never_closed_costs_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('user_id,text\nu1,"open\nu2,b\nu3,c\n')

    assert _read(path) == [
        BadLine(2, "row", "is not valid CSV: unexpected end of data", 'u1,"open'),
        Row(3, {"user_id": "u2", "text": "b"}),
        Row(4, {"user_id": "u3", "text": "c"}),
    ]


def test_lines_read_again_are_still_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'user_id,text\nu1,"open\nu2,caf\xe9\n')

    assert [(bad.line, bad.field) for bad in _read(path) if isinstance(bad, BadLine)] == [
        (2, "row"),
        (3, "text"),
    ]


def test_a_row_of_another_width_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user_id,item_id,rating\nu1,i1\nu1,i1,5,x\nu1,i1,5\n")

    assert _read(path) == [
        BadLine(2, "rating", "the row has 2 columns and the header 3", ["u1", "i1"]),
        BadLine(3, "row", "the row has 4 columns and the header 3", ["u1", "i1", "5", "x"]),
        Row(4, {"user_id": "u1", "item_id": "i1", "rating": "5"}),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"user_id": "u1"', "is not valid JSON"),
        (b'{"user_id": "u1"} {}', "is not valid JSON"),
        (b'{"user_id": "u\x001"}', "is not valid JSON"),
        (b'{"user_id": "\\ud800", "rating": NaN}', "is not valid JSON"),
        (b"[" * 5000 + b"]" * 5000, "is not valid JSON"),
        (b'{"user_id": "caf\xe9"}', "is not UTF-8: invalid continuation byte at byte 16"),
        (b'["u1"]', "is a JSON list, not an object"),
        (b"null", "is a JSON NoneType, not an object"),
    ],
)
def test_a_bad_json_line_is_reported_in_its_place(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"user_id": "u1"}\n' + line + b'\n{"user_id": "u2"}')

    first, bad, last = _read(path)

    assert (first, last) == (Row(1, {"user_id": "u1"}), Row(3, {"user_id": "u2"}))
    assert isinstance(bad, BadLine)
    assert (bad.line, bad.field) == (2, "row")
    assert bad.reason.startswith(reason)


def test_a_nan_in_json_does_not_cost_the_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"user_id": "u1", "vote": NaN}\n')

    (row,) = _read(path)

    assert isinstance(row, Row)
    assert repr(row.fields) == "{'user_id': 'u1', 'vote': nan}"


def test_a_csv_cell_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"user_id,text\nu1,caf\xe9\nu2,b\n")

    assert _read(path) == [
        BadLine(2, "text", "is not UTF-8", {"user_id": "u1", "text": "caf�"}),
        Row(3, {"user_id": "u2", "text": "b"}),
    ]


@pytest.mark.parametrize("container", ["jsonl", "csv"])
def test_a_line_of_100_mb_is_skipped_in_bounded_memory(tmp_path: Path, container: str) -> None:
    path = tmp_path / f"a.{container}.gz"
    before, after = (b"u1,a\n", b"u2,b\n") if container == "csv" else (b'{"u": "u1"}\n', b'{"u": "u2"}\n')
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(b"u,text\n" if container == "csv" else b"")
        stream.write(before)
        for _ in range(100):
            stream.write(b"x" * 1_000_000)
        stream.write(b"\n" + after)

    tracemalloc.start()
    first, bad, last = _read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    start = 2 if container == "csv" else 1
    assert isinstance(first, Row)
    assert isinstance(last, Row)
    assert (first.fields["u"], last.fields["u"], last.line) == ("u1", "u2", start + 2)
    assert bad == BadLine(start + 1, "row", f"is longer than {MAX_LINE} bytes", "x" * 2000)
    assert peak < 8 * MAX_LINE


@pytest.mark.parametrize("container", ["jsonl", "csv"])
def test_a_truncated_gzip_gives_what_is_whole_and_says_where_it_ends(tmp_path: Path, container: str) -> None:
    path = tmp_path / f"a.{container}.gz"
    # Digests do not compress, so that half the bytes hold about half the lines.
    texts = [os.urandom(40).hex() for _ in range(2000)]
    lines = [f"u{n},{text}" if container == "csv" else f'{{"t": "{text}"}}' for n, text in enumerate(texts)]
    head = ["u,t"] if container == "csv" else []
    whole = gzip.compress("\n".join(head + lines).encode())
    path.write_bytes(whole[: len(whole) // 2])

    *rows, bad = _read(path)

    assert 500 < len(rows) < 1500
    assert [row.fields["t"] for row in rows if isinstance(row, Row)] == texts[: len(rows)]
    assert isinstance(bad, BadLine)
    assert (bad.line, bad.field) == (len(head) + len(rows) + 1, "row")
    assert bad.reason.startswith("the rest of the file cannot be read: Compressed file ended before")


def test_a_gzip_with_a_wrong_checksum_is_reported_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    whole = bytearray(gzip.compress(b'{"u": "u1"}\n'))
    whole[-5] ^= 1  # in the last eight bytes: checksum and length
    path.write_bytes(whole)

    row, bad = _read(path)

    assert row == Row(1, {"u": "u1"})
    assert isinstance(bad, BadLine)
    assert (bad.line, "CRC check failed" in bad.reason) == (2, True)


def test_a_missing_path_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert "No such file" in _refused(tmp_path / "none.jsonl")
    assert _refused(tmp_path) == "is a directory"
    assert _refused(tmp_path / "pipe") == "is not a regular file"
    assert "null byte" in _refused(tmp_path / "a\0b")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.csv", b"\xef\xbb\xbf \n\n", "is empty"),
        ("a.jsonl.gz", gzip.compress(b""), "is empty"),
        ("a.csv", "user_id,text\n".encode("utf-16"), "is UTF-16 text; convert it to UTF-8"),
        ("a.csv", b"PK\x03\x04....", "is a zip archive; unpack it first"),
        ("a.csv", b"caf\xe9,text\nu,t\n", "has a header line that is not UTF-8 text"),
        ("a.csv", b"u\0,text\nu,t\n", "has a header line that is not UTF-8 text"),
        ("a.csv", b"u,t,u\n1,2,3\n", "names a column twice: u"),
        ("a.csv", b'"u,t\n1,2\n', "has no readable header line: unexpected end of data"),
        ("a.parquet", b'{"u": 1}', "has the name of a Parquet file and not its content"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    assert _refused(path) == reason


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user_id,item_id\n")

    assert _read(path) == []


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", "parquet", gzipped=False)
    path.write_bytes(path.read_bytes()[:-20])

    assert _refused(path).startswith("is a damaged Parquet file")


def test_a_truncated_gzipped_parquet_file_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet.gz", "parquet", gzipped=True)
    path.write_bytes(path.read_bytes()[:-40])

    assert _refused(path).startswith("cannot be unpacked")


def test_damage_inside_a_parquet_file_ends_it_with_a_report(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [{"t": os.urandom(20).hex()} for _ in range(20_000)]
    _parquet(path, rows, row_group_size=5000, compression="gzip")
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 2000] = b"\0" * 2000
    path.write_bytes(whole)

    *good, bad = _read(path)

    assert [row.fields for row in good if isinstance(row, Row)] == rows[: len(good)]
    assert 0 < len(good) < 15_000
    assert isinstance(bad, BadLine)
    assert (bad.line, bad.field) == (len(good) + 1, "row")
    assert bad.reason.startswith("the rest of the file cannot be read")


def test_nanoseconds_in_parquet_are_cut_to_microseconds(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    times = ARROW.array([1_500_000_000_123_456_789], type=ARROW.timestamp("ns", tz="UTC"))
    PARQUET.write_table(ARROW.table({"timestamp": times}), path)

    # 1,500,000,000 seconds after 1970 is 2017-07-14 02:40:00 UTC.
    assert _read(path) == [Row(1, {"timestamp": datetime(2017, 7, 14, 2, 40, 0, 123456, tzinfo=UTC)})]


def test_a_parquet_value_beyond_pythons_calendar_costs_only_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    times = ARROW.array([0, 2**62, 1_000_000], type=ARROW.timestamp("us"))
    PARQUET.write_table(ARROW.table({"u": ["a", "b", "c"], "at": times}), path)

    first, bad, last = _read(path)

    assert first == Row(1, {"u": "a", "at": datetime(1970, 1, 1)})
    assert last == Row(3, {"u": "c", "at": datetime(1970, 1, 1, 0, 0, 1)})
    assert isinstance(bad, BadLine)
    assert (bad.line, bad.field, bad.row) == (2, "at", {"u": "b"})
