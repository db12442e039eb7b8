"""One system on one problem: fit, tune, score in blocks, place, measure."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..records import Item, Usage
from .beyond import beyond_accuracy, category_vectors, top_items
from .buckets import buckets
from .dataset import FloatArray, IntArray
from .metrics import Ties, measure
from .places import Places, ScoresError, place
from .problems import sample
from .results import Cost, Measured, Values
from .splits import Past, Problem
from .system import Choosing, Doubtful, Spending, System, Tunable

BLOCK = 512
"""Queries scored at once, fewer for a large catalogue."""

SCORES_A_BLOCK = 1 << 24

VALIDATION_QUERIES = 2_000
"""Queries that systems tune on, at most."""

BUCKET_METRICS = ("ndcg@10", "recall@10", "recall@50", "rank")
LISTED = 10
KEYWORDS_AT_MOST = 1 << 26
"""Cells of the table of items and keywords; beyond it, lists have no diversity."""


@dataclass(kw_only=True)
class Timed:
    """A system with a stopwatch and the bill."""

    system: System
    fit_seconds: float = 0.0
    tune_seconds: float = 0.0
    score_seconds: float = 0.0
    queries: int = 0
    untuned: bool = False
    """Whether there was something to choose, and nobody to choose it on."""

    notice: Callable[[str], None]

    def fit(self, past: Past) -> None:
        """Learn from the past."""
        self.notice(f"{self.system.name}: fitting")
        started = time.perf_counter()
        self.system.fit(past)
        self.fit_seconds += time.perf_counter() - started

    def tune(self, validation: Problem, seed: int) -> None:
        """Choose settings on validation users, if there is anything to choose."""
        if not isinstance(self.system, Tunable):
            return
        if not len(validation.queries):
            self.untuned = True
            return
        self.notice(f"{self.system.name}: tuning")
        asked = sample(validation, VALIDATION_QUERIES, seed=seed)
        started = time.perf_counter()
        self.system.tune(asked.queries, asked.answers)
        self.tune_seconds += time.perf_counter() - started

    def blocks(self, problem: Problem, n_items: int) -> Iterator[tuple[int, FloatArray]]:
        """Yield the first query and the scores of each block."""
        height = max(1, min(BLOCK, SCORES_A_BLOCK // max(n_items, 1)))
        total = len(problem.queries)
        for first in range(0, total, height):
            self.notice(f"{self.system.name}: {first:,} of {total:,} queries")
            queries = problem.queries.take(np.arange(first, min(first + height, total)))
            started = time.perf_counter()
            scores = self.system.score(queries)
            self.score_seconds += time.perf_counter() - started
            self.queries += len(queries)
            if scores.shape != (len(queries), n_items):
                wanted = f"wanted {(len(queries), n_items)}: every query, every item"
                raise ScoresError(self.system.name, f"shape {scores.shape}, {wanted}")
            yield first, scores

    @property
    def cost(self) -> Cost:
        """What it took so far."""
        return Cost(
            fit_seconds=self.fit_seconds,
            tune_seconds=self.tune_seconds,
            score_seconds=self.score_seconds,
            queries=self.queries,
            usage=self.system.usage if isinstance(self.system, Spending) else Usage(),
        )


class Asked(NamedTuple):
    """A problem with everything that is the same for every system."""

    past: Past
    problem: Problem
    dataset: str
    split: str
    ties: Ties
    seed: int


def run_system(timed: Timed, asked: Asked) -> Measured:
    """Ask a fitted system everything, and measure."""
    parts: list[Places] = []
    lists: list[IntArray] = [np.empty((0, LISTED), dtype=np.int64)]
    name = timed.system.name
    for first, scores in timed.blocks(asked.problem, asked.past.n_items):
        parts.append(place(scores, asked.problem, first=first, system=name))
        lists.append(top_items(scores, asked.problem, k=LISTED, seed=asked.seed, first=first, system=name))
    places = Places.concatenate(parts)
    values: dict[str, Values] = {}
    values.update(measure(places, ties=asked.ties))
    values.update(_in_buckets(places, asked))
    vectors = keyword_vectors(asked.past.items)
    beyond = beyond_accuracy(np.concatenate(lists), asked.past, cutoffs=(LISTED,), vectors=vectors)
    values.update((metric, found) for metric, found in beyond.items() if isinstance(found, np.ndarray))
    return Measured(
        system=name,
        dataset=asked.dataset,
        split=asked.split,
        users=asked.past.ids_of(asked.problem.queries.user),
        per_query=values,
        whole={metric: found for metric, found in beyond.items() if isinstance(found, float)},
        cost=timed.cost,
        notes=tuple(_notes(timed, asked.ties)),
    )


def _notes(timed: Timed, ties: Ties) -> Iterator[str]:
    system = timed.system
    if ties != "average":
        yield f"Ties are broken {ties}ally, as others did: not comparable with other tables here."
    if isinstance(system, Doubtful):
        yield from (f"{system.name}: {caveat}" for caveat in system.caveats)
    if timed.untuned:
        yield f"{system.name}: there were no validation users, so nothing was chosen"
    elif isinstance(system, Choosing) and system.chosen:
        chosen = ", ".join(f"{name} {value}" for name, value in system.chosen.items())
        yield f"{system.name}: chosen on validation users: {chosen}"


def _in_buckets(places: Places, asked: Asked) -> Iterator[tuple[str, Values]]:
    """Yield a metric on each part of the queries, NaN on the others."""
    for bucket in buckets(asked.past, asked.problem):
        if not len(bucket.queries):
            continue
        found = measure(places.only(bucket.answers), ties=asked.ties)
        for metric in BUCKET_METRICS:
            values = np.full(len(places), np.nan)
            values[bucket.queries] = found[metric]
            yield f"{metric} | {bucket.name}", values


def keyword_vectors(items: Sequence[Item]) -> FloatArray | None:
    """Return what lists are diverse in, shape `(N, C)`; absent where nothing is known or it would not fit."""
    words = {word for item in items for word in (*item.categories, *item.tags)}
    return category_vectors(items) if words and len(words) * len(items) <= KEYWORDS_AT_MOST else None
