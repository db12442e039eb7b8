"""Teaching a scorer of pairs: it learns what is there, knows how unsure it is, and leaves held-back users alone."""

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from limner.distill.pairs.examples import Table
from limner.distill.pairs.gauging import gauge_passes
from limner.distill.pairs.judging import Verdict, judge
from limner.distill.pairs.learners import learn_ridge, learn_trees
from limner.distill.pairs.settings import ScorerSettings
from limner.distill.pairs.teach import better_learner, teach_scorer
from limner.errors import InputError, TooFewExamplesError
from limner.tools.belief import UNTAUGHT, Belief, Values
from limner.tools.pair_features import FEATURES

pytest.importorskip("sklearn", reason="the extra `train` is not installed")

SMALL = ScorerSettings(trees=50, depth=4)
NEAR, POPULAR = FEATURES.index("history_soft"), FEATURES.index("item_events")


def world(users: int = 60, *, seed: int = 0, bent: bool = False, passes: float = 0.0) -> Table:
    """Lists of one chosen item among five: the chosen one lies nearer to the history, and nothing else tells.

    Args:
        users: How many, one list each.
        seed: Of everything.
        bent: The chosen one lies in the middle, which no line can tell.
        passes: How much of the worth shows in passes; 0 for none.
    """
    rng = np.random.default_rng(seed)
    chosen = np.tile([1.0, 0.0, 0.0, 0.0, 0.0], users)
    features = rng.normal(scale=0.05, size=(5 * users, len(FEATURES)))
    other = rng.choice([-0.5, 0.5], size=5 * users) if bent else np.zeros(5 * users)
    features[:, NEAR] += np.where(chosen == 1, 0.0 if bent else 0.3, other)
    offsets = np.repeat(rng.normal(scale=0.1, size=users), 5)
    fits = 0.3 + passes * chosen + offsets + rng.normal(scale=0.05, size=5 * users)
    return Table(
        features=features,
        worth=chosen,
        judged=np.full(5 * users, np.nan),
        unjudged=fits if passes else np.full(5 * users, np.nan),
        users=np.repeat(np.arange(users), 5),
        lists=np.repeat(np.arange(users), 5),
    )


def test_a_taught_scorer_beats_the_untaught_and_the_constant_on_unseen_users() -> None:
    taught = teach_scorer(world(), encoder="hashing-v1", seed=1, settings=SMALL)

    report = taught.report
    assert report["taught"]["rmse"] < report["constant"]["rmse"]
    assert report["taught"]["ndcg"] > 0.95
    # Five candidates in random order: mean of 1 / log2(1 + rank) is 0.59.
    assert report["constant"]["ndcg"] == pytest.approx(1 / np.log2(1 + 3))  # all tie on the third place
    assert report["constant"]["mean_rank"] == 0.5
    assert (report["users"], report["taught"]["users"]) == (48, 12)
    assert taught.scorer.encoder == "hashing-v1"


def test_what_a_line_cannot_tell_is_learned_by_trees() -> None:
    assert teach_scorer(world(bent=True), encoder="", seed=0, settings=SMALL).report["learner"] == "trees"
    rng = np.random.default_rng(2)
    straight = world()
    straight = replace(straight, worth=0.4 + straight.features[:, NEAR] + rng.normal(0, 0.02, size=300))
    assert teach_scorer(straight, encoder="", seed=0, settings=SMALL).report["learner"] == "ridge"


def test_order_within_lists_decides_between_learners_and_error_without_lists() -> None:
    verdict = judge(world(2), Belief(np.zeros(10), np.ones(10)))
    orders: tuple[Verdict, Verdict] = (
        {**verdict, "ndcg": 0.7, "rmse": 0.23},
        {**verdict, "ndcg": 0.6, "rmse": 0.22},
    )
    errors: tuple[Verdict, Verdict] = (
        {**verdict, "ndcg": None, "rmse": 0.23},
        {**verdict, "ndcg": None, "rmse": 0.22},
    )

    assert better_learner(dict(zip(("ridge", "trees"), orders, strict=True))) == "ridge"
    assert better_learner(dict(zip(("ridge", "trees"), errors, strict=True))) == "trees"


