"""Refuse what lies in the future of a query. Every builder of a split calls `check_split` on what it built."""

import numpy as np
from numpy.typing import NDArray

from ..errors import LeakError
from ..tools.spans import owners
from .dataset import Events, IntArray
from .splits import Past, Queries, Split


def future_of(user: IntArray, at: IntArray, queries: Queries) -> NDArray[np.bool_]:
    """Return which events are of a query's user and not before its moment, shape `(E,)`.

    Args:
        user: Users of events, or of the edges of a graph, shape `(E,)`.
        at: Their times, in the unit of `Events.at`.
        queries: What is asked; a user who asks twice has the earlier moment.
    """
    known = int(max(user.max(initial=-1), queries.user.max(initial=-1))) + 1
    limit = np.full(known, np.iinfo(np.int64).max)
    np.minimum.at(limit, queries.user, queries.as_of)
    return at >= limit[user]


def check_past(past: Past, queries: Queries) -> None:
    """Check that the past holds nothing at or after its own moment, or that of any query of the same user.

    Raises:
        LeakError: It does; names the query's user and the first such event.
    """
    late = future_of(past.events.user, past.events.at, queries)
    if past.as_of is not None:
        late |= past.events.at >= past.as_of
    if not late.any():
        return
    row = int(np.argmax(late))
    asked = queries.as_of[queries.user == past.events.user[row]]
    limits = [int(moment) for moment in asked] + ([] if past.as_of is None else [past.as_of])
    raise _leak("past", past, past.events, row, min(limits))


def check_histories(past: Past, queries: Queries) -> None:
    """Check that each history holds events of its user only, all before the moment of the question.

    Raises:
        LeakError: One does not; names the query's user and the first such event.
    """
    query = owners(queries.starts)
    late = (queries.history.at >= queries.as_of[query]) | (queries.history.user != queries.user[query])
    if late.any():
        row = int(np.argmax(late))
        user = past.user_ids[int(queries.user[query[row]])]
        limit = int(queries.as_of[query[row]])
        raise _leak(f"history of user_id={user!r}", past, queries.history, row, limit)


def check_split(split: Split) -> None:
    """Check everything that systems get to see of a split.

    Raises:
        LeakError: Something in it is not before the moment of a question.
    """
    for problem in (split.validation, split.test):
        check_past(split.past, problem.queries)
        check_histories(split.past, problem.queries)


def _leak(where: str, past: Past, events: Events, row: int, limit: int) -> LeakError:
    user, item = past.user_ids[int(events.user[row])], past.items[int(events.item[row])].item_id
    return LeakError(where, user, item, int(events.at[row]), limit)
