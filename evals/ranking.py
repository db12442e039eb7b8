"""One system on one problem: fit, tune, score in blocks, place, measure."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ..records import Item, Usage
from ..tools.spans import owners
from .beyond import beyond_accuracy, category_vectors, top_items
from .buckets import buckets
from .dataset import FloatArray, IntArray
from .failing import failing_in
from .metrics import Ties, measure
from .places import Places, ScoresError, place
from .problems import sample
from .results import Cost, Measured, Probe, Values
from .sampled import Sampled, place_among
from .splits import Past, Problem
from .system import (
    Choosing,
    Demanding,
    Dependent,
    Doubtful,
    Keeping,
    Mixing,
    Spending,
    System,
    Telling,
    Tunable,
)
from .target_texts import target_in_prompts

BLOCK = 512
"""Queries scored at once, fewer for a large catalogue."""

SCORES_A_BLOCK = 1 << 24

VALIDATION_QUERIES = 2_000
"""Queries that systems tune on, at most."""

BUCKET_METRICS = ("ndcg@10", "recall@10", "recall@50", "rank")
LISTED = 10
KEYWORDS_AT_MOST = 1 << 26
"""Cells of the table of items and keywords; beyond it, lists have no diversity."""


@dataclass(frozen=True)
class Meter:
    """What was taken up to a moment, or between two: seconds, those of kept calls among them, and usage."""

    seconds: float
    usage: Usage

    def __sub__(self, earlier: "Meter") -> "Meter":
        """Return what was taken since."""
        now, then = self.usage.model_dump(), earlier.usage.model_dump()
        usage = Usage(**{name: value - then[name] for name, value in now.items()})
        return Meter(self.seconds - earlier.seconds, usage)


@dataclass(kw_only=True)
class Timed:
    """A system with a stopwatch and the bill."""

    system: System
    fit_seconds: float = 0.0
    tune_seconds: float = 0.0
    score_seconds: float = 0.0
    queries: int = 0
    usage: Usage = Usage()  # noqa: RUF009  # frozen
    """What fitting and answering cost."""

    tune_usage: Usage = Usage()  # noqa: RUF009  # frozen
    """What tuning cost."""

    untuned: bool = False
    """Whether there was something to choose, and nobody to choose it on."""

    notice: Callable[[str], None]

    def fit(self, past: Past) -> None:
        """Learn from the past."""
        self.notice(f"{self.system.name}: fitting")
        self._learn(self.system.fit, past, "fit")

    def move(self, move: Callable[[Past], None], past: Past) -> None:
        """Go on with another catalogue."""
        self._learn(move, past, "move")

    def tune(self, validation: Problem, seed: int) -> None:
        """Choose settings on validation users, if there is anything to choose."""
        if not isinstance(self.system, Tunable):
            return
        if not len(validation.queries):
            self.untuned = True
            return
        self.notice(f"{self.system.name}: tuning")
        wanted = self.system.validation_queries if isinstance(self.system, Demanding) else VALIDATION_QUERIES
        asked = sample(validation, wanted, seed=seed)
        started = self._meter()
        with failing_in(self.system.name, "tune"):
            self.system.tune(asked.queries, asked.answers)
        taken = self._meter() - started
        self.tune_seconds += taken.seconds
        self.tune_usage += taken.usage

    def blocks(self, problem: Problem, n_items: int) -> Iterator[tuple[int, FloatArray]]:
        """Yield the first query and the scores of each block."""
        height = max(1, min(BLOCK, SCORES_A_BLOCK // max(n_items, 1)))
        total = len(problem.queries)
        for first in range(0, total, height):
            self.notice(f"{self.system.name}: {first:,} of {total:,} queries")
            queries = problem.queries.take(np.arange(first, min(first + height, total)))
            started = self._meter()
            with failing_in(self.system.name, "score"):
                scores = self.system.score(queries)
                shape = scores.shape
            taken = self._meter() - started
            self.score_seconds += taken.seconds
            self.usage += taken.usage
            self.queries += len(queries)
            if shape != (len(queries), n_items):
                wanted = f"wanted {(len(queries), n_items)}: every query, every item"
                raise ScoresError(self.system.name, f"shape {shape}, {wanted}")
            yield first, scores

    @property
    def cost(self) -> Cost:
        """What it took so far."""
        return Cost(
            fit_seconds=self.fit_seconds,
            tune_seconds=self.tune_seconds,
            score_seconds=self.score_seconds,
            queries=self.queries,
            usage=self.usage,
            tune_usage=self.tune_usage,
        )

    def _learn(self, learn: Callable[[Past], None], past: Past, step: Literal["fit", "move"]) -> None:
        started = self._meter()
        with failing_in(self.system.name, step):
            learn(past)
        taken = self._meter() - started
        self.fit_seconds += taken.seconds
        self.usage += taken.usage

    def _meter(self) -> "Meter":
        with failing_in(self.system.name, "usage"):
            kept = self.system.kept_seconds if isinstance(self.system, Keeping) else 0.0
            usage = self.system.usage if isinstance(self.system, Spending) else Usage()
        return Meter(time.perf_counter() + kept, usage)


class Trial(NamedTuple):
    """A problem with everything that is the same for every system."""

    past: Past
    problem: Problem
    dataset: str
    split: str
    ties: Ties
    seed: int
    sampled: Sampled | None = None
    """A ranking among few candidates, measured beside the full one."""


def run_system(timed: Timed, trial: Trial) -> Measured:
    """Ask a fitted system everything, and measure."""
    parts: list[Places] = []
    among: list[Places] = []
    lists: list[IntArray] = [np.empty((0, LISTED), dtype=np.int64)]
    texts: list[str] = []
    name = timed.system.name
    for first, scores in timed.blocks(trial.problem, trial.past.n_items):
        parts.append(place(scores, trial.problem, first=first, system=name))
        lists.append(top_items(scores, trial.problem, k=LISTED, seed=trial.seed, first=first, system=name))
        if isinstance(timed.system, Telling):
            queries = trial.problem.queries.take(np.arange(first, first + len(scores)))
            with failing_in(name, "texts_seen"):
                texts += timed.system.texts_seen(queries)
        if trial.sampled:
            among.append(place_among(scores, trial.problem, trial.sampled.items, first=first, system=name))
    places = Places.concatenate(parts)
    values: dict[str, Values] = {}
    values.update(measure(places, ties=trial.ties))
    if trial.sampled:
        values.update(trial.sampled.label(measure(Places.concatenate(among), ties=trial.ties)))
    values.update(_in_buckets(places, trial))
    vectors = keyword_vectors(trial.past.items)
    beyond = beyond_accuracy(np.concatenate(lists), trial.past, cutoffs=(LISTED,), vectors=vectors)
    values.update((metric, found) for metric, found in beyond.items() if isinstance(found, np.ndarray))
    return Measured(
        system=name,
        dataset=trial.dataset,
        split=trial.split,
        users=trial.past.ids_of(trial.problem.queries.user),
        per_query=values,
        whole={metric: found for metric, found in beyond.items() if isinstance(found, float)},
        cost=timed.cost,
        weights=timed.system.shares if isinstance(timed.system, Mixing) else {},
        probes=(_target_in_texts(texts, trial),) if any(texts) else (),
        complete=timed.system.complete if isinstance(timed.system, Dependent) else True,
        notes=tuple(_notes(timed, trial.ties)),
    )


def _target_in_texts(texts: Sequence[str], trial: Trial) -> Probe:
    """Look for the title of every answer in the text of its query."""
    answers = trial.problem.answers
    queries: list[int] = owners(answers.starts).tolist()
    items: list[int] = answers.item.tolist()
    shown = [texts[query] for query in queries]
    titles = [trial.past.items[item].title for item in items]
    return target_in_prompts(shown, titles, dataset=trial.past.card.name)


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


def _in_buckets(places: Places, trial: Trial) -> Iterator[tuple[str, Values]]:
    """Yield a metric on each part of the queries, NaN on the others."""
    for bucket in buckets(trial.past, trial.problem):
        if not len(bucket.queries):
            continue
        found = measure(places.only(bucket.answers), ties=trial.ties)
        for metric in BUCKET_METRICS:
            values = np.full(len(places), np.nan)
            values[bucket.queries] = found[metric]
            yield f"{metric} | {bucket.name}", values


def keyword_vectors(items: Sequence[Item]) -> FloatArray | None:
    """Return what lists are diverse in, shape `(N, C)`; absent where nothing is known or it would not fit."""
    words = {word for item in items for word in (*item.categories, *item.tags)}
    return category_vectors(items) if words and len(words) * len(items) <= KEYWORDS_AT_MOST else None
