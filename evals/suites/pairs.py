"""The suite `pairs`: which of a few items will each user choose, and which rating will it get."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field, PositiveInt

from ...errors import MissingExtraError
from ...records import Record
from ..beyond import top_items
from ..buckets import buckets
from ..dataset import FloatArray
from ..encoding import Encoding, label_of
from ..pairs.asking import ask, bill
from ..pairs.candidates import (
    Candidates,
    Near,
    Sampling,
    draw_beside,
    measure_among,
    place_in_list,
    take_retrieved,
)
from ..pairs.rankers import make_ranker
from ..prepared import Prepared, own_options, prepare
from ..ranking import Timed
from ..rating_metrics import measure_ratings, rating_errors
from ..registry import build
from ..results import DataCard, Measured, Probe, Values
from ..splits import Problem
from ..suite import Task
from .rating import levels_of

BESIDE, RETRIEVED = 10, 100
"""Candidates of a user, drawn or retrieved, where their number is not given."""

LEADING = ("ndcg@10", "hit@1", "mrr", "ndcg@5", "hit@5", "rank")
"""Metrics shown first, in this order."""

CUTOFFS = (1, 3, 5, 10, 20, 50)
LEAST = 10
"""Largest cut-off of the shortest lists."""


class PairsOptions(Record):
    """What `--set` may say besides how data are loaded."""

    sampling: Sampling = "random"
    """What the true item stands among: `random`, `popular` or `hard` others, or what was `retrieved`."""

    candidates: Annotated[int, Field(ge=2)] | None = None
    """Items ranked for each user; absent for 10 (the true one and nine others), or for 100 retrieved ones."""

    retriever: str = "seqknn"
    """Spec of the system whose best items are `retrieved`."""

    encoder: str = ""
    """Text space in which `hard` items lie near the history; absent for the configured encoder."""

    pool: PositiveInt = 50
    """Nearest items that `hard` ones are drawn from."""


class Pairs:
    """Ranking among few candidates, the same for every system, and the rating of the true one."""

    name = "pairs"
    together = False
    default_systems = ("popularity", "user-mean", "item-mean", "bias", "mf", "seqknn", "history")
    """What every table shows beside the system under test."""

    def check(self, task: Task) -> None:
        """Refuse a spec or an option that cannot be.

        Raises:
            SettingsError: Says which.
        """
        options = own_options(task, PairsOptions)
        with suppress(MissingExtraError):  # said when its turn comes; it stops no other system
            make_ranker(task.system, task.workspace)
        if options.sampling == "retrieved":
            build(options.retriever, task.workspace)

    def measure(self, task: Task) -> Sequence[Measured]:
        """Fit on the past, and ask each test user about every candidate."""
        options = own_options(task, PairsOptions)
        [folder] = task.data
        prepared = prepare(task, folder)
        ranker = make_ranker(task.system, task.workspace)
        candidates = _candidates(task, options, prepared)
        problem = first_answers(prepared.test)
        asked = ask(
            ranker, prepared.split, problem, candidates.items, seed=task.seed, notice=task.workspace.notice
        )
        values = dict(_ranking(task, asked.scores, candidates, prepared, ranker.name))
        levels = levels_of(prepared.split.past.events.rating)
        rating = _rating(asked.ratings, problem.answers.rating, levels, task.seed)
        return [
            Measured(
                system=ranker.name,
                dataset=prepared.dataset.card.name,
                split=prepared.split.name,
                users=prepared.split.past.ids_of(problem.queries.user),
                per_query={**values, **rating.per_query},
                whole={**rating.whole, **bill(asked.cost, candidates.items.size)},
                whole_ci=rating.whole_ci,
                cost=asked.cost,
                probes=(place_in_list(candidates, dataset=prepared.dataset.card.name),),
                complete=asked.complete,
                notes=(*prepared.notes, *_said(task, options, candidates), *rating.notes, *asked.notes),
            )
        ]

    def guard(self, task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
        """Return the card of the data, and what the probes for leaks found in it."""
        [folder] = task.data
        prepared = prepare(task, folder)
        return [prepared.data], prepared.probes


class _Rated(NamedTuple):
    """How far predicted ratings of targets are off, in the parts of a `Measured`."""

    per_query: Mapping[str, Values]
    whole: Mapping[str, float]
    whole_ci: Mapping[str, tuple[float, float]]
    notes: tuple[str, ...]


def first_answers(problem: Problem) -> Problem:
    """Return every query with its first answer alone."""
    answers = problem.answers
    first = answers.starts[:-1]
    alone = replace(
        answers,
        item=answers.item[first],
        rating=answers.rating[first],
        starts=np.arange(len(problem.queries) + 1),
    )
    return Problem(queries=problem.queries, answers=alone)


def _candidates(task: Task, options: PairsOptions, prepared: Prepared) -> Candidates:
    """Draw or retrieve what every system is asked about."""
    past, problem = prepared.split.past, prepared.test
    if options.sampling == "retrieved":
        return _retrieved(task, options, prepared)
    near = None
    if options.sampling == "hard":
        encoding = Encoding(options.encoder or task.workspace.settings.embedder, task.workspace)
        near = Near(encoding.encode_items(past.items), options.pool)
    count = (options.candidates or BESIDE) - 1
    return draw_beside(problem, past, count=count, seed=task.seed, sampling=options.sampling, near=near)


def _retrieved(task: Task, options: PairsOptions, prepared: Prepared) -> Candidates:
    """Ask the retriever for its best items; what that takes is on nobody's bill."""
    past, problem = prepared.split.past, prepared.test
    timed = Timed(system=build(options.retriever, task.workspace), notice=task.workspace.notice)
    timed.fit(past)
    timed.tune(prepared.split.validation, task.seed)
    most = options.candidates or RETRIEVED
    name = timed.system.name
    lists = [
        top_items(scores, problem, k=most, seed=task.seed, first=first, system=name)
        for first, scores in timed.blocks(problem, past.n_items)
    ]
    return take_retrieved(
        np.concatenate([np.empty((0, most), dtype=np.int64), *lists]), problem, label=name, seed=task.seed
    )


