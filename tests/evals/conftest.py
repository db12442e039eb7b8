"""Events and pasts in which only who chose what matters."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from limner.evals.dataset import Card, Events
from limner.evals.splits import Past
from limner.records import Item

Chosen = Callable[[Sequence[int], Sequence[int]], Events]
PastOfOne = Callable[[Sequence[int], int], Past]


def _chosen(items: Sequence[int], users: Sequence[int]) -> Events:
    return Events(
        user=np.array(users, dtype=np.int64),
        item=np.array(items, dtype=np.int64),
        at=np.zeros(len(items), dtype=np.int64),
        rating=np.full(len(items), np.nan, dtype=np.float32),
    )


def _past_of_one(items: Sequence[int], n_items: int) -> Past:
    card = Card(
        name="invented",
        source="",
        terms="",
        users=1,
        items=n_items,
        events=len(items),
        clock="order",
        text_by_model=False,
    )
    return Past(
        card=card,
        items=[Item(item_id=f"i{number}") for number in range(n_items)],
        user_ids=["u"],
        events=_chosen(items, [0] * len(items)),
        as_of=None,
        seed=0,
    )


@pytest.fixture(scope="session")
def chosen() -> Chosen:
    """Make events, all at one moment, of items and of the users who chose them."""
    return _chosen


@pytest.fixture(scope="session")
def past_of_one() -> PastOfOne:
    """Make a past of one user who chose some items of a catalogue of so many."""
    return _past_of_one
