"""A training set is what its manifest says, or it is not opened."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.distill.log.training_rows import TABLES
from limner.distill.log.training_set import TrainingSet
from limner.errors import UnknownFormatError
from limner.models import Rollout

parquet: Any = importlib.import_module("pyarrow.parquet")
Draft = Callable[..., Rollout]


async def test_columns_have_the_forms_trainers_expect(draft: Draft, make: Any) -> None:
    found = await make([draft(0.1), draft(0.9)])

    message = "list<element: struct<role: string not null, content: string not null>>"
    for table, kind in TABLES.items():
        schema = parquet.read_schema(found.path("train", table))
        types = {field.name: str(field.type) for field in schema}
        assert list(types) == list(kind.model_fields)
        assert types["prompt"] == message
        assert types["as_of"] == "timestamp[us, tz=UTC]"
    advantage = parquet.read_schema(found.path("train", "advantage"))
    assert str(advantage.field("token_logprobs").type) == "list<element: double>"
    assert [field.name for field in advantage if field.nullable] == ["token_ids", "token_logprobs"]


async def test_many_rows_come_back_in_order(draft: Draft, make: Any) -> None:
    drafts = [draft(number % 2, user_id=f"u{number // 2:04}") for number in range(1202)]

    found = await make(drafts)

    assert [row.rollout_id for row in found.advantages("train")] == [f"r{number}" for number in range(1202)]
    file = parquet.ParquetFile(found.path("train", "advantage"))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [500, 500, 202]


async def test_a_table_that_was_changed_is_refused(draft: Draft, make: Any) -> None:
    found = await make([draft(0.1), draft(0.9)])
    found.path("train", "preference").write_bytes(found.path("train", "prompt_only").read_bytes())

    with pytest.raises(UnknownFormatError, match=r"preference\.parquet: is not the file its manifest names"):
        TrainingSet.open(found.folder)


def test_a_folder_without_a_manifest_is_no_training_set(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match=r"manifest\.json: is no manifest of a training set"):
        TrainingSet.open(tmp_path)
