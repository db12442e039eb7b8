"""When the alarm says something."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from limner.distill.judging.alarm import AlarmRule, Change, alarm, change

stats: Any = import_module("scipy.stats")

RULE = AlarmRule()


def moved(low: float, high: float, *, users: int = 50) -> Change:
    """A number whose mean difference has this interval, with spread 1."""
    return Change(0.0, (low + high) / 2, low, high, 1.0, users)


ROSE, FELL, UNSURE = moved(0.2, 0.4), moved(-0.4, -0.2), moved(-0.2, 0.2)


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(3)
    before = rng.normal(size=25)
    after = before + rng.normal(0.3, 0.5, size=25)

    found = change(before, after, level=0.95)

    theirs = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert found.spread == pytest.approx(before.std(ddof=1))
    assert found.users == 25


def test_users_without_both_numbers_are_left_out() -> None:
    found = change(np.array([0.0, np.nan, 1.0, 5.0]), np.array([1.0, 2.0, 2.0, np.nan]), level=0.95)

    assert (found.before, found.after, found.users) == (0.5, 1.5, 2)
    alone = change(np.array([0.0]), np.array([1.0]), level=0.95)
    assert np.isnan(alone.low) and not alone.rose and not alone.fell


@pytest.mark.parametrize(
    ("critic", "encoder", "lexical", "expected"),
    [
        (ROSE, FELL, ROSE, "judge/held_out fell"),
        (ROSE, UNSURE, FELL, "judge/bm25 fell"),
        (ROSE, ROSE, FELL, None),  # themes in place of copied titles: the encoder says it is honest
        (ROSE, moved(-0.1, 0.01), UNSURE, "judge/held_out stood still"),  # .01 is below a tenth of .2
        (ROSE, moved(-0.1, 0.03), UNSURE, None),
        (ROSE, UNSURE, moved(-0.1, 0.01), None),  # a lexical judge may stand still
        (UNSURE, FELL, FELL, None),
        (FELL, FELL, FELL, None),
        (moved(0.2, 0.4, users=7), FELL, FELL, None),
        (ROSE, moved(-0.4, -0.2, users=7), UNSURE, None),
    ],
)
def test_the_rule(critic: Change, encoder: Change, lexical: Change, expected: str | None) -> None:
    said = alarm(critic, {"judge/held_out": encoder, "judge/bm25": lexical}, RULE)

    assert (said is None) == (expected is None)
    assert expected is None or (said and f"but {expected} (" in said)


def test_the_message_says_what_by_how_much_and_how_sure() -> None:
    said = alarm(
        Change(0.4, 0.5, 0.05, 0.15, 0.2, 64),
        {"judge/held_out": Change(0.3, 0.2, -0.15, -0.05, 0.2, 64)},
        RULE,
    )

    assert said is not None
    assert "critic/total rose (0.4000 -> 0.5000, +0.1000, 99 % interval +0.0500 to +0.1500, 64 users)" in said
    assert (
        "judge/held_out fell (0.3000 -> 0.2000, -0.1000, 99 % interval -0.1500 to -0.0500, 64 users)" in said
    )
    assert "keep the checkpoint of an earlier step" in said


def test_only_a_fall_ends_training_if_standing_still_is_allowed() -> None:
    rule = AlarmRule(flat=0.0)

    assert alarm(ROSE, {"judge/held_out": moved(-0.1, 0.001)}, rule) is None
    assert alarm(ROSE, {"judge/held_out": FELL}, rule) is not None
