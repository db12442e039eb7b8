"""Every probe passes on what the builders make and fails on a planted leak."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from limner.errors import SettingsError
from limner.evals.canary import canary, plant
from limner.evals.dataset import Dataset, Events, IntArray
from limner.evals.global_time import global_time
from limner.evals.leave_one_out import leave_one_out
from limner.evals.loading.cards import card_of
from limner.evals.probes import future, future_in, id_order, run_probes
from limner.evals.splits import Answers, Past, Problem, Queries, Split
from limner.records import Item

USERS, ITEMS, EVENTS = 400, 2000, 6


def _dataset(
    *, first_appearance: bool = False, clock: Literal["timestamps", "order"] = "timestamps"
) -> Dataset:
    """Return users who each choose six different items, at times from 0 to 999.

    Items are numbered at random, or in the order in which they come up user by user.
    """
    rng = np.random.default_rng(3)
    item = np.concatenate([rng.choice(ITEMS, EVENTS, replace=False) for _ in range(USERS)])
    if first_appearance:
        seen: dict[int, int] = {}
        item = np.array([seen.setdefault(int(each), len(seen)) for each in item])
    times = np.sort(rng.choice(1000, (USERS, EVENTS)), axis=1).ravel()
    places = np.tile(np.arange(EVENTS), USERS)
    return Dataset(
        card=card_of("invented", users=USERS, items=ITEMS, events=len(item), clock=clock),
        items=tuple(
            Item(item_id=f"i{number}", title=f"a thing numbered x{number}") for number in range(ITEMS)
        ),
        user_ids=tuple(f"u{user}" for user in range(USERS)),
        events=Events(
            user=np.repeat(np.arange(USERS), EVENTS),
            item=item,
            at=times if clock == "timestamps" else places,
            rating=np.full(len(item), np.nan, dtype=np.float32),
        ),
        seed=1,
    )


def _by_random_review(dataset: Dataset) -> Split:
    """Split as one must not: a tenth of the reviews is asked for, whenever written, and the rest is known."""
    events = dataset.events
    drawn = np.random.default_rng(0).random(len(events)) < 0.1
    asked = np.flatnonzero(drawn)
    _, first = np.unique(events.user[asked], return_index=True)
    asked = asked[first]
    known = np.flatnonzero(~drawn)
    histories = [
        known[(events.user[known] == events.user[row]) & (events.at[known] < events.at[row])] for row in asked
    ]
    ends = np.cumsum([len(rows) for rows in histories])
    queries = Queries(
        user=events.user[asked],
        as_of=events.at[asked],
        history=events.take(np.concatenate(histories)),
        starts=np.concatenate([[0], ends]),
    )
    answers = Answers(item=events.item[asked], rating=events.rating[asked], starts=np.arange(len(asked) + 1))
    past = Past(
        card=dataset.card,
        items=dataset.items,
        user_ids=dataset.user_ids,
        events=events.take(known),
        as_of=None,
        seed=0,
    )
    problem = Problem(queries=queries, answers=answers)
    return Split(name="random", past=past, validation=problem, test=problem)


@pytest.mark.parametrize("build", [leave_one_out, global_time])
def test_all_probes_pass_on_what_the_builders_make(build: Callable[[Dataset], Split]) -> None:
    dataset = _dataset()

    probes = run_probes(dataset, build(dataset))

    assert [probe.name for probe in probes] == [
        "id-order",
        "near-duplicate-target",
        "target-in-history",
        "future",
        "canary",
    ]
    assert all(probe.passed for probe in probes)
    assert {probe.dataset for probe in probes} == {"invented"}


def test_numbers_in_the_order_of_first_appearance_fail_the_id_order_probe() -> None:
    in_order, at_random = _dataset(first_appearance=True), _dataset()

    leaking = id_order(leave_one_out(in_order))
    chance = id_order(leave_one_out(at_random))

    assert not leaking.passed
    assert leaking.value > 5 * leaking.limit
    assert chance.passed


def test_the_id_order_probe_counts_answers_in_the_ten_numbers_above_the_largest() -> None:
    # Histories end with number 5, 7 and 20 as the largest; answers 15 and 8 are among the next ten, 31 is not.
    queries = Queries(
        user=np.array([0, 1, 2]),
        as_of=np.array([9, 9, 9]),
        history=Events(
            user=np.array([0, 0, 1, 2]),
            item=np.array([5, 1, 7, 20]),
            at=np.array([1, 2, 1, 1]),
            rating=np.full(4, np.nan, dtype=np.float32),
        ),
        starts=np.array([0, 2, 3, 4]),
    )
    answers = Answers(
        item=np.array([15, 8, 31]), rating=np.full(3, np.nan, dtype=np.float32), starts=np.array([0, 1, 2, 3])
    )
    problem = Problem(queries=queries, answers=answers)
    split = replace(leave_one_out(_dataset()), test=problem)

    assert id_order(split).value == pytest.approx(2 / 3)
    # Seen from the other end, 2000 - 1 - number: largest are 1998, 1992, 1979 and no answer is above.
    assert id_order(split, numbers=np.arange(ITEMS)[::-1].copy()).value == 0.0


def test_a_split_of_reviews_at_random_fails_the_future_probe() -> None:
    probe = future(_by_random_review(_dataset()))

    assert not probe.passed
    assert probe.value > 0.5


def test_the_future_probe_counts_the_queries_of_users_with_a_late_edge() -> None:
    split = leave_one_out(_dataset(clock="order"))
    asked = split.test  # each at place 5

    def edges(user: IntArray, at: IntArray) -> float:
        return future_in(user, at, asked, dataset="invented", what="graph").value

    assert edges(np.array([0, 1]), np.array([4, 4])) == 0.0
    assert edges(np.array([0, 1, 1]), np.array([4, 5, 6])) == 1 / USERS


@pytest.mark.parametrize("clock", ["timestamps", "order"])
def test_nobody_sees_the_canary(clock: Literal["timestamps", "order"]) -> None:
    dataset = _dataset(clock=clock)

    probe = canary(dataset, leave_one_out(dataset))

    assert probe.passed
    assert "50 queries ask for it" in probe.detail


def test_a_split_that_shows_the_moment_of_the_question_lets_the_canary_out() -> None:
    dataset = _dataset()

    def leaky(planted: Dataset) -> Split:
        split = global_time(planted, validation_from=700, test_from=800)
        return replace(split, past=replace(split.past, events=planted.events))

    split = replace(global_time(dataset, validation_from=700, test_from=800), rebuild=leaky)

    probe = canary(dataset, split)

    assert not probe.passed
    assert probe.value == 50.0  # one event for each of 50 users


def test_texts_that_a_system_saw_are_searched_for_the_canary() -> None:
    dataset = _dataset()
    split = leave_one_out(dataset)
    planted = plant(dataset, split.test.queries)
    asked: list[int] = []

    def honest(seen: Split) -> Iterable[str]:
        asked.append(len(seen.test.queries))
        return [seen.past.items[item].title for item in map(int, seen.test.queries.items_of(0))]

    def names_options(seen: Split) -> Iterable[str]:
        return [f"Which: {seen.past.items[int(seen.test.answers.item[0])].title.upper()}?"]

    def quotes(seen: Split) -> Iterable[str]:
        return ["nothing", f"wrote: {planted.text}"]

    assert canary(dataset, split, texts_seen=honest).passed
    assert asked == [50]
    assert canary(dataset, split, texts_seen=names_options).value == 1.0
    assert canary(dataset, split, texts_seen=names_options, options_shown=True).passed
    assert canary(dataset, split, texts_seen=quotes, options_shown=True).value == 1.0


def test_a_canary_that_nobody_asks_for_proves_nothing() -> None:
    dataset = _dataset()
    split = leave_one_out(dataset)

    def forgetful(planted: Dataset) -> Split:
        return split

    assert not canary(dataset, replace(split, rebuild=forgetful)).passed


def test_a_split_made_by_hand_has_no_canary() -> None:
    dataset = _dataset()
    split = replace(leave_one_out(dataset), rebuild=None)

    assert "canary" not in {probe.name for probe in run_probes(dataset, split)}
    with pytest.raises(SettingsError, match="has no `rebuild`"):
        canary(dataset, split)
