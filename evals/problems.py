"""Cut events into queries and answers by rows, without a loop over users."""

import numpy as np
from numpy.typing import NDArray

from ..tools.spans import Spans
from .dataset import Dataset, Events, IntArray
from .splits import Answers, Past, Problem, Queries


def repeats(events: Events) -> NDArray[np.bool_]:
    """Return which events are on an item that their user had before, shape `(E,)`."""
    order = np.lexsort((events.item, events.user))
    user, item = events.user[order], events.item[order]
    repeated = np.zeros(len(events), dtype=bool)
    repeated[order[1:]] = (user[1:] == user[:-1]) & (item[1:] == item[:-1])
    return repeated


def moment_starts(events: Events) -> IntArray:
    """Return, for each event, the first row of its user at the same moment, shape `(E,)`."""
    new = np.concatenate([[True], (np.diff(events.user) != 0) | (np.diff(events.at) != 0)])[: len(events)]
    return np.maximum.accumulate(np.where(new, np.arange(len(events)), 0))


def problem_of(
    dataset: Dataset, *, user: IntArray, as_of: IntArray, history: Spans, answers: Spans
) -> Problem:
    """Return queries with their answers.

    Args:
        dataset: Whose rows are meant.
        user: User of each query.
        as_of: Moment of each query.
        history: Rows of each query's history.
        answers: Rows of each query's answers.
    """
    events = dataset.events
    return Problem(
        queries=Queries(user=user, as_of=as_of, history=events.take(history.rows), starts=history.starts),
        answers=Answers(
            item=events.item[answers.rows], rating=events.rating[answers.rows], starts=answers.starts
        ),
    )


def past_of(dataset: Dataset, rows: IntArray | NDArray[np.bool_], *, as_of: int | None, seed: int) -> Past:
    """Return what systems are fitted on: some rows of a data set."""
    return Past(
        card=dataset.card,
        items=dataset.items,
        user_ids=dataset.user_ids,
        events=dataset.events.take(rows),
        as_of=as_of,
        seed=seed,
    )


def sample(problem: Problem, users: int | None, *, seed: int) -> Problem:
    """Return a problem of at most so many users, drawn at random; all if `users` is absent."""
    size = len(problem.queries)
    if users is None or users >= size:
        return problem
    drawn = np.random.default_rng(seed).choice(size, users, replace=False)
    return problem.take(np.sort(drawn))
