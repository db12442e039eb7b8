"""The suite `rating`, from files to figures."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limner.errors import SettingsError, SystemFailedError
from limner.evals.bench.loopback_server import LoopbackServer
from limner.evals.dataset import Events
from limner.evals.splits import Answers, Problem, Queries
from limner.evals.suite import Task
from limner.evals.suites.rating import NoRatingsError, Rating, rated_targets
from limner.evals.systems.raters import GlobalMean
from limner.evals.workspace import RunBudget
from limner.sections import BudgetSettings

MakeTask = Callable[..., Task]
NAN = float("nan")


def test_the_mean_is_measured_on_the_last_ratings(shop: Path, make_task: MakeTask) -> None:
    [measured] = Rating().measure(make_task(shop, "mean"))

    # Ratings are 1 + (user + step) % 5. The last (step 5) are 1, 2, 3, 4, 5, 1, 2, 3, held back with step 4 of
    # everybody; the past is steps 0 to 3: users 0 and 5 give 10, 1 and 6 give 14, 2 and 7 give 13, 3 gives 12,
    # 4 gives 11, in all 97 of 32.
    last = np.array([1, 2, 3, 4, 5, 1, 2, 3])
    mean = 97 / 32
    assert len(measured.users) == 8
    assert measured.per_query["mae"].mean() == pytest.approx(np.abs(last - mean).mean())
    assert measured.whole["rmse"] == pytest.approx(np.sqrt(((last - mean) ** 2).mean()))
    assert measured.per_query["accuracy"].mean() == 2 / 8  # 3.03 is nearest to 3
    low, high = measured.whole_ci["rmse"]
    assert low < measured.whole["rmse"] < high
    assert measured.cost.queries == 8


def test_all_default_systems_answer_every_user(shop: Path, make_task: MakeTask) -> None:
    for system in Rating.default_systems:
        [measured] = Rating().measure(make_task(shop, system))
        assert measured.system == system
        assert not np.isnan(measured.per_query["mae"]).any()


@pytest.mark.parametrize("step", ["fit", "rate"])
def test_a_rater_that_raises_is_told_by_step(
    shop: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fails(*given: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(GlobalMean, step, fails)

    with pytest.raises(
        SystemFailedError, match=rf"'mean' failed in `{step}` at .*: ZeroDivisionError: by nothing"
    ):
        Rating().measure(make_task(shop, "mean"))


async def test_a_judge_says_how_much_of_it_could_be_read(shop: Path, make_task: MakeTask) -> None:
    async with LoopbackServer("well") as server:
        [judged] = await asyncio.to_thread(
            Rating().measure, make_task(shop, "judge:given=nothing", server.url)
        )

    # The last ratings are 1, 2, 3, 4, 5, 1, 2, 3 and the middle of the scale is 3: the suite `qa` says the same.
    assert judged.per_query["mae"].sum() == 9.0
    assert judged.per_query["readable"].tolist() == [0.0] * 8
    assert judged.complete


async def test_a_judge_without_an_answer_is_incomplete(shop: Path, make_task: MakeTask) -> None:
    async with LoopbackServer("4") as server:
        task = make_task(shop, "judge:given=nothing", server.url)
        limited = replace(task.workspace, budget=RunBudget(BudgetSettings(calls=3)))
        [judged] = await asyncio.to_thread(Rating().measure, replace(task, workspace=limited))

    assert server.count == 3
    assert not judged.complete
    assert np.isnan(judged.per_query["readable"]).sum() == 5


def test_only_the_first_rated_answer_of_a_query_is_a_target() -> None:
    history = Events(
        user=np.zeros(0, dtype=np.int64),
        item=np.zeros(0, dtype=np.int64),
        at=np.zeros(0, dtype=np.int64),
        rating=np.zeros(0, dtype=np.float32),
    )
    queries = Queries(
        user=np.array([7, 8, 9]), as_of=np.full(3, 99), history=history, starts=np.zeros(4, dtype=np.int64)
    )
    answers = Answers(
        item=np.array([0, 1, 2, 3, 4]),
        rating=np.array([NAN, 4.0, 5.0, NAN, 2.0], dtype=np.float32),
        starts=np.array([0, 3, 4, 5]),
    )

    found = rated_targets(Problem(queries=queries, answers=answers))

    assert found.queries.user.tolist() == [7, 9]
    assert found.answers.item.tolist() == [1, 4]
    assert found.answers.rating.tolist() == [4.0, 2.0]
    assert found.answers.starts.tolist() == [0, 1, 2]


def test_a_set_without_ratings_is_refused(tmp_path: Path, make_task: MakeTask) -> None:
    folder = tmp_path / "plays"
    folder.mkdir()
    rows = [{"user_id": f"u{user}", "item_ids": [f"i{user}", "i8", "i9", "i10", "i11"]} for user in range(4)]
    (folder / "sequences.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    with pytest.raises(NoRatingsError, match="plays has no ratings to predict"):
        Rating().measure(make_task(folder, "mean"))


def test_the_data_is_guarded_as_everywhere(shop: Path, make_task: MakeTask) -> None:
    [card], probes = Rating().guard(make_task(shop, "mean"))

    assert card.card.name == "shop"
    assert len(probes) > 0


def test_an_option_that_nobody_knows_is_refused(shop: Path, make_task: MakeTask) -> None:
    with pytest.raises(SettingsError, match="catalogue"):
        Rating().check(make_task(shop, "mean", options={"catalog": "chosen"}))