def test_uncertainty_holds_on_unseen_users() -> None:
    rng = np.random.default_rng(5)
    table = world(200)
    noisy = replace(table, worth=np.clip(table.worth * 0.5 + rng.normal(0.3, 0.15, size=1000), 0.0, 1.0))

    report = teach_scorer(noisy, encoder="", seed=0, settings=SMALL).report

    assert report["taught"]["within_80"] == pytest.approx(0.80, abs=0.08)
    assert report["taught"]["within_95"] == pytest.approx(0.95, abs=0.05)


def test_the_same_seed_teaches_the_same_scorer_and_another_splits_otherwise() -> None:
    one, two, other = (teach_scorer(world(), encoder="", seed=seed, settings=SMALL) for seed in (3, 3, 4))

    assert one.scorer.name == two.scorer.name
    assert one.report == two.report
    assert one.report["taught"] != other.report["taught"]


def test_held_back_users_change_nothing_that_was_learned() -> None:
    table = world()
    first = teach_scorer(table, encoder="", seed=0, settings=SMALL)
    # The place of a user in the seeded order tells whether it is held back.
    places = np.random.default_rng(0).permutation(60) / 60
    held = places[table.users] < SMALL.held
    spoiled = replace(table, worth=np.where(held, 1.0 - table.worth, table.worth))

    second = teach_scorer(spoiled, encoder="", seed=0, settings=SMALL)

    for name, array in first.scorer.arrays.items():
        assert np.array_equal(array, second.scorer.arrays[name])
    assert first.scorer.stretch == second.scorer.stretch
    assert first.report["taught"] != second.report["taught"]


def test_too_few_users_are_refused() -> None:
    with pytest.raises(TooFewExamplesError, match="19 users"):
        teach_scorer(world(19), encoder="", seed=0, settings=SMALL)


@pytest.mark.parametrize("worth", [0.0, 1.0])
def test_outcomes_that_are_all_alike_teach_nobody_to_be_sure(worth: float) -> None:
    with pytest.raises(InputError, match="alike"):
        teach_scorer(replace(world(30), worth=np.full(150, worth)), encoder="", seed=0, settings=SMALL)


@pytest.mark.parametrize("learner", [learn_ridge, learn_trees])
def test_exported_scores_are_those_of_scikit_learn(learner: object) -> None:
    ensemble: Any = import_module("sklearn.ensemble")  # ships no types
    linear_model: Any = import_module("sklearn.linear_model")

    table = world(bent=True)
    x, y = table.features, table.worth
    if learner is learn_ridge:
        found = learn_ridge(x, y, seed=0, settings=SMALL).score(x)
        scaled = (x - x.mean(axis=0)) / x.std(axis=0)
        mean, sd = linear_model.BayesianRidge().fit(scaled, y).predict(scaled, return_std=True)
        assert found.mean == pytest.approx(mean)
        # Beside theirs, the constant is uncertain as a mean of 300 is.
        assert found.sd == pytest.approx(sd, rel=0.01)
        return
    found = learn_trees(x, y, seed=0, settings=SMALL).score(x)
    forest = ensemble.RandomForestRegressor(
        n_estimators=50, max_depth=4, min_samples_leaf=10, max_features=0.5, random_state=0
    ).fit(x.astype(np.float32), y)
    assert found.mean == pytest.approx(forest.predict(x.astype(np.float32)))


def test_a_feature_that_never_varied_says_nothing() -> None:
    table = world()
    flat = table.features.copy()
    flat[:, POPULAR] = 2.0
    scorer = learn_ridge(flat, table.worth, seed=0, settings=SMALL)
    moved = flat.copy()
    moved[:, POPULAR] = 9.0

    assert scorer.score(moved).mean == pytest.approx(scorer.score(flat).mean)
    assert scorer.score(moved).sd == pytest.approx(scorer.score(flat).sd)


