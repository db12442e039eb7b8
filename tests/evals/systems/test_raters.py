"""Raters: means worked out by hand, and a judge that reads."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limner.errors import SettingsError
from limner.evals.bench.loopback_server import Json, LoopbackServer
from limner.evals.dataset import Card, Events, FloatArray
from limner.evals.splits import Past, Queries
from limner.evals.systems.raters import Judge, JudgeOptions, make_rater
from limner.evals.workspace import Workspace
from limner.records import Item
from limner.sections import BudgetSettings, ChatSettings
from limner.settings import Settings

NAN = float("nan")
CARD = Card(name="t", source="s", terms="t", users=3, items=3, events=6, clock="order", text_by_model=False)

# Users 0, 1, 2 rate items 0, 1, 2; the mean of the five ratings is 3.
ROWS = [(0, 0, 5.0), (0, 1, 3.0), (1, 0, 4.0), (1, 1, 1.0), (2, 0, NAN), (2, 1, 2.0)]


def events(rows: list[tuple[int, int, float]]) -> Events:
    return Events(
        user=np.array([row[0] for row in rows], dtype=np.int64),
        item=np.array([row[1] for row in rows], dtype=np.int64),
        at=np.arange(len(rows)),
        rating=np.array([row[2] for row in rows], dtype=np.float32),
    )


def past(rows: list[tuple[int, int, float]] | None = None) -> Past:
    return Past(
        card=CARD,
        items=tuple(Item(item_id=f"B0{ix}", title=title) for ix, title in enumerate(("oar", "sail", "mast"))),
        user_ids=("u0", "u1", "u2"),
        events=events(ROWS if rows is None else rows),
        as_of=None,
        seed=0,
    )


def queries(histories: dict[int, list[tuple[int, float]]]) -> Queries:
    """Return queries with these histories of items and ratings."""
    rows = [(user, item, rating) for user, told in histories.items() for item, rating in told]
    lengths = [len(told) for told in histories.values()]
    return Queries(
        user=np.array(list(histories)),
        as_of=np.full(len(histories), 99),
        history=events(rows),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
    )


def workspace(folder: Path, model: str = "none", url: str | None = None) -> Workspace:
    settings = Settings(
        store=folder / "unused", model=model, embedder="hashing", chat=ChatSettings(api_base=url, attempts=1)
    )
    return Workspace(folder=folder, seed=0, settings=settings, notice=lambda line: None)


ASKED = queries({0: [(0, 5.0), (1, 3.0)], 1: [(0, NAN)], 2: []})
TARGETS = np.array([2, 1, 0])


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("mean", {}, [3.0, 3.0, 3.0]),
        ("user-mean", {}, [4.0, 3.0, 3.0]),  # (5 + 3) / 2; no rating and no history: everybody's
        ("item-mean", {}, [3.0, 2.0, 4.5]),  # nobody rated item 2; (3 + 1 + 2) / 3; (5 + 4) / 2
        # Undamped: item 0 is 1.5 above 3, item 1 is 1 below. User 0 gave 5 - 4.5 and 3 - 2 above that: .75.
        ("bias", {"item": "0", "user": "0"}, [3.75, 2.0, 4.5]),
        # Item 0: 3 / (2 + 1) = 1 above; item 1: -3 / (3 + 1) = -.75. User 0: (5 - 4 + 3 - 2.25) / (2 + 2) = .4375.
        ("bias", {"item": "1", "user": "2"}, [3.4375, 2.25, 4.0]),
    ],
)
def test_means_are_what_a_hand_works_out(
    tmp_path: Path, name: str, options: dict[str, str], expected: list[float]
) -> None:
    rater = make_rater(name, options, workspace(tmp_path))

    rater.fit(past())

    assert rater.rate(ASKED, TARGETS).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["mean", "user-mean", "item-mean", "bias"])
def test_without_any_rating_the_middle_of_five_stars_is_said(tmp_path: Path, name: str) -> None:
    rater = make_rater(name, {}, workspace(tmp_path))

    rater.fit(past([(0, 0, NAN)]))

    assert rater.rate(queries({0: [(0, NAN)]}), np.array([1])).tolist() == [3.0]


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [("median", {}, "no rater"), ("mean", {"x": "1"}, "is unknown"), ("bias", {"item": "-1"}, "bias:item")],
)
def test_an_unknown_rater_or_option_is_refused(
    tmp_path: Path, name: str, options: dict[str, str], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        make_rater(name, options, workspace(tmp_path))


def test_a_judge_needs_a_model(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs a chat model"):
        make_rater("judge", {}, workspace(tmp_path))


async def judge(
    folder: Path, answer: Callable[[Json], str] | str, given: str, known: Past | None = None
) -> tuple[FloatArray, list[str], Judge]:
    """Return guesses, what the model was asked, and the judge."""
    async with LoopbackServer(answer) as server:
        rater = make_rater("judge", {"given": given}, workspace(folder, "openai/loopback", server.url))
        assert isinstance(rater, Judge)
        rater.fit(known or past())
        guesses = await asyncio.to_thread(rater.rate, ASKED, TARGETS)
        return guesses, [request["messages"][-1]["content"] for request in server.requests], rater


@pytest.mark.parametrize(
    ("given", "told"), [("nothing", []), ("history", ["- oar; rated 5 of 5", "- sail; rated 3 of 5"])]
)
async def test_a_judge_is_told_what_was_asked_for_and_names_the_item(
    tmp_path: Path, given: str, told: list[str]
) -> None:
    _, asked, rater = await judge(tmp_path, "5", given)

    first = next(text for text in asked if "The item: mast" in text)
    assert [line for line in first.splitlines() if line.startswith("- ")] == told
    assert rater.usage.calls == 3
    assert not any("B0" in text for text in asked)


async def test_a_profile_judge_reads_a_portrait_where_there_is_a_history(tmp_path: Path) -> None:
    _, asked, _ = await judge(tmp_path, "5", "profile")

    assert sum("What is known of the person" in text for text in asked) == 2
    assert not any("rated" in text for text in asked)


async def test_where_the_model_names_no_rating_the_middle_of_the_scale_stands_in(tmp_path: Path) -> None:
    def answer(request: Json) -> str:
        return "well" if "The item: mast" in request["messages"][-1]["content"] else "1"

    # Ratings of 1, 4 and 5: their mean is 3.5, the middle between 1 and 5 is 3.
    known = past([(0, 0, 1.0), (0, 1, 4.0), (1, 0, 5.0), (2, 1, 4.0)])
    guesses, _, rater = await judge(tmp_path, answer, "nothing", known)

    assert guesses[0] == 3.0
    assert rater.readable is not None and rater.readable.tolist() == [0.0, 1.0, 1.0]
    assert rater.complete
    # One alternative of e^-.25 = .7788; the four others get what is left at most, .2212 each.
    assert guesses[1] == pytest.approx((0.7788 * 1 + 0.2212 * 14) / (0.7788 + 4 * 0.2212), abs=1e-3)
    assert rater.caveats == ("1 of 3 answers named no level: the middle of the scale stands in",)


async def test_a_guess_that_a_budget_refused_leaves_the_judge_incomplete(tmp_path: Path) -> None:
    async with LoopbackServer("5") as server:
        at = workspace(tmp_path, "openai/loopback", server.url)
        limited = at.settings.model_copy(update={"budget": BudgetSettings(calls=2)})
        at = Workspace(folder=tmp_path, seed=0, settings=limited)
        rater = Judge(JudgeOptions(given="nothing"), at)
        rater.fit(past())
        guesses = await asyncio.to_thread(rater.rate, ASKED, TARGETS)

    assert not rater.complete
    assert rater.readable is not None
    refused = np.isnan(rater.readable)
    assert refused.sum() == 1 and guesses[refused].tolist() == [3.0]  # the middle of 1 to 5


async def test_one_rating_for_everything_is_not_asked_about(tmp_path: Path) -> None:
    guesses, asked, _ = await judge(tmp_path, "5", "nothing", past([(0, 0, 4.0), (1, 1, 4.0)]))

    assert guesses.tolist() == [4.0, 4.0, 4.0]
    assert asked == []
