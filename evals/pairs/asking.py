"""One ranker on one problem, with a stopwatch and the bill."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from ...records import Usage
from ..dataset import FloatArray, IntArray
from ..failing import failing_in
from ..problems import sample
from ..ranking import VALIDATION_QUERIES, Meter
from ..results import Cost
from ..splits import Problem, Split
from ..system import Choosing, Dependent, Doubtful, Keeping, Spending, Tunable
from .rankers import Ranker

PER = 1000
"""Ranked pairs that a bill is made out for."""


class Asked(NamedTuple):
    """What a ranker said, and what that took."""

    scores: FloatArray
    """Of every candidate, shape `(Q, K)`."""

    ratings: FloatArray | None
    """Of each query's target, shape `(Q,)`; absent if it predicts none."""

    cost: Cost
    """Of learning and of the scores; what ratings of targets took beside them is nobody's."""

    complete: bool
    notes: tuple[str, ...]


def ask(
    ranker: Ranker,
    split: Split,
    problem: Problem,
    items: IntArray,
    *,
    seed: int,
    notice: Callable[[str], None],
) -> Asked:
    """Fit, tune on validation users, score candidates, rate targets.

    Args:
        ranker: Not fitted yet.
        split: What may be learned from.
        problem: What is asked; one answer a query.
        items: Candidates, shape `(Q, K)`.
        seed: Draws the validation users.
        notice: Takes lines of progress.

    Raises:
        SystemFailedError: The ranker raised an error that is not Limner's own.
    """
    notice(f"{ranker.name}: fitting")
    meters = [_meter(ranker)]
    with failing_in(ranker.name, "fit"):
        ranker.fit(split.past)
    meters.append(_meter(ranker))
    untuned = _tune(ranker, split.validation, seed, notice)
    meters.append(_meter(ranker))
    notice(f"{ranker.name}: {items.size:,} pairs of {len(items):,} users")
    with failing_in(ranker.name, "score"):
        scores = ranker.order(problem.queries, items)
    meters.append(_meter(ranker))
    complete = _complete(ranker)
    with failing_in(ranker.name, "rate"):
        ratings = ranker.rate(problem.queries, problem.answers.item)
    fitted, tuned, scored = (later - earlier for earlier, later in pairwise(meters))
    cost = Cost(
        fit_seconds=fitted.seconds,
        tune_seconds=tuned.seconds,
        score_seconds=scored.seconds,
        queries=len(problem.queries),
        usage=fitted.usage + scored.usage,
        tune_usage=tuned.usage,
    )
    notes = tuple(_notes(ranker, untuned=untuned))
    return Asked(scores, ratings, cost, complete and _complete(ranker), notes)


def bill(cost: Cost, pairs: int) -> dict[str, float]:
    """Return what 1,000 ranked pairs take.

    Args:
        cost: Of all of them; what tuning took is left out.
        pairs: How many were ranked.

    Examples:
        >>> found = bill(Cost(score_seconds=4.0, queries=20, usage=Usage(calls=50, prompt_tokens=900)), 200)
        >>> found["calls per 1,000 pairs"], found["tokens per 1,000 pairs"], found["seconds per 1,000 pairs"]
        (250.0, 4500.0, 20.0)
    """
    taken = {
        "calls": float(cost.usage.calls),
        "tokens": float(cost.usage.tokens),
        "seconds": cost.score_seconds,
        "dollars": cost.usage.cost,
    }
    return {f"{name} per {PER:,} pairs": PER * value / max(pairs, 1) for name, value in taken.items()}


def _tune(ranker: Ranker, validation: Problem, seed: int, notice: Callable[[str], None]) -> bool:
    """Let the ranker choose; return whether it had something to choose and nobody to choose it on."""
    inner = ranker.inner
    if not isinstance(inner, Tunable):
        return False
    if not len(validation.queries):
        return True
    notice(f"{ranker.name}: tuning")
    asked = sample(validation, VALIDATION_QUERIES, seed=seed)
    with failing_in(ranker.name, "tune"):
        inner.tune(asked.queries, asked.answers)
    return False


def _meter(ranker: Ranker) -> Meter:
    inner = ranker.inner
    with failing_in(ranker.name, "usage"):
        kept = inner.kept_seconds if isinstance(inner, Keeping) else 0.0
        usage = inner.usage if isinstance(inner, Spending) else Usage()
    return Meter(time.perf_counter() + kept, usage)


def _complete(ranker: Ranker) -> bool:
    return ranker.inner.complete if isinstance(ranker.inner, Dependent) else True


def _notes(ranker: Ranker, *, untuned: bool) -> Iterator[str]:
    inner = ranker.inner
    if isinstance(inner, Doubtful):
        yield from (f"{ranker.name}: {caveat}" for caveat in inner.caveats)
    if untuned:
        yield f"{ranker.name}: there were no validation users, so nothing was chosen"
    elif isinstance(inner, Choosing) and inner.chosen:
        chosen = ", ".join(f"{name} {value}" for name, value in inner.chosen.items())
        yield f"{ranker.name}: chosen on validation users: {chosen}"