def _ranking(
    task: Task, scores: FloatArray, candidates: Candidates, prepared: Prepared, system: str
) -> Iterator[tuple[str, Values]]:
    """Yield metrics over everybody, the one that matters first; then the first on parts of the queries."""
    width = candidates.items.shape[1]
    cutoffs = tuple(k for k in CUTOFFS if k <= max(width, LEAST))
    found = measure_among(scores, candidates, cutoffs=cutoffs, ties=task.ties, system=system)
    yield from candidates.labelled({name: found[name] for name in (*LEADING, *found)}).items()
    headline = LEADING[0]
    parts = {
        bucket.name: bucket.queries for bucket in buckets(prepared.split.past, first_answers(prepared.test))
    }
    if len(candidates.found) < len(scores):
        retrieved = np.zeros(len(scores))
        retrieved[candidates.found] = 1.0
        yield f"retrieved {candidates.label}", retrieved
        parts["retrieved"] = candidates.found
    for part, queries in parts.items():
        values = np.full(len(scores), np.nan)
        values[queries] = found[headline][queries]
        if len(queries):
            yield from candidates.labelled({f"{headline} | {part}": values}).items()


def _rating(ratings: FloatArray | None, given: FloatArray, levels: Sequence[float], seed: int) -> _Rated:
    """Measure the ratings of those targets that got one."""
    rated = np.flatnonzero(~np.isnan(given))
    if ratings is None or not len(rated) or not levels:
        return _Rated({}, {}, {}, ())
    told, truth = ratings[rated], given[rated]
    per_query: dict[str, Values] = {}
    for name, errors in rating_errors(told, truth, levels=levels).items():
        per_query[name] = np.full(len(given), np.nan)
        per_query[name][rated] = errors
    figures = measure_ratings(told, truth, levels=levels, seed=seed)
    whole = {name: figures[name] for name in ("rmse", "f1")}
    left = len(given) - len(rated)
    return _Rated(
        per_query,
        {name: figure.value for name, figure in whole.items()},
        {name: (figure.low, figure.high) for name, figure in whole.items()},
        (f"{left:,} targets got no rating from their users; mae, rmse, accuracy and f1 are without them.",)
        if left
        else (),
    )


def _said(task: Task, options: PairsOptions, candidates: Candidates) -> Iterator[str]:
    """Say what was ranked."""
    count = candidates.items.shape[1]
    drawn = f"candidates {candidates.digest}, the same for every system"
    if options.sampling == "retrieved":
        yield f"Among the {count} best items of {options.retriever}, whether or not the true one is there; {drawn}."
        return
    kind = f"{options.sampling} others"
    if options.sampling == "hard":
        space = label_of(options.encoder or task.workspace.settings.embedder)
        kind = f"others from the {options.pool} items nearest to the history in the space of {space}"
    yield f"Sampled: the true item among {count - 1} {kind}; {drawn}."
