"""Leave-one-out: what is asked, what is hidden, and what is no question."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from limner.evals.dataset import Dataset, Events
from limner.evals.leave_one_out import OTHERS, leave_one_out
from limner.evals.loading.cards import card_of
from limner.evals.splits import Problem
from limner.records import Item


def _dataset(users: Sequence[Sequence[tuple[int, int]]], *, items: int = 10) -> Dataset:
    """Return a set of users with events `(item, at)`, in order; the rating of an event is its row."""
    rows = [(user, item, at) for user, own in enumerate(users) for item, at in own]
    card = card_of(
        "invented", users=len(users), items=items, events=len(rows), clock="timestamps", form="", notes=()
    )
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Dataset(
        card=card,
        items=tuple(Item(item_id=f"i{item}") for item in range(items)),
        user_ids=tuple(f"u{user}" for user in range(len(users))),
        events=Events(
            user=columns[0], item=columns[1], at=columns[2], rating=np.arange(len(rows), dtype=np.float32)
        ),
        seed=5,
    )


def _told(problem: Problem) -> list[tuple[int, int, list[int], list[int]]]:
    """Return user, moment, history and answers of each query."""
    queries, answers = problem.queries, problem.answers
    ends = pairwise(answers.starts.tolist())
    return [
        (
            int(queries.user[ix]),
            int(queries.as_of[ix]),
            queries.items_of(ix).tolist(),
            answers.item[low:high].tolist(),
        )
        for ix, (low, high) in enumerate(ends)
    ]


def _past(split_past: Events) -> list[tuple[int, int]]:
    return list(zip(split_past.user.tolist(), split_past.item.tolist(), strict=True))


def test_the_last_two_events_are_asked_and_everything_before_is_past() -> None:
    split = leave_one_out(_dataset([[(0, 1), (1, 2), (2, 3), (3, 4)], [(4, 1), (5, 2)]]))

    assert _past(split.past.events) == [(0, 0), (0, 1), (1, 4), (1, 5)]  # two events are no question
    assert _told(split.validation) == [(0, 3, [0, 1], [2])]
    assert _told(split.test) == [(0, 4, [0, 1, 2], [3])]
    assert split.test.answers.rating.tolist() == [3.0]
    assert (split.past.as_of, split.past.seed, split.notes) == (None, 5, (OTHERS,))


def test_what_happened_at_the_very_moment_of_an_answer_is_neither_history_nor_past() -> None:
    split = leave_one_out(_dataset([[(0, 1), (1, 7), (2, 7), (3, 9)]]))

    assert _told(split.validation) == [(0, 7, [0], [2])]
    assert _told(split.test) == [(0, 9, [0, 1, 2], [3])]
    assert _past(split.past.events) == [(0, 0)]


def test_an_answer_that_was_chosen_before_is_no_question() -> None:
    split = leave_one_out(_dataset([[(0, 1), (1, 2), (2, 3), (0, 4)], [(0, 1), (1, 2), (1, 3), (2, 4)]]))

    assert _told(split.validation) == [(0, 3, [0, 1], [2])]
    assert _told(split.test) == [(1, 4, [0, 1, 1], [2])]
    assert split.notes == (
        OTHERS,
        "1 validation queries left out: the answer was a repeat",
        "1 test queries left out: the answer was a repeat",
    )
    # User 1 is only asked about item 2, so that the repeat before it is past.
    assert _past(split.past.events) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 1)]


def test_a_user_whose_whole_life_is_one_moment_is_not_asked_and_stays_in_the_past() -> None:
    split = leave_one_out(_dataset([[(0, 1), (1, 1), (2, 1)]]))

    assert (len(split.validation.queries), len(split.test.queries)) == (0, 0)
    assert _past(split.past.events) == [(0, 0), (0, 1), (0, 2)]
    assert split.notes == (
        OTHERS,
        "1 validation queries left out: there was no history",
        "1 test queries left out: there was no history",
    )


def test_a_sample_has_so_many_test_users_and_changes_nothing_else() -> None:
    dataset = _dataset([[(user % 5, 1), (5, 2), (6, 3), (7, 4)] for user in range(40)])

    whole, some = leave_one_out(dataset, seed=1), leave_one_out(dataset, seed=1, users=7)

    assert len(some.test.queries) == 7
    assert [query for query in _told(whole.test) if query in _told(some.test)] == _told(some.test)
    assert len(some.validation.queries) == 40
    assert _past(some.past.events) == _past(whole.past.events)
    assert _told(leave_one_out(dataset, seed=1, users=7).test) == _told(some.test)
    assert _told(leave_one_out(dataset, seed=2, users=7).test) != _told(some.test)


LIVES = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=8).map(
        lambda life: sorted(life, key=lambda event: event[1])
    ),
    min_size=1,
    max_size=6,
)


@given(lives=LIVES)
def test_nobody_sees_the_moment_of_a_question_or_what_came_after(lives: list[list[tuple[int, int]]]) -> None:
    split = leave_one_out(_dataset(lives))

    for problem in (split.validation, split.test):
        for user, as_of, history, answers in _told(problem):
            assert history == [item for item, at in lives[user] if at < as_of]
            assert history
            assert not set(answers) & set(history)
            assert (answers[0], as_of) in lives[user][-2:]
            own = split.past.events.at[split.past.events.user == user]
            assert (own < as_of).all()
