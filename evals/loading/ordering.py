"""Put events in order, by user, then time, and shuffle what no clock can tell apart."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..dataset import IntArray

TieShuffle = Literal["moments", "rising-ids", "none"]


def order_of(
    user: IntArray, at: IntArray, rank: IntArray, *, timed: bool, ties: TieShuffle, rng: np.random.Generator
) -> IntArray:
    """Return the rows in order, shape `(E,)`.

    Args:
        user: User numbers, shape `(E,)`.
        at: Times, in the unit of `Events.at`; of no meaning unless `timed`.
        rank: Place of each event's item among the source's sorted ids.
        timed: Whether there are times, or only the order of the rows.
        ties: What is shuffled: events of one user at one moment; or, where there is only an order, each
            maximal run of rising ids, as if it were one moment. Sources that order the events of a day by item
            id hide such moments; taking every rising run for one destroys some true order too, so what a
            system loses by it is an upper bound on what it owes to the ids.
        rng: Decides the new order.
    """
    order = np.lexsort((at, user)) if timed else np.argsort(user, kind="stable")
    if ties == "none" or not (timed or ties == "rising-ids"):
        return order
    if timed:
        return np.lexsort((rng.random(len(user)), at, user))
    follows = (user[order][1:] == user[order][:-1]) & (rank[order][1:] > rank[order][:-1])
    run = np.concatenate([[0], np.cumsum(~follows)])[: len(order)]
    return order[np.lexsort((rng.random(len(user)), run))]


def rising_share(user: IntArray, rank: IntArray) -> float:
    """Return the share of neighbouring events of one user whose source ids rise; .5 by chance.

    Args:
        user: User numbers, in order.
        rank: Place of each event's item among the source's sorted ids; repeats do not count.
    """
    neighbours = (user[1:] == user[:-1]) & (rank[1:] != rank[:-1])
    return float((rank[1:] > rank[:-1])[neighbours].mean()) if neighbours.any() else 0.5


def places(user: IntArray) -> IntArray:
    """Return the place of each event within its user's, from 0, shape `(E,)`; `user` is non-decreasing."""
    first = np.flatnonzero(np.concatenate([[True], user[1:] != user[:-1]])[: len(user)])
    return np.arange(len(user)) - np.repeat(first, np.diff(np.append(first, len(user))))


def ranks_of(ids: Sequence[str]) -> IntArray:
    """Return the place of each id among the sorted ones; whole numbers are sorted as numbers."""
    numeric = all(name.isascii() and name.isdigit() for name in ids)
    order = sorted(range(len(ids)), key=(lambda ix: (len(ids[ix]), ids[ix])) if numeric else ids.__getitem__)
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[order] = np.arange(len(ids))
    return ranks
