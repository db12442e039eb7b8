"""Groups of answers that behave unlike each other: known and unknown items, known and unknown users.

A bucket is a choice of answers, because a query with several may have some in the head and some in the tail:

    for bucket in buckets(past, problem):
        values = measure(places.only(bucket.answers))  # one row for each query of `bucket.queries`
"""

from dataclasses import dataclass

import numpy as np

from ..tools.spans import owners
from .dataset import IntArray
from .places import BoolArray
from .splits import Past, Problem

HEAD_SHARE = 0.2
COLD_EVENTS = 5


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Some of a problem's answers."""

    name: str
    """Name in results."""

    answers: BoolArray
    """Which answers belong to it, shape `(A,)`."""

    queries: IntArray
    """Queries with any of them, ascending."""


def buckets(
    past: Past, problem: Problem, *, head_share: float = HEAD_SHARE, cold_events: int = COLD_EVENTS
) -> tuple[Bucket, ...]:
    """Sort answers by how often their item was chosen before, and by how long their user's history is.

    - `head-items`: the most frequent `head_share` of the items that were ever chosen; items as frequent as the last
      of them are in it too. `tail-items`: all other items.
    - `cold-items`: chosen fewer than `cold_events` times, perhaps never; part of the tail, or of a weak head.
      `unseen-items`: never chosen, so that only its text can find it.
    - `cold-users`: fewer than `cold_events` events in the query's history. `warm-users`: all others.

    Args:
        past: What systems were fitted on.
        problem: Whose answers.
        head_share: Share of the chosen items, between 0 and 1.
        cold_events: Bound of what is cold.

    Returns:
        All buckets, empty ones too.
    """
    frequency = np.bincount(past.events.item, minlength=past.n_items)
    of_answer = frequency[problem.answers.item]
    history = np.repeat(np.diff(problem.queries.starts), np.diff(problem.answers.starts))
    head = of_answer >= _least_of_head(frequency, head_share)
    chosen = {
        "head-items": head,
        "tail-items": ~head,
        "cold-items": of_answer < cold_events,
        "unseen-items": of_answer == 0,
        "cold-users": history < cold_events,
        "warm-users": history >= cold_events,
    }
    query = owners(problem.answers.starts)
    return tuple(
        Bucket(
            name=name,
            answers=answers,
            queries=np.unique(query[answers]),
        )
        for name, answers in chosen.items()
    )


def _least_of_head(frequency: IntArray, share: float) -> int:
    """Return the frequency of the last item of the head, >= 1."""
    ever = np.sort(frequency[frequency > 0])[::-1]
    if not len(ever):
        return 1
    return int(ever[min(len(ever) - 1, max(0, int(np.ceil(share * len(ever))) - 1))])
