"""What a run leaves behind: rows of a table, and everything needed to repeat them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from ..records import Record, Usage
from .dataset import Card

FORMAT = 1

HEADLINES = (
    *("ndcg@10", "recall@10", "ndcg@5", "recall@5", "recall@50", "mrr@10", "ndcg", "rank"),
    *("mae", "rmse", "accuracy", "f1", "context tokens"),
    *("unsupported", "unsupported by judge", "planted found", "planted found by judge"),
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
    """Name of the split."""

    metric: str
    """`ndcg@10`; `ndcg@10 | head-items` is the same over a part of the queries, and `ndcg@10 sampled-99` is of a
    ranking among sampled candidates instead of the whole catalogue."""

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
    """Wall clock of choosing settings on validation users, with the calls of kept portraits."""

    score_seconds: float = 0.0
    """Wall clock of answering all queries; a kept portrait brings the seconds that its calls took when drawn."""

    queries: int = 0
    """Queries answered in `score_seconds`."""

    usage: Usage = Usage()
    """Model calls, tokens and money, over fitting and answering; kept portraits with what they took when drawn."""

    tune_usage: Usage = Usage()
    """The same over tuning, such as portraits of validation users."""


class SystemCost(Record):
    """Cost of a system on a data set."""

    system: str
    dataset: str
    cost: Cost


class Weight(Record):
    """What one part counts in a mixture, as fitted on validation users."""

    system: str
    """Name of the mixture."""

    dataset: str
    bucket: str
    """Users it holds for: `all`, or as in `history up to 5`."""

    part: str
    """Name of the part."""

    weight: float
    """Share of the whole; 0 for a part that earned nothing and is not asked."""


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

    complete: bool = True
    """False if a model or the budget failed somewhere: the same run again does not take this for finished."""

    data: tuple[DataCard, ...]
    cost: tuple[SystemCost, ...] = ()
    weights: tuple[Weight, ...] = ()
    """Of every mixture among the systems."""

    notes: tuple[str, ...] = ()
    """What a reader must know: not applicable, labelled ties, sampled users."""

    versions: Mapping[str, str]
    machine: Mapping[str, str]
    started: datetime
    seconds: float
    """Wall clock of the whole run."""

    @property
    def ties(self) -> str:
        """What became of tied items."""
        return str(self.settings.get("ties", "average"))

    @property
    def options(self) -> str:
        """Further options of the suite, as one text."""
        given: Mapping[str, str] = self.settings.get("options", {})
        return ", ".join(f"{name}={value}" for name, value in sorted(given.items()))

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
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    """Of a mixture: for each bucket of users, its parts' names and shares."""

    probes: tuple[Probe, ...] = ()
    """What the probes found in what the system made or was told; those of the data come from the suite's `guard`."""

    complete: bool = True
    """False if an answer or a portrait is missing, or stood in for, because a model or the budget failed."""

    notes: tuple[str, ...] = ()
