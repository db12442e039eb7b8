"""The suite `pairs`, from files to figures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limner.errors import SettingsError, SystemFailedError
from limner.evals.compare import compare
from limner.evals.dataset import FloatArray
from limner.evals.runner import Run, execute
from limner.evals.splits import Queries
from limner.evals.suite import Task
from limner.evals.suites.pairs import Pairs
from limner.evals.suites.rating import Rating
from limner.evals.systems.popularity import Popularity

MakeTask = Callable[..., Task]

FIVE = {"candidates": "5"}
CHANCE = float(np.mean(1 / np.log2(np.arange(2, 7))))
"""NDCG of five candidates in any order: the mean of the discounts of five places."""


def test_every_default_system_judges_the_same_candidates(shop: Path, make_task: MakeTask) -> None:
    notes: set[str] = set()
    for system in Pairs.default_systems:
        [measured] = Pairs().measure(make_task(shop, system, options=FIVE))
        notes.add(next(note for note in measured.notes if note.startswith("Sampled")))
        assert len(measured.users) == 8
        assert not np.isnan(measured.per_query["ndcg@10 sampled-4"]).any()
        assert [probe.passed for probe in measured.probes] == [True]
    assert len(notes) == 1


def test_who_says_the_same_of_all_items_scores_chance(shop: Path, make_task: MakeTask) -> None:
    [measured] = Pairs().measure(make_task(shop, "user-mean", options=FIVE))

    assert measured.per_query["hit@1 sampled-4"].tolist() == pytest.approx([0.2] * 8)
    assert measured.per_query["ndcg@10 sampled-4"].tolist() == pytest.approx([CHANCE] * 8)


def test_optimistic_ties_reproduce_tables_where_they_win(shop: Path, make_task: MakeTask) -> None:
    [measured] = Pairs().measure(make_task(shop, "user-mean", options=FIVE, ties="optimistic"))

    assert measured.per_query["hit@1 sampled-4"].tolist() == [1.0] * 8


@pytest.mark.parametrize("rater", ["user-mean", "bias", "mf:ridge=10"])
def test_ratings_of_targets_are_those_of_the_suite_rating(
    shop: Path, make_task: MakeTask, rater: str
) -> None:
    [alone] = Rating().measure(make_task(shop, rater))
    [measured] = Pairs().measure(make_task(shop, rater, options=FIVE))

    assert measured.per_query["mae"].tolist() == pytest.approx(alone.per_query["mae"].tolist())
    for name in ("rmse", "f1"):
        assert measured.whole[name] == pytest.approx(alone.whole[name])
        assert measured.whole_ci[name] == pytest.approx(alone.whole_ci[name])


def test_a_system_that_predicts_no_rating_has_none(shop: Path, make_task: MakeTask) -> None:
    [measured] = Pairs().measure(make_task(shop, "popularity", options=FIVE))

    assert not {"mae", "rmse", "accuracy", "f1"} & {*measured.per_query, *measured.whole}


def test_a_rater_ranks_by_the_rating_it_gives_each_candidate(
    shop: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def remember(self: object, queries: Queries, items: np.ndarray) -> FloatArray:
        asked.extend(zip(queries.user.tolist(), items.tolist(), strict=True))
        return -np.arange(len(items), dtype=np.float32)

    monkeypatch.setattr("limner.evals.systems.raters.UserMean.rate", remember)

    [measured] = Pairs().measure(make_task(shop, "user-mean", options=FIVE))

    # Eight users with five candidates each, then each user's target alone; of five falling scores the answer's own
    # place is its rank.
    assert len(asked) == 48
    assert len(set(asked[:40])) == 40
    rows = [asked[5 * user : 5 * user + 5] for user in range(8)]
    ranks = [1 + row.index(target) for row, target in zip(rows, asked[40:], strict=True)]
    assert measured.per_query["rank sampled-4"].tolist() == ranks


def test_what_was_retrieved_is_ranked_again(shop: Path, make_task: MakeTask) -> None:
    options = {"sampling": "retrieved", "retriever": "popularity", "candidates": "3"}

    [measured] = Pairs().measure(make_task(shop, "popularity", options=options))

    found = measured.per_query["retrieved top-3 popularity"]
    among = measured.per_query["ndcg@10 top-3 popularity | retrieved"]
    everybody = measured.per_query["ndcg@10 top-3 popularity"]
    assert set(found.tolist()) == {0.0, 1.0}
    assert np.isnan(among).tolist() == (found == 0).tolist()
    assert (everybody[found == 0] == 0).all()
    assert np.nanmean(among) * found.mean() == pytest.approx(everybody.mean())


def test_every_item_that_can_be_offered_can_be_a_candidate(shop: Path, make_task: MakeTask) -> None:
    # Twelve items, of which five are in each history: seven can be retrieved, however many were asked for.
    options = {"sampling": "retrieved", "retriever": "random"}

    [measured] = Pairs().measure(make_task(shop, "random", options=options))

    assert "ndcg@10 top-7 random" in measured.per_query
    assert "retrieved top-7 random" not in measured.per_query  # everybody's is there


def test_hard_negatives_are_told_in_names_and_notes(shop: Path, make_task: MakeTask) -> None:
    options = {"sampling": "hard", "pool": "5", **FIVE}

    [measured] = Pairs().measure(make_task(shop, "popularity", options=options))

    assert "ndcg@10 sampled-4-hard" in measured.per_query
    assert any("5 items nearest to the history in the space of hashing" in note for note in measured.notes)


def test_systems_are_compared_user_by_user(shop: Path, make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task(shop, "", options=FIVE)
    run = Run(
        suite="pairs",
        data=(shop,),
        systems=("user-mean", "popularity", "bias"),
        out=tmp_path / "results",
        task=task,
        command="limner eval pairs",
    )
    done = list(execute(run))

    assert [each.error for each in done] == [None] * 3
    found = compare(f"{run.out}#bias", f"{run.out}#user-mean")
    assert [(each.metric, each.n) for each in found] == [
        ("ndcg@10 sampled-4", 8),
        ("accuracy", 8),
        ("mae", 8),
    ]
    assert all(each.skipped for each in execute(run))


def test_costs_are_told_for_a_thousand_pairs(shop: Path, make_task: MakeTask) -> None:
    [measured] = Pairs().measure(make_task(shop, "popularity", options=FIVE))

    assert measured.whole["calls per 1,000 pairs"] == 0.0
    # 8 users with 5 candidates are 40 pairs.
    assert measured.whole["seconds per 1,000 pairs"] == pytest.approx(measured.cost.score_seconds * 25)


def test_only_the_first_answer_of_a_query_is_a_target(shop: Path, make_task: MakeTask) -> None:
    options = {"answers": "all", **FIVE}
    task = make_task(shop, "popularity", split="global-time", options=options)

    [measured] = Pairs().measure(task)

    assert len(measured.users) == len(measured.per_query["hit@1 sampled-4"])


@pytest.mark.parametrize(
    "system, options, complaint",
    [
        ("popularty", {}, "did you mean `popularity`"),
        ("bias:itm=3", {}, "did you mean `item`"),
        ("popularity", {"sampling": "fancy"}, "sampling"),
        ("popularity", {"candidates": "1"}, "candidates"),
        ("popularity", {"sampling": "retrieved", "retriever": "nobody"}, "nobody"),
        ("popularity", {"negatives": "9"}, "negatives"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    shop: Path, make_task: MakeTask, system: str, options: dict[str, str], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        Pairs().check(make_task(shop, system, options=options))


def test_a_system_that_raises_is_told_by_step(
    shop: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: object, queries: Queries) -> FloatArray:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(Popularity, "score", fails)

    with pytest.raises(SystemFailedError, match=r"'popularity' failed in `score` at .*: ZeroDivisionError"):
        Pairs().measure(make_task(shop, "popularity", options=FIVE))


def test_the_data_is_guarded_as_everywhere(shop: Path, make_task: MakeTask) -> None:
    [card], probes = Pairs().guard(make_task(shop, "popularity"))

    assert card.card.name == "shop"
    assert {"canary", "future", "id-order"} <= {probe.name for probe in probes}