def test_gauges_are_read_off_passes_beside_the_scorers_guess() -> None:
    table = world(400, passes=0.2)
    guess: Values = np.random.default_rng(1).normal(size=len(table)) * 0.1

    gauges, said = gauge_passes(table, guess, fewest=30)

    found = gauges["unjudged"]
    # As the world was made: slope 0.2, noise 0.05, offset 0.3, 0.1 from list to list.
    assert found.of_worth == pytest.approx(0.2, abs=0.01)
    assert found.noise == pytest.approx(0.05, abs=0.005)
    assert found.offset == pytest.approx(0.3, abs=0.02)
    assert found.offset_sd == pytest.approx(0.1, abs=0.02)
    assert found.of_scorer == pytest.approx(0.0, abs=0.05)
    assert said["unjudged"]["passes"] == 2000
    assert gauges["judged"] == UNTAUGHT["judged"] and not said["judged"]["taught"]


def test_lists_with_passes_do_not_teach_what_marks_them() -> None:
    # One of five is chosen in bare lists, one of two where passes left notes, whatever is noted.
    bare, wrote = world(60), world(60, seed=1, passes=0.2)
    wrote = wrote.take(np.tile([True, True, False, False, False], 60))
    notes = FEATURES.index("has_words")
    bare.features[:, notes], wrote.features[:, notes] = 0.0, 1.0
    both = Table(
        **{
            name: np.concatenate([getattr(bare, name), getattr(wrote, name)])
            for name in ("features", "worth", "judged", "unjudged", "users")
        },
        lists=np.concatenate([bare.lists, wrote.lists + 60]),
    )
    asked = np.zeros((2, len(FEATURES)))
    asked[1, notes] = 1.0

    taught = teach_scorer(both, encoder="", seed=0, settings=SMALL)

    without, with_notes = taught.scorer.score(asked).mean
    assert with_notes == pytest.approx(without)
    assert taught.report["gauges"]["unjudged"]["taught"]


def test_passes_that_run_against_the_outcome_measure_nothing() -> None:
    gauges, said = gauge_passes(world(100, passes=-0.2), np.zeros(500), fewest=30)

    assert gauges["unjudged"].of_worth == 0.0
    assert said["unjudged"]["slope"] == pytest.approx(-0.2, abs=0.02)


def test_passes_that_tell_nothing_are_hardly_ever_taken_for_news() -> None:
    trusted = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        table = replace(world(25, seed=seed), unjudged=rng.normal(0.5, 0.1, size=125))
        gauges, said = gauge_passes(table, np.zeros(125), fewest=30)
        assert said["unjudged"]["taught"]
        trusted += gauges["unjudged"].of_worth > 0

    # Chance passes two standard errors once in 44 times, hence about 1.4 times here, and one in six of all.
    assert trusted <= 5


def test_few_passes_leave_the_untaught_gauge() -> None:
    gauges, _ = gauge_passes(world(5, passes=0.2), np.zeros(25), fewest=30)

    assert gauges == dict(UNTAUGHT)


def test_a_verdict_by_hand() -> None:
    table = replace(
        world(2),
        worth=np.array([1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
    )
    scores = np.array([0.5, 0.9, 0.5, 0.0, 0.0, 0.7, 0.1, 0.1, 0.1, 0.1])

    verdict = judge(table, Belief(scores, np.full(10, 0.5)))

    # The first chosen one ties for the second and third place behind 0.9; the other is first.
    assert verdict["ndcg"] == pytest.approx((1 / np.log2(3.5) + 1) / 2)
    assert verdict["mean_rank"] == pytest.approx((1.5 / 4 + 0) / 2)
    # Errors 0.5, 0.9, 0.5, 0, 0, 0.3, 0.1 four times.
    assert verdict["mae"] == pytest.approx(2.6 / 10)
    assert verdict["within_80"] == 0.9  # all but 0.9 lie within 0.64
    assert verdict["lists"] == 2
