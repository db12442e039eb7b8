"""A training set on disk, read row by row with its types."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from ...errors import UnknownFormatError
from ...tools.checksums import sha256_of
from .manifest import MANIFEST, Manifest
from .splits import Split
from .table_files import ROWS
from .training_rows import (
    TABLES,
    Advantage,
    Preference,
    PromptCompletion,
    PromptOnly,
    TrainingRow,
    UnpairedPreference,
)

Row = TypeVar("Row", bound=TrainingRow)


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What `limner distill prepare` wrote. Rows come in the order of users, so a trainer shuffles them."""

    folder: Path
    """Where it lies."""

    manifest: Manifest
    """Where it comes from and what it holds."""

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the manifest and check every file against it.

        Raises:
            UnknownFormatError: There is no training set, or a file is not the one that was written.
        """
        path = folder / MANIFEST
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            reason = f"is no manifest of a training set ({error}); write one with `limner distill prepare`"
            raise UnknownFormatError(str(path), reason) from error
        for file in manifest.files:
            table = folder / file.path
            if not table.is_file() or sha256_of(table) != file.sha256:
                raise UnknownFormatError(
                    str(table), "is not the file its manifest names; run `limner distill prepare` again"
                )
        return cls(folder=folder, manifest=manifest)

    def path(self, split: Split, table: str) -> Path:
        """Return the file of a table, for trainers that read Parquet themselves."""
        return self.folder / split / f"{table}.parquet"

    def prompts(self, split: Split) -> Iterator[PromptOnly]:
        """Yield every prompt."""
        return self._rows(split, "prompt_only", PromptOnly)

    def best(self, split: Split) -> Iterator[PromptCompletion]:
        """Yield the best draft of each group, for RAFT."""
        return self._rows(split, "prompt_completion", PromptCompletion)

    def preferences(self, split: Split) -> Iterator[Preference]:
        """Yield best and worst of each group, for DPO and IPO."""
        return self._rows(split, "preference", Preference)

    def labels(self, split: Split) -> Iterator[UnpairedPreference]:
        """Yield single drafts with labels, for KTO."""
        return self._rows(split, "unpaired_preference", UnpairedPreference)

    def advantages(self, split: Split) -> Iterator[Advantage]:
        """Yield single drafts with advantages, for AWR and offline GRPO."""
        return self._rows(split, "advantage", Advantage)

    def _rows(self, split: Split, table: str, kind: type[Row]) -> Iterator[Row]:
        assert TABLES[table] is kind
        parquet: Any = importlib.import_module("pyarrow.parquet")
        with parquet.ParquetFile(self.path(split, table)) as file:
            for batch in file.iter_batches(batch_size=ROWS):
                for row in batch.to_pylist():
                    if "rewards" in row:
                        row["rewards"] = dict(row["rewards"])
                    yield kind.model_validate(row)
