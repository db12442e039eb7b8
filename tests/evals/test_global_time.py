"""One moment for everybody: what comes back, what is new, and what lies beyond."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import SettingsError
from limner.evals.dataset import Dataset, Events
from limner.evals.global_time import global_time
from limner.evals.loading.cards import card_of
from limner.evals.splits import Problem
from limner.records import Item


def _dataset(
    users: Sequence[Sequence[tuple[int, int]]],
    *,
    boundaries: tuple[int, int] | None = None,
    timed: bool = True,
) -> Dataset:
    """Return a set of users with events `(item, at)`, in order."""
    rows = [(user, item, at) for user, own in enumerate(users) for item, at in own]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    card = card_of(
        "invented", users=len(users), items=10, events=len(rows), clock="timestamps" if timed else "order"
    )
    return Dataset(
        card=card,
        items=tuple(Item(item_id=f"i{item}") for item in range(10)),
        user_ids=tuple(f"u{user}" for user in range(len(users))),
        events=Events(
            user=columns[0],
            item=columns[1],
            at=columns[2],
            rating=np.full(len(rows), np.nan, dtype=np.float32),
        ),
        seed=5,
        boundaries=boundaries,
    )


def _told(problem: Problem) -> list[tuple[int, int, list[int], list[int]]]:
    """Return user, moment, history and answers of each query."""
    queries, answers = problem.queries, problem.answers
    return [
        (
            int(queries.user[ix]),
            int(queries.as_of[ix]),
            queries.items_of(ix).tolist(),
            answers.item[low:high].tolist(),
        )
        for ix, (low, high) in enumerate(pairwise(answers.starts.tolist()))
    ]


LIVES = [
    [(0, 1), (1, 5), (0, 10), (2, 11), (0, 20), (3, 20), (4, 21)],  # a repeat comes first both times
    [(5, 2), (6, 9)],  # never comes back
    [(7, 12), (8, 25)],  # cold at 10
    [(9, 3), (9, 22)],  # chooses nothing new
]


def test_each_returning_user_is_asked_for_the_first_new_item_since_the_moment() -> None:
    split = global_time(_dataset(LIVES), validation_from=10, test_from=20)

    assert split.past.as_of == 10
    assert sorted(split.past.events.item.tolist()) == [0, 1, 5, 6, 9]
    assert _told(split.validation) == [(0, 10, [0, 1], [2])]
    assert _told(split.test) == [(0, 20, [0, 1, 0, 2], [3]), (2, 20, [7], [8])]
    assert split.notes == (
        "1 validation users left out: they did nothing before the moment",
        "1 test users left out: they chose nothing new",
    )


def test_all_new_items_and_cold_users_can_be_asked_for() -> None:
    split = global_time(_dataset(LIVES), validation_from=10, test_from=20, answers="all", cold=True)

    assert _told(split.validation) == [(0, 10, [0, 1], [2]), (2, 10, [], [7])]
    assert _told(split.test) == [(0, 20, [0, 1, 0, 2], [3, 4]), (2, 20, [7], [8])]
    assert split.name == "global-time-all-cold"


def test_without_moments_the_publishers_or_the_quantiles_count() -> None:
    published = global_time(_dataset(LIVES, boundaries=(10, 20)))
    ten = _dataset([[(item, item) for item in range(10)]])
    # Eight tenths of the events lie before 8, nine before 9.
    at_quantiles = global_time(ten, quantiles=(0.8, 0.9))

    assert (published.past.as_of, published.test.queries.as_of.tolist()) == (10, [20, 20])
    assert (at_quantiles.past.as_of, at_quantiles.test.queries.as_of.tolist()) == (8, [9])
    assert _told(at_quantiles.validation) == [(0, 8, list(range(8)), [8])]


def test_a_moment_may_be_a_time() -> None:
    dataset = _dataset([[(0, 1), (1, 3_000_000), (2, 6_000_000)]])
    moments = [datetime(1970, 1, 1, 0, 0, second, tzinfo=UTC) for second in (2, 5)]

    split = global_time(dataset, validation_from=moments[0], test_from=moments[1].replace(tzinfo=None))

    assert _told(split.validation) == [(0, 2_000_000, [0], [1])]
    assert _told(split.test) == [(0, 5_000_000, [0, 1], [2])]


def test_a_set_without_times_or_moments_out_of_order_are_refused() -> None:
    with pytest.raises(SettingsError, match="'invented' has only an order"):
        global_time(_dataset(LIVES, timed=False))
    with pytest.raises(SettingsError, match="validation_from=20 is not before test_from=10"):
        global_time(_dataset(LIVES), validation_from=20, test_from=10)


LIFE = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8)


@given(
    lives=st.lists(LIFE.map(lambda life: sorted(life, key=lambda event: event[1])), min_size=1, max_size=5)
)
def test_it_asks_what_a_loop_over_users_would_ask(lives: list[list[tuple[int, int]]]) -> None:
    split = global_time(_dataset(lives), validation_from=4, test_from=7)

    expected: list[tuple[int, int, list[int], list[int]]] = []
    for user, life in enumerate(lives):
        before = [item for item, at in life if at < 7]
        new = [item for item, at in life if at >= 7 and item not in before]
        if before and new:
            expected.append((user, 7, before, new[:1]))
    assert _told(split.test) == expected
    assert (split.past.events.at < 4).all()
    assert len(split.past.events) == sum(at < 4 for life in lives for _, at in life)
