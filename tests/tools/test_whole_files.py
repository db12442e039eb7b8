"""What is written appears whole or not at all, and leaves nothing behind."""

import os
import time
from pathlib import Path

import pytest

from limner.errors import InputError
from limner.tools.whole_files import new_folder, whole_file, write_whole


class Cut(Exception):
    """The writing ends in the middle."""


def test_a_file_takes_its_name_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "notes.txt"
    write_whole(path, "first ä")

    with whole_file(path) as part:
        part.write_text("second", encoding="utf-8")
        assert path.read_bytes() == "first ä".encode()

    assert path.read_text(encoding="utf-8") == "second"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_was_cut_off_leaves_the_earlier_one_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"kept")

    with pytest.raises(Cut), whole_file(path) as part:
        part.write_bytes(b"hal")
        raise Cut

    assert path.read_bytes() == b"kept"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_may_be_read_by_whoever_may_read_one_opened_at_its_place(tmp_path: Path) -> None:
    usual, whole = tmp_path / "usual", tmp_path / "whole"
    usual.write_bytes(b"")
    write_whole(whole, b"")

    assert whole.stat().st_mode == usual.stat().st_mode


def test_a_folder_takes_its_name_when_the_block_ends_well(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_folder(out) as folder:
        (folder / "table").write_bytes(b"rows")
        assert not out.exists()

    assert (out / "table").read_bytes() == b"rows"
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_that_was_cut_off_is_gone(tmp_path: Path) -> None:
    with pytest.raises(Cut), new_folder(tmp_path / "out") as folder:
        (folder / "table").write_bytes(b"ro")
        raise Cut

    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "table").write_bytes(b"rows")

    with pytest.raises(InputError, match="already there"), new_folder(tmp_path):
        raise AssertionError("must not begin")

    assert (tmp_path / "table").read_bytes() == b"rows"


def test_what_a_killed_process_left_goes_a_day_later_and_what_is_being_written_stays(tmp_path: Path) -> None:
    left, folder, busy, other = (
        tmp_path / f".{name}.part" for name in ("a.csv.1", "a.csv.2", "a.csv.3", "b.csv.4")
    )
    folder.mkdir()
    for path in (left, folder / "table", busy, other):
        path.write_text("half")
    for path in (left, folder / "table", folder, other):
        os.utime(path, (0, time.time() - 90_000))

    write_whole(tmp_path / "a.csv", "whole")

    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.csv.3.part", ".b.csv.4.part", "a.csv"]
