"""Groups under test: what they score, what they may know, and that each of three leaks is caught."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from limner.distill.groups.alignment import align
from limner.errors import SettingsError
from limner.evals.canary import canary, plant
from limner.evals.dataset import Dataset, Events, FloatArray, IntArray
from limner.evals.leave_one_out import leave_one_out
from limner.evals.loading.cards import card_of
from limner.evals.metrics import measure
from limner.evals.places import place
from limner.evals.probes import answers_in_graph, future_in, id_order
from limner.evals.registry import build
from limner.evals.splits import Answers, Past, Queries, Split
from limner.evals.systems.group import GroupOptions, GroupSystem
from limner.evals.workspace import Workspace
from limner.records import Item

PastOf = Callable[..., Past]
QueriesOf = Callable[..., Queries]
AnswersOf = Callable[[Sequence[int]], Answers]

THEMES, ITEMS, USERS, EVENTS = 4, 12, 60, 6


def _dataset(seed: int = 3) -> Dataset:
    """Return users who each choose six items of one of four themes, at times from 0 to 999."""
    rng = np.random.default_rng(seed)
    item = np.concatenate(
        [ITEMS * (user % THEMES) + rng.choice(ITEMS, EVENTS, replace=False) for user in range(USERS)]
    )
    names = rng.permutation(THEMES * ITEMS)
    titles = [""] * (THEMES * ITEMS)
    for number, name in enumerate(names.tolist()):
        titles[name] = f"theme{number // ITEMS} thing{number}"
    return Dataset(
        card=card_of("invented", users=USERS, items=THEMES * ITEMS, events=len(item), clock="timestamps"),
        items=tuple(Item(item_id=f"i{n}", title=title) for n, title in enumerate(titles)),
        user_ids=tuple(f"u{user}" for user in range(USERS)),
        events=Events(
            user=np.repeat(np.arange(USERS), EVENTS),
            item=names[item],
            at=np.sort(rng.choice(1000, (USERS, EVENTS)), axis=1).ravel(),
            rating=np.full(len(item), np.nan, dtype=np.float32),
        ),
        seed=1,
    )


@pytest.fixture
def split() -> Split:
    """The last choices of sixty users are to be foretold."""
    return leave_one_out(_dataset())


def _system(workspace: Workspace, **options: object) -> GroupSystem:
    given = {"encoder": "hashing", "size": 15, "neighbours": 10, **options}
    return GroupSystem(GroupOptions.model_validate(given), workspace)


def _ndcg(scores: FloatArray, split: Split) -> float:
    return float(np.mean(measure(place(scores, split.test), cutoffs=(10,))["ndcg@10"]))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rounds": "2"},
        {"layers": 2},
        {"by": "vector"},
        {"by": "vector", "layers": 1},
        {"by": "individual", "layers": 2},
    ],
)
def test_every_form_foretells_the_theme_of_users(
    workspace: Workspace, split: Split, options: dict[str, object]
) -> None:
    system = _system(workspace, **options)
    system.fit(split.past)
    system.tune(split.validation.queries, split.validation.answers)

    found = _ndcg(system.score(split.test.queries), split)

    # Seven to eight items of the own theme are left; chance among these is about .5, among all 48 about .09.
    assert found > 0.3


def test_an_empty_history_scores_all_items_alike(
    workspace: Workspace, past_of: PastOf, queries_of: QueriesOf
) -> None:
    for by in ("items", "vector", "individual"):
        system = _system(workspace, by=by, minimum=2, size=2)
        system.fit(
            past_of(
                [[0, 1], [0, 1], [2, 3], [2, 3]],
                items=[Item(item_id=str(n), title=f"w{n}") for n in range(4)],
            )
        )

        scores = system.score(queries_of([[], [0]]))

        assert len(set(scores[0].tolist())) == 1
        assert len(set(scores[1].tolist())) > 1


def test_users_are_taken_in_by_their_history_and_not_by_their_number(
    workspace: Workspace, split: Split
) -> None:
    system = _system(workspace)
    system.fit(split.past)
    queries = split.test.queries

    strangers = replace(queries, user=np.full(len(queries), 10**6))

    np.testing.assert_array_equal(system.score(strangers), system.score(queries))


def test_validation_users_say_how_many_rounds_there_are_and_the_result_tells(
    workspace: Workspace, split: Split, told: list[str]
) -> None:
    system = _system(workspace)
    system.fit(split.past)

    system.tune(split.validation.queries, split.validation.answers)

    gains: list[float] = system.chosen["ndcg@10 by round"]  # type: ignore[assignment]  # options of any type
    assert system.chosen["rounds"] == int(np.argmax(gains[:-1] if len(gains) > 1 else gains))
    assert len([line for line in told if "round" in line]) == len(gains)


def test_rounds_that_are_given_are_not_tuned(workspace: Workspace, split: Split) -> None:
    system = _system(workspace, rounds="1")
    system.fit(split.past)
    before = system.score(split.test.queries)

    system.tune(split.validation.queries, split.validation.answers)

    assert system.chosen["rounds"] == 1
    np.testing.assert_array_equal(system.score(split.test.queries), before)


def test_learned_rounds_keep_what_served_validation_users_best(
    workspace: Workspace, split: Split, told: list[str]
) -> None:
    pytest.importorskip("torch")
    system = _system(replace(workspace, align=align), rounds="learned")
    system.fit(split.past)
    unlearned = _validated(system, split)

    system.tune(split.validation.queries, split.validation.answers)

    gains: list[float] = system.chosen["ndcg@10 by pass"]  # type: ignore[assignment]  # options of any type
    assert _validated(system, split) == pytest.approx(max([unlearned, *gains]), abs=1e-5)
    assert len([line for line in told if "pass" in line]) == len(gains)


def test_a_trained_map_leaves_somebody_without_history_without_groups(
    workspace: Workspace, split: Split, queries_of: QueriesOf
) -> None:
    pytest.importorskip("torch")
    system = _system(replace(workspace, align=align), rounds="learned")
    system.fit(split.past)
    system.tune(split.validation.queries, split.validation.answers)

    assert not np.ptp(system.score(queries_of([[]])))


def test_learned_rounds_need_somebody_who_trains(workspace: Workspace) -> None:
    with pytest.raises(SettingsError, match="nobody trains here"):
        build("group:rounds=learned", replace(workspace, align=None))


def _validated(system: GroupSystem, split: Split) -> float:
    scores = system.score(split.validation.queries)
    return float(np.mean(measure(place(scores, split.validation, system="group"), cutoffs=(10,))["ndcg@10"]))


def test_a_spec_builds_it_and_a_bad_value_is_named(workspace: Workspace) -> None:
    assert (
        build("group:encoder=hashing,rounds=0,by=vector", workspace).name
        == "group:by=vector,rounds=0,encoder=hashing"
    )
    with pytest.raises(SettingsError, match="rounds"):
        build("group:rounds=many", workspace)


def test_numbers_in_the_order_of_first_appearance_are_caught_and_change_no_score(
    workspace: Workspace, split: Split
) -> None:
    """First leak: item numbers that tell when something first came up."""
    wide = np.arange(400 * EVENTS)
    leaking = leave_one_out(
        replace(
            _dataset(),
            user_ids=tuple(map(str, range(400))),
            items=tuple(Item(item_id=str(n), title=f"w{n}") for n in wide),
            events=Events(
                user=np.repeat(np.arange(400), EVENTS),
                item=wide,
                at=np.tile(np.arange(EVENTS), 400),
                rating=np.full(len(wide), np.nan, dtype=np.float32),
            ),
        )
    )
    assert not id_order(leaking).passed

    # What the groups score depends on texts and choices only: with other numbers the scores move along.
    other = np.random.default_rng(0).permutation(split.past.n_items)
    system, renumbered = _system(workspace), _system(workspace)
    system.fit(split.past)
    renumbered.fit(_renumbered(split.past, other))
    queries = split.test.queries
    history = replace(queries.history, item=other[queries.history.item])

    scores = renumbered.score(replace(queries, history=history))

    np.testing.assert_allclose(scores[:, other], system.score(queries), atol=1e-5)


def _renumbered(past: Past, other: IntArray) -> Past:
    items = [past.items[0]] * past.n_items
    for number, item in enumerate(past.items):
        items[int(other[number])] = item
    return replace(past, items=tuple(items), events=replace(past.events, item=other[past.events.item]))


def test_a_graph_built_from_reviews_at_random_is_caught(workspace: Workspace, split: Split) -> None:
    """Second leak: edges of the graph from later reviews."""
    dataset = _dataset()
    honest, leaking = _system(workspace), _system(workspace)
    honest.fit(split.past)
    drawn = np.random.default_rng(0).random(len(dataset.events)) < 0.9
    leaking.fit(replace(split.past, events=dataset.events.take(drawn)))

    def probed(system: GroupSystem) -> bool:
        return answers_in_graph(system.edges, split.test, dataset="invented").passed

    assert probed(honest)
    assert not probed(leaking)
    late = dataset.events.take(drawn)
    past = split.past.events
    assert future_in(past.user, past.at, split.test, dataset="invented", what="graph").passed
    assert not future_in(late.user, late.at, split.test, dataset="invented", what="graph").passed
    # And it pays, which is why it must be caught: the same system looks far better.
    test = split.test.queries
    assert _ndcg(leaking.score(test), split) > _ndcg(honest.score(test), split) + 0.05


def test_the_held_back_item_in_a_users_vector_is_caught(workspace: Workspace, split: Split) -> None:
    """Third leak: the answer inside what a user is described by."""
    system = _system(workspace, by="individual")
    system.fit(split.past)
    queries, answers = split.test.queries, split.test.answers
    honest = system.score(queries)

    told = _with_answers(queries, answers)
    leaking = system.score(told)

    rows = np.arange(len(queries))
    assert (leaking[rows, answers.item] > honest[rows, answers.item]).mean() > 0.9

    def with_answers(dataset: Dataset) -> Split:
        found = leave_one_out(dataset)
        queries = _with_answers(found.test.queries, found.test.answers)
        return replace(found, test=replace(found.test, queries=queries))

    assert canary(_dataset(), split).passed
    assert not canary(_dataset(), replace(split, rebuild=with_answers)).passed


def _with_answers(queries: Queries, answers: Answers) -> Queries:
    """Return the queries with each answer as the newest item of its history."""
    history, ends = queries.history, queries.starts[1:]
    return replace(
        queries,
        history=Events(
            user=np.insert(history.user, ends, queries.user),
            item=np.insert(history.item, ends, answers.item),
            at=np.insert(history.at, ends, queries.as_of - 1),
            rating=np.insert(history.rating, ends, np.nan),
        ),
        starts=queries.starts + np.arange(len(queries) + 1),
    )


def test_a_planted_future_changes_no_score(workspace: Workspace, split: Split) -> None:
    planted = plant(_dataset(), split.test.queries)
    again = leave_one_out(planted.dataset)
    asked = np.flatnonzero(np.isin(again.test.queries.user, planted.users))
    system = _system(workspace)
    system.fit(again.past)

    scores = system.score(again.test.queries.take(asked))

    # Nobody in the past had the canary's item, so no group can point at it.
    assert (again.test.answers.take(asked).item == planted.item).any()
    assert (scores[:, planted.item] == scores.min(axis=1)).all()
