"""Invented users of an invented catalogue, of the size and shape of a published benchmark, for the bench `eval`."""

from typing import NamedTuple

import numpy as np

from ...records import Item
from ..dataset import Card, Events, FloatArray, IntArray
from ..splits import Answers, Past, Problem, Queries

FACTORS = 64
_SHELF = 50
_SHELVES_A_USER = 3
_FEWEST, _MEAN_MORE, _MOST = 5, 4.0, 60
_WORDS = 2000


class World(NamedTuple):
    """Everything that is measured on."""

    past: Past
    problem: Problem
    """The last choice of every user, given all before it."""

    users: FloatArray
    items: FloatArray
    """Factors whose product scores items for users, shapes `(Q, FACTORS)` and `(N, FACTORS)`."""


def invent_world(users: int, items: int, seed: int) -> World:
    """Invent users who choose from a few shelves each, some items far more often than others."""
    rng = np.random.default_rng(seed)
    shelf_of = rng.permutation(items) // _SHELF
    chosen, user = _choose(rng, users, shelf_of)
    last = np.flatnonzero(np.diff(user, append=users))
    kept = np.setdiff1d(np.arange(len(user)), last)
    history = _events(user[kept], chosen[kept])
    starts = np.searchsorted(history.user, np.arange(users + 1))
    queries = Queries(
        user=np.arange(users), as_of=np.full(users, _MOST, dtype=np.int64), history=history, starts=starts
    )
    ratings = np.full(users, np.nan, dtype=np.float32)
    answers = Answers(item=chosen[last], rating=ratings, starts=np.arange(users + 1))
    taste, goods = _factors(rng, shelf_of, history, starts)
    return World(
        past=_past(rng, users, shelf_of, history, seed),
        problem=Problem(queries=queries, answers=answers),
        users=taste,
        items=goods,
    )


def _choose(rng: np.random.Generator, users: int, shelf_of: IntArray) -> tuple[IntArray, IntArray]:
    """Return items and their users, user by user, no item twice."""
    by_shelf = np.argsort(shelf_of, kind="stable")
    shelves = max(1, len(shelf_of) // _SHELF)
    liked = np.argsort(rng.random((users, shelves)), axis=1)[:, :_SHELVES_A_USER]
    width = min(_SHELF, len(shelf_of))
    at_hand = by_shelf[(liked[:, :, None] * width + np.arange(width)).reshape(users, -1)]
    fame = -np.log(np.arange(1, width + 1))  # the n-th item of a shelf is n times rarer than the first
    keys = np.tile(fame, liked.shape[1]) + rng.gumbel(size=at_hand.shape)
    order = np.argsort(-keys, axis=1)
    lengths = np.minimum(
        _FEWEST + rng.geometric(1.0 / _MEAN_MORE, size=users) - 1, min(_MOST, order.shape[1])
    )
    taken = np.less(np.arange(int(order.shape[1])), lengths[:, None])
    return np.take_along_axis(at_hand, order, axis=1)[taken], np.repeat(np.arange(users), lengths)


def _events(user: IntArray, item: IntArray) -> Events:
    first = np.searchsorted(user, user)
    return Events(
        user=user,
        item=item,
        at=np.arange(len(user)) - first,
        rating=np.full(len(user), np.nan, dtype=np.float32),
    )


def _factors(
    rng: np.random.Generator, shelf_of: IntArray, history: Events, starts: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return items around their shelf's direction, and users as the mean of what they chose."""
    directions = rng.standard_normal((int(shelf_of.max()) + 1, FACTORS))
    goods = (directions[shelf_of] + rng.standard_normal((len(shelf_of), FACTORS))).astype(np.float32)
    lengths = np.diff(starts)[:, None].astype(np.float32)
    taste: FloatArray = np.add.reduceat(goods[history.item], starts[:-1], axis=0)
    return (taste / lengths).astype(np.float32), goods


def _past(rng: np.random.Generator, users: int, shelf_of: IntArray, history: Events, seed: int) -> Past:
    words = rng.integers(0, _WORDS, size=(len(shelf_of), 4)).tolist()
    items = [
        Item(item_id=f"i{number}", tags=(f"shelf {shelf}", *(f"word {word}" for word in words[number])))
        for number, shelf in enumerate(shelf_of.tolist())
    ]
    card = Card(
        name="invented",
        source="drawn at random",
        terms="none",
        users=users,
        items=len(items),
        events=len(history),
        clock="order",
        text_by_model=False,
    )
    names = [f"u{number}" for number in range(users)]
    return Past(card=card, items=items, user_ids=names, events=history, as_of=None, seed=seed)
