"""The builders' guard: it names the query and the event that is too late."""

from dataclasses import replace

import numpy as np
import pytest

from limner.errors import LeakError
from limner.evals.dataset import Dataset, Events
from limner.evals.global_time import global_time
from limner.evals.guards import check_histories, check_past, check_split
from limner.evals.leave_one_out import leave_one_out
from limner.evals.loading.cards import card_of
from limner.evals.splits import Split
from limner.records import Item


def _dataset() -> Dataset:
    """Two users with four events each, at 0, 10, 20 and 30; user 1's are one later."""
    return Dataset(
        card=card_of("invented", users=2, items=8, events=8, clock="timestamps"),
        items=tuple(Item(item_id=f"i{item}") for item in range(8)),
        user_ids=("ann", "bob"),
        events=Events(
            user=np.repeat([0, 1], 4),
            item=np.arange(8),
            at=np.array([0, 10, 20, 30, 1, 11, 21, 31]),
            rating=np.full(8, np.nan, dtype=np.float32),
        ),
        seed=0,
    )


def _with_past(split: Split, rows: list[int]) -> Split:
    return replace(split, past=replace(split.past, events=_dataset().events.take(np.array(rows))))


def test_a_past_with_the_moment_of_a_question_of_its_user_is_refused() -> None:
    split = leave_one_out(_dataset())
    check_split(split)

    # Row 6 is what bob is asked about at 21. Ann's events are none of bob's matter, however late.
    with pytest.raises(
        LeakError, match=r"^past: the event of user_id='bob' on item_id='i6' at 21 is not before as_of=21"
    ):
        check_split(_with_past(split, [0, 4, 6]))


def test_a_past_beyond_its_own_end_is_refused() -> None:
    split = global_time(_dataset(), validation_from=15, test_from=25)
    nobody = split.test.queries.take(np.empty(0, dtype=np.int64))

    with pytest.raises(LeakError, match="'ann' on item_id='i2' at 20 is not before as_of=15"):
        check_past(_with_past(split, [0, 2]).past, nobody)


def test_a_history_with_the_moment_of_its_question_or_of_another_user_is_refused() -> None:
    split = leave_one_out(_dataset())
    queries = split.test.queries
    late = replace(queries, as_of=np.array([30, 21]))
    foreign = replace(queries, user=np.array([0, 0]))

    with pytest.raises(
        LeakError, match=r"^history of user_id='bob': .* on item_id='i6' at 21 is not before as_of=21"
    ):
        check_histories(split.past, late)
    with pytest.raises(LeakError, match=r"^history of user_id='ann': .* of user_id='bob' on item_id='i4'"):
        check_histories(split.past, foreign)
