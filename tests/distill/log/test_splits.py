"""Users apart, and train before the boundary."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from limner.distill.log.manifest import Recipe
from limner.distill.log.prepare import Source, prepare
from limner.distill.log.splits import SPLITS, Split, Splitting, split_of, wrong_side
from limner.distill.log.training_set import TrainingSet
from limner.errors import EmptySplitError
from limner.models import Rollout

START = datetime(2026, 1, 1, tzinfo=UTC)
SPLITTING = Splitting(validation=0.25, test=0.25)


async def _log(drafts: list[Rollout]) -> AsyncIterator[list[Rollout]]:
    yield drafts


def _make(drafts: list[Rollout], folder: str, splitting: Splitting) -> TrainingSet:
    out = Path(folder) / "set"
    asyncio.run(prepare(Source("drafts", _log(drafts)), out, Recipe(splitting=splitting)))
    return TrainingSet.open(out)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sessions=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), min_size=1, max_size=30),
    boundary=st.none() | st.integers(0, 6),
    keep_early=st.booleans(),
    seed=st.integers(0, 3),
)
def test_no_user_is_in_two_splits_and_train_ends_before_the_boundary(
    draft: Any, sessions: list[tuple[int, int]], boundary: int | None, keep_early: bool, seed: int
) -> None:
    drafts = [
        draft(total, user_id=f"u{user}", as_of=START + timedelta(days=day))
        for user, day in sessions
        for total in (0.1, 0.9)
    ]
    given_boundary = None if boundary is None else START + timedelta(days=boundary)
    splitting = SPLITTING.model_copy(
        update={"boundary": given_boundary, "keep_early": keep_early, "seed": seed}
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = _make(drafts, folder, splitting)
        except EmptySplitError:
            assume(False)
            raise
        rows = {split: list(found.advantages(split)) for split in SPLITS}
        prompts = {split: list(found.prompts(split)) for split in SPLITS}
    users = {split: {row.user_id for row in (*rows[split], *prompts[split])} for split in SPLITS}
    assert users["train"]
    assert not users["train"] & users["validation"]
    assert not users["train"] & users["test"]
    assert not users["validation"] & users["test"]
    line = found.manifest.boundary
    if line is None:
        moments = [each.as_of for each in drafts]
        shares = {sum(one < moment for one in moments) / len(moments) for moment in moments}
        # With none before it, no moment comes nearer to four fifths than with two fifths or more.
        assert min(shares, key=lambda share: abs(share - 0.8)) < 0.4
        return
    assert all(row.as_of < line for row in (*rows["train"], *prompts["train"]))
    later = [row for split in ("validation", "test") for row in (*rows[split], *prompts[split])]
    assert keep_early or all(row.as_of >= line for row in later)
    funnel = found.manifest.funnel
    assert funnel.rollouts == funnel.kept + sum(funnel.dropped.values()) == len(drafts)


def test_a_user_stays_in_one_split_and_the_shares_hold() -> None:
    splits = [split_of(f"user {number}", SPLITTING) for number in range(4000)]

    assert [split_of(f"user {number}", SPLITTING) for number in range(4000)] == splits
    # Of 4000 users a quarter is 1000, with a standard deviation of sqrt(4000 * .25 * .75) = 27.
    assert abs(splits.count("test") - 1000) < 5 * 27
    assert abs(splits.count("validation") - 1000) < 5 * 27


def test_growing_the_test_share_takes_no_user_back_into_train() -> None:
    users = [f"user {number}" for number in range(500)]
    more = SPLITTING.model_copy(update={"test": 0.5})

    assert all(split_of(user, more) != "train" for user in users if split_of(user, SPLITTING) != "train")


@pytest.mark.parametrize(
    ("split", "days", "keep_early", "expected"),
    [
        ("train", -1, False, None),
        ("train", 0, False, "after_boundary"),
        ("validation", 0, False, None),
        ("test", -1, False, "before_boundary"),
        ("test", -1, True, None),
        ("train", 1, True, "after_boundary"),
    ],
)
def test_the_boundary_itself_is_not_before_it(
    split: Split, days: int, keep_early: bool, expected: str | None
) -> None:
    splitting = Splitting(keep_early=keep_early)

    assert wrong_side(split, START + timedelta(days=days), START, splitting) == expected
    assert wrong_side(split, START + timedelta(days=days), None, splitting) is None


def test_shares_that_leave_nobody_to_train_on_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"`validation` 0.5 and `test` 0.5 leave no user for train"):
        Splitting(validation=0.5, test=0.5)
