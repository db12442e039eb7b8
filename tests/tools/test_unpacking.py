"""A gzipped file does not unpack without end."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from limner.errors import UnknownFormatError
from limner.tools import readers
from limner.tools.readers import Table


def _packed(path: Path) -> Path:
    plain = path / "events.parquet"
    table: Any = vars(pa)["table"]({"user_id": ["ada"] * 50_000})  # pyarrow tells no types
    parquet.write_table(table, plain, compression="none", use_dictionary=False)
    packed = path / "events.parquet.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    return packed


def test_a_small_parquet_file_is_unpacked_whatever_gzip_gains(tmp_path: Path) -> None:
    assert len(list(Table(_packed(tmp_path)))) == 50_000


def test_one_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PARQUET_UNPACKED", 1000)

    with pytest.raises(UnknownFormatError, match="unpacks to more than"):
        list(Table(_packed(tmp_path)))
