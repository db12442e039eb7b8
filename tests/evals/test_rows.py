"""From values of users to rows."""

import numpy as np
import pytest

from limner.evals.results import Measured
from limner.evals.rows import rows_of


def test_a_mean_takes_the_queries_its_metric_applies_to() -> None:
    part = Measured(
        system="s",
        dataset="d",
        split="x",
        users=["a", "b", "c", "e"],
        per_query={
            "hit": np.array([1.0, 0.0, 1.0, 1.0]),
            "hit | tail": np.array([np.nan, 0.0, np.nan, 1.0]),
            "hit | nobody": np.full(4, np.nan),
        },
        whole={"coverage": 0.5, "f1": 0.25},
        whole_ci={"f1": (0.125, 0.375)},
    )

    rows = {row.metric: row for row in rows_of([part], seed=3)}

    # 3 of 4 hits; 1 of the 2 queries of the tail; nothing can be said of an empty bucket.
    assert {name: (row.value, row.n) for name, row in rows.items()} == {
        "hit": (0.75, 4),
        "hit | tail": (0.5, 2),
        "coverage": (0.5, 4),
        "f1": (0.25, 4),
    }
    assert rows["coverage"].ci is None
    assert rows["f1"].ci == (0.125, 0.375)
    hit = rows["hit"].ci
    assert hit is not None
    # Four draws with chance 3/4 give a mean of 1/4 or less in 5.1 % of resamples, 0 in .4 %; of 1 in 32 %.
    assert hit == pytest.approx((0.25, 1.0))


def test_equal_values_have_an_interval_of_no_width() -> None:
    part = Measured(
        system="s", dataset="d", split="x", users=["a", "b"], per_query={"m": np.array([2.0, 2.0])}
    )

    [row] = rows_of([part], seed=0)

    assert (row.value, row.ci, row.n, row.seed) == (2.0, (2.0, 2.0), 2, 0)


def test_a_system_to_which_nothing_applies_has_no_rows() -> None:
    part = Measured(system="s", dataset="d", split="x", users=(), per_query={}, notes=("not applicable",))

    assert rows_of([part], seed=0) == ()


def test_a_user_asked_often_is_drawn_with_all_answers() -> None:
    measured = Measured(
        system="s",
        dataset="d",
        split="leave-one-out",
        users=["ann", "ann", "ann", "bob"],
        per_query={"hit@10": np.array([0.0, 0.0, 0.0, 1.0])},
    )

    [row] = rows_of([measured], seed=0)

    assert row.value == 0.25
    # Two users, so a resample is ann twice (0), bob twice (1) or both (1/4); four single rows would rarely give 1.
    assert row.ci == (0.0, 1.0)
