"""Ranking among a few sampled candidates: only to stand beside sources that did so, and labelled everywhere.

Sampled metrics are not the full ones on a smaller scale, and can order systems otherwise (Krichene & Rendle 2020,
"On sampled metrics for item recommendation").
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from .dataset import FloatArray, IntArray
from .places import Places, batch_of
from .splits import Past, Problem

Sampling = Literal["uniform", "popular"]

Value = TypeVar("Value")


class Sampled(NamedTuple):
    """The candidates beside each query's answers."""

    items: IntArray
    """Item numbers, shape `(Q, count)`."""

    sampling: Sampling

    def label(self, metrics: Mapping[str, Value]) -> dict[str, Value]:
        """Rename metrics, so that nobody takes them for those of a full ranking.

        Examples:
            >>> Sampled(np.empty((1, 99), dtype=np.int64), "uniform").label({"ndcg@10": 0.5})
            {'ndcg@10 sampled-99': 0.5}
        """
        kind = "" if self.sampling == "uniform" else f"-{self.sampling}"
        return {f"{name} sampled-{self.items.shape[1]}{kind}": value for name, value in metrics.items()}


def sample_negatives(
    problem: Problem, past: Past, *, count: int, seed: int, sampling: Sampling = "uniform"
) -> Sampled:
    """Draw items that are neither in a query's history nor among its answers, each at most once.

    Args:
        problem: What was asked.
        past: What systems were fitted on.
        count: How many for each query.
        seed: Decides them.
        sampling: `uniform`, or `popular`: in proportion to how often an item was chosen.

    Raises:
        SettingsError: A query has not so many other items.

    Source:
        Without replacement by Gumbel keys: Efraimidis & Spirakis 2006, "Weighted random sampling with a reservoir".
    """
    weights: NDArray[np.float64] = np.ones(past.n_items)
    if sampling == "popular":
        weights = np.bincount(past.events.item, minlength=past.n_items).astype(np.float64)
    with np.errstate(divide="ignore"):
        heights = np.log(weights)
    rng = np.random.default_rng(seed)
    drawn = np.empty((len(problem.queries), count), dtype=np.int64)
    spans = problem.answers.starts
    for query in range(len(drawn)):
        keys = heights + rng.gumbel(size=past.n_items)
        keys[problem.queries.items_of(query)] = -np.inf
        keys[problem.answers.item[spans[query] : spans[query + 1]]] = -np.inf
        left = int(np.count_nonzero(keys > -np.inf))
        if left < count:
            reason = f"must be at most {left}, the items that one user can be offered; got {count}"
            raise SettingsError("negatives", reason)
        drawn[query] = np.argpartition(-keys, count - 1)[:count] if count else []
    return Sampled(drawn, sampling)


def place_among(
    scores: FloatArray,
    problem: Problem,
    negatives: IntArray,
    *,
    first: int = 0,
    system: str = "unnamed",
) -> Places:
    """Count who stands before and beside each answer, among the query's answers and negatives only.

    Args:
        scores: Scores of the whole catalogue, higher is better, shape `(Q, N)`.
        problem: What was asked.
        negatives: Candidates of the whole problem, `Sampled.items`.
        first: The query of the first row, where a batch is placed.
        system: Name for an error.

    Raises:
        ScoresError: A score is NaN, or the shape does not fit the problem.
    """
    batch = batch_of(scores, problem, first=first, system=system)
    better = np.empty(len(batch.answers), dtype=np.int64)
    tied = np.empty(len(batch.answers), dtype=np.int64)
    for query, (row, _) in enumerate(batch.rows()):
        span = slice(batch.starts[query], batch.starts[query + 1])
        right = row[batch.answers[span]]
        pool = np.concatenate([right, row[negatives[first + query]]])
        better[span] = (pool > right[:, None]).sum(axis=1)
        tied[span] = (pool == right[:, None]).sum(axis=1) - 1
    candidates = np.diff(batch.starts) + negatives.shape[1]
    return Places(better=better, tied=tied, starts=batch.starts, candidates=candidates)
