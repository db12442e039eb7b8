"""Biased matrix factorisation against what it must minimise."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from limner.evals.dataset import Card, Events
from limner.evals.splits import Answers, Past, Queries
from limner.evals.systems.factors import RIDGES, FactorOptions, Factors
from limner.records import Item

optimize: Any = import_module("scipy.optimize")  # ships no types

Doubles = NDArray[np.float64]

NAN = float("nan")


def past_of(table: Doubles) -> Past:
    """Return the past of a table of ratings with a row a user; NaN where there is none."""
    user, item = np.nonzero(~np.isnan(table))
    card = Card(
        name="table",
        source="",
        terms="",
        users=table.shape[0],
        items=table.shape[1],
        events=len(user),
        clock="order",
        text_by_model=False,
    )
    return Past(
        card=card,
        items=[Item(item_id=f"i{number}") for number in range(table.shape[1])],
        user_ids=[f"u{number}" for number in range(table.shape[0])],
        events=Events(
            user=user, item=item, at=np.arange(len(user)), rating=table[user, item].astype(np.float32)
        ),
        as_of=None,
        seed=3,
    )


def queries_of(table: Doubles) -> Queries:
    """Return one query a row, whose history is the row."""
    past = past_of(table)
    return Queries(
        user=np.arange(len(table)),
        as_of=np.full(len(table), 10_000),
        history=past.events,
        starts=np.searchsorted(past.events.user, np.arange(len(table) + 1)),
    )


def table_of(users: int, items: int, *, seed: int) -> Doubles:
    """Return ratings of rank one above biases, a third of them unknown."""
    rng = np.random.default_rng(seed)
    taste, kind = rng.choice([-1.0, 1.0], users), rng.choice([-1.0, 1.0], items)
    table = 3.0 + rng.normal(scale=0.3, size=users)[:, None] + 0.8 * np.outer(taste, kind)
    table[rng.random(table.shape) < 1 / 3] = NAN
    return table


def solved_for(model: Factors, table: Doubles) -> Doubles:
    """Solve each user by stacking the ridges below the ratings, shape `(users, factors + 1)`."""
    weights = np.sqrt([*[model.options.ridge] * model.options.factors, model.options.bias])
    people = np.zeros((len(table), len(weights)))
    for user, row in enumerate(table):
        items = np.flatnonzero(~np.isnan(row))
        columns = np.column_stack([model.items.vectors[items], np.ones(len(items))])
        targets = row[items] - model.mean - model.items.biases[items]
        stacked = np.vstack([columns, np.diag(weights)])
        people[user] = np.linalg.lstsq(stacked, np.concatenate([targets, np.zeros(len(weights))]))[0]
    return people


def objective(model: Factors, table: Doubles, people: Doubles, items: Doubles) -> float:
    """Add up squared errors and ridges, one rating after the other; each row is a vector and a bias."""
    total = model.options.ridge * float(np.sum(people[:, :-1] ** 2) + np.sum(items[:, :-1] ** 2))
    total += model.options.bias * float(np.sum(people[:, -1] ** 2) + np.sum(items[:, -1] ** 2))
    for user, item in zip(*np.nonzero(~np.isnan(table)), strict=True):
        told = model.mean + people[user, -1] + items[item, -1] + people[user, :-1] @ items[item, :-1]
        total += float((table[user, item] - told) ** 2)
    return total


def test_what_was_learned_is_a_minimum_of_the_objective() -> None:
    table = table_of(7, 9, seed=1)
    model = Factors(FactorOptions(factors=2, ridge=0.3, bias=0.5, iterations=300))
    model.fit(past_of(table))
    people = solved_for(model, table)
    items = np.column_stack([model.items.vectors, model.items.biases])

    def whole(flat: Doubles) -> float:
        first, second = np.split(flat, [people.size])
        return objective(model, table, first.reshape(-1, 3), second.reshape(-1, 3))

    start = np.concatenate([people.ravel(), items.ravel()])
    polished = optimize.minimize(whole, start, method="L-BFGS-B")
    assert whole(start) <= float(polished.fun) * (1 + 1e-6)


def test_a_user_is_solved_for_the_history_of_the_question() -> None:
    model = Factors(FactorOptions(factors=3, ridge=0.7, bias=2.0))
    model.fit(past_of(table_of(20, 9, seed=1)))
    others = table_of(5, 9, seed=2)

    rated = model.rate(queries_of(others), np.array([0, 4, 8, 4, 0]))

    people = solved_for(model, others)
    for user, item in enumerate([0, 4, 8, 4, 0]):
        wanted = model.mean + people[user, -1] + model.items.biases[item]
        wanted += people[user, :-1] @ model.items.vectors[item]
        assert rated[user] == pytest.approx(float(wanted), abs=1e-5)


def test_who_rated_nothing_gets_the_mean_and_the_bias_of_the_item() -> None:
    # Two users give item 0 a 5 and item 1 a 1: the mean is 3. One more item is rated by nobody.
    table = np.array([[5.0, 1.0, NAN], [5.0, 1.0, NAN]])
    model = Factors(FactorOptions(factors=1, bias=0.0, ridge=1e6))
    model.fit(past_of(table))

    rated = model.rate(queries_of(np.full((3, 3), NAN)), np.array([0, 1, 2]))

    assert rated.tolist() == pytest.approx([5.0, 1.0, 3.0], abs=1e-4)


def test_tastes_that_biases_cannot_tell_are_found() -> None:
    whole = np.array([[5.0, 5.0, 1.0, 1.0], [1.0, 1.0, 5.0, 5.0]] * 15)
    seen = whole.copy()
    seen[0, 1] = seen[1, 2] = NAN
    model = Factors(FactorOptions(factors=2, ridge=0.5))
    model.fit(past_of(seen))

    rated = model.rate(queries_of(seen).take(np.array([0, 1])), np.array([1, 2]))

    # The mean of either item is about 3; who likes the one kind dislikes the other.
    assert (rated > 4.5).all()


def test_validation_users_choose_the_ridge_that_errs_least() -> None:
    table, later = table_of(40, 12, seed=4), table_of(40, 12, seed=5)
    queries = queries_of(later)
    told = np.full(40, 3.0, dtype=np.float32)
    answers = Answers(item=np.zeros(40, dtype=np.int64), rating=told, starts=np.arange(41))
    errors: dict[float, float] = {}
    for ridge in RIDGES:
        model = Factors(FactorOptions(ridge=ridge))
        model.fit(past_of(table))
        errors[ridge] = float(np.mean((model.rate(queries, answers.item) - told) ** 2))

    tuned = Factors(FactorOptions())
    tuned.fit(past_of(table))
    tuned.tune(queries, answers)

    best = min(errors, key=lambda ridge: errors[ridge])
    assert tuned.chosen == {"ridge": best}
    assert float(np.mean((tuned.rate(queries, answers.item) - told) ** 2)) == pytest.approx(errors[best])


def test_a_ridge_that_was_given_is_kept() -> None:
    table = table_of(10, 6, seed=6)
    answers = Answers(
        item=np.zeros(10, dtype=np.int64), rating=np.full(10, 5, dtype=np.float32), starts=np.arange(11)
    )
    model = Factors(FactorOptions(ridge=7.0))
    model.fit(past_of(table))

    model.tune(queries_of(table), answers)

    assert model.chosen == {}
    assert model.name == "mf:ridge=7.0"
