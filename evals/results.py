"""What a run leaves behind: one JSON document, and the values of every user beside it.

`RUN.json` holds the rows of the table and everything needed to repeat them; `RUN.npz` holds one value per user
and metric, so that two results can be compared user by user. Both appear whole or not at all.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, ValidationError, model_validator

from ..errors import UnknownFormatError
from ..records import Record, Usage
from .dataset import Card

FORMAT = 1

HEADLINES = (
    *("ndcg@10", "recall@10", "ndcg@5", "recall@5", "recall@50", "mrr@10", "ndcg", "rank"),
    *("mae", "rmse", "accuracy", "f1"),
    *("grounding", "history similarity", "boilerplate", "portrait similarity"),
)
"""Metrics shown first, in this order."""

Values = NDArray[np.floating[Any]]
"""One number a query."""


def _as_interval(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    if ends is not None and not ends[0] <= ends[1]:
        raise ValueError(f"an interval goes from low to high, this one is {ends}")
    return ends


class Row(Record):
    """One number of a table."""

    system: str
    """Name of the system measured."""

    dataset: str
    """Name on the data set's card; with `A -> B` for a system fitted on A and asked on B."""

    split: str
    """Name of the split; `sampled` in it if the ranking was not over the whole catalogue."""

    metric: str
    """`ndcg@10`; `ndcg@10 | head` is the same over a bucket of the queries."""

    value: Annotated[float, Field(allow_inf_nan=False)]
    """Mean over `n` queries, or a figure of the whole run such as coverage."""

    ci: Annotated[tuple[float, float] | None, AfterValidator(_as_interval)]
    """95 % interval over users, low and high; absent for a figure that has none."""

    n: int
    """Queries in the value."""

    seed: int
    """Seed of the run."""


class Probe(Record):
    """One test for a leak, on one data set and split."""

    name: str
    """Which leak was looked for."""

    dataset: str = ""
    """Name on the data set's card."""

    passed: bool
    """False makes every result of the run invalid."""

    value: float
    """What was measured."""

    limit: float
    """The most (or least) that passes, as `detail` says."""

    detail: str = ""
    """What the value is, in words."""


class DataCard(Record):
    """A data set's card and the very bytes it was read from."""

    card: Card

    content: str
    """Hash of the source files' contents."""

    files: Mapping[str, str]
    """sha256 of each source file, by name."""


class Cost(Record):
    """What one system took on one data set."""

    fit_seconds: float = 0.0
    """Wall clock of learning from the past."""

    tune_seconds: float = 0.0
    """Wall clock of choosing settings on validation users."""

    score_seconds: float = 0.0
    """Wall clock of answering all queries."""

    queries: int = 0
    """Queries answered in `score_seconds`."""

    usage: Usage = Usage()
    """Model calls, tokens and money, over fitting, tuning and answering."""


class SystemCost(Record):
    """Cost of a system on a data set."""

    system: str
    dataset: str
    cost: Cost


class Result(Record):
    """Everything about one run."""

    format: int = FORMAT
    """Version of this document's form."""

    suite: str
    command: str
    """What to type to get this again."""

    key: str
    """Hash of everything that decides the outcome; equal keys are the same run."""

    settings: Mapping[str, Any]
    """Every option that matters, defaults written out."""

    rows: tuple[Row, ...]
    probes: tuple[Probe, ...]
    valid: bool
    """False if any probe failed: the numbers are printed, and mean nothing."""

    data: tuple[DataCard, ...]
    cost: tuple[SystemCost, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader must know: not applicable, labelled ties, sampled users."""

    versions: Mapping[str, str]
    machine: Mapping[str, str]
    started: datetime
    seconds: float
    """Wall clock of the whole run."""

    @model_validator(mode="after")
    def _valid_means_no_probe_failed(self) -> Self:
        if self.valid != all(probe.passed for probe in self.probes):
            raise ValueError("`valid` must be true exactly when every probe passed")
        return self


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one system did on one data set: what a suite returns."""

    system: str
    dataset: str
    split: str

    users: Sequence[str]
    """The source's ids of the users asked, shape `(Q,)`; one user may be asked more than once."""

    per_query: Mapping[str, Values]
    """One value per query and metric, shape `(Q,)`; NaN where a metric does not apply to a query.

    `ndcg@10 | head-items` is the metric on a part of the queries, NaN on all others.
    """

    whole: Mapping[str, float] = field(default_factory=dict[str, float])
    """Figures that are no mean over queries, such as coverage."""

    whole_ci: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    """Intervals of `whole`, where the suite has them."""

    cost: Cost = field(default_factory=Cost)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PerQuery:
    """One system's values on one data set, as saved."""

    system: str
    dataset: str
    users: NDArray[np.str_]
    values: Mapping[str, Values]


def save_result(result: Result, measured: Sequence[Measured], path: Path) -> None:
    """Write `path` (JSON) and the values of every user beside it (`.npz`), the document last.

    Args:
        result: The document.
        measured: Where its rows come from.
        path: Ends in `.json`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {}
    index: list[dict[str, object]] = []
    for place, part in enumerate(measured):
        names = list(part.per_query)
        index.append({"system": part.system, "dataset": part.dataset, "metrics": names})
        arrays[f"{place}/users"] = np.asarray(part.users, dtype=np.str_)
        arrays.update(
            {f"{place}/{at}": part.per_query[name].astype(np.float32) for at, name in enumerate(names)}
        )
    arrays["index"] = np.asarray(json.dumps(index))
    with _Whole(path.with_suffix(".npz")) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
    with _Whole(path) as temporary:
        temporary.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_result(path: Path) -> Result:
    """Read a document.

    Raises:
        UnknownFormatError: The file is missing, or is not such a document.
    """
    try:
        return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UnknownFormatError(
            str(path), f"cannot be read ({error.strerror}); give a result file"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise UnknownFormatError(str(path), f"not a result: `{where}`: {first['msg']}") from error


def load_per_query(path: Path) -> tuple[PerQuery, ...]:
    """Read the values of every user that were saved beside a document.

    Args:
        path: The document's path.

    Raises:
        UnknownFormatError: They are missing or broken.
    """
    beside = path.with_suffix(".npz")
    try:
        with np.load(beside, allow_pickle=False) as archive:
            index = json.loads(str(archive["index"]))
            return tuple(
                PerQuery(
                    system=part["system"],
                    dataset=part["dataset"],
                    users=archive[f"{place}/users"],
                    values={name: archive[f"{place}/{at}"] for at, name in enumerate(part["metrics"])},
                )
                for place, part in enumerate(index)
            )
    except (OSError, ValueError, KeyError) as error:
        raise UnknownFormatError(
            str(beside), f"values of users cannot be read ({error}); run again"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class _Whole:  # reads as a verb at its place
    """A temporary path that becomes the real one only if nothing failed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".", suffix=self._path.suffix)
        os.close(handle)
        self._temporary = Path(name)
        return self._temporary

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._temporary.chmod(0o666 & ~_umask())  # as if it had been opened at its place
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)
