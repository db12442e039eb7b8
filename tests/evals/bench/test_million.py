"""The benchmarks `million`, `growth` and `model` do and count what they say, at tiny sizes; no speed is asserted."""

import asyncio
import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from limner.cli import app
from limner.evals.bench import efficiency, growth, million
from limner.evals.bench.core import Report
from limner.evals.bench.efficiency import measures_of
from limner.evals.bench.event_files import WRITERS, invent_events
from limner.evals.bench.growth import STAGES as GROWING
from limner.evals.bench.growth import Sizes as GrowthSizes
from limner.evals.bench.growth import run_growth
from limner.evals.bench.million import STAGES, Sizes, run_million
from limner.evals.bench.million_worker import run_all, run_stage
from limner.evals.bench.report import as_markdown
from limner.tools.readers import Row, Table

WORLD: dict[str, int] = {"users": 5, "items": 4, "rows": 30, "seed": 1}


def _here(stage: str, given: Mapping[str, Any], *, module: str) -> dict[str, Any]:
    """Run a stage in this process: starting one for each would take most of the time."""
    return asyncio.run(run_all(given) if stage == "all" else run_stage(stage, given))


@pytest.fixture(scope="module")
def report() -> Iterator[Report]:
    """A run of all stages over a handful of users."""
    sizes = Sizes(rows=200, users=20, items=40, embedder="hashing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(million, "work", _here)
        yield run_million(sizes, command="limner bench million --share 0.0002")


def test_every_stage_is_done_for_everybody_and_the_whole_is_judged(report: Report) -> None:
    found = {measure.measure: measure for measure in report.measures}

    seconds = sum(found[f"{name}: time"].value for name in STAGES.values())
    assert found["all stages, by the clock"].value == pytest.approx(seconds / 60)
    peaks = [found[f"{name}: peak of memory"].value for name in STAGES.values()]
    assert found["all stages: peak of memory"].value == max(peaks)
    drawing = found["portraits cued, drawn and embedded: work"].value
    assert found["portraits cued, drawn and embedded: work a user"].value == pytest.approx(1e3 * drawing / 20)
    assert "200 events" in as_markdown(report)


def test_goals_are_judged_for_the_whole_alone(report: Report) -> None:
    told = {"seconds": 200.0, "cpu": 150.0, "peak_mb": 500.0}

    clock, work, peak, *_ = million.measures_of(dict.fromkeys(STAGES, told), Sizes())

    # Five stages of 200 s are 16.7 minutes, more than 15.
    assert (clock.goal, clock.met, work.goal, peak.goal, peak.met) == ("< 15", False, None, "< 4000", True)
    assert all(measure.goal is None for measure in report.measures)


def test_a_share_leaves_the_catalogue_whole() -> None:
    part = Sizes().share(0.01)

    assert (part.rows, part.users, part.items) == (10_000, 1000, Sizes().items)


@pytest.mark.parametrize("kind", list(WRITERS))
def test_every_kind_of_file_holds_the_same_events(kind: str, tmp_path: Path) -> None:
    WRITERS[kind](tmp_path / f"events.{kind}", invent_events(**WORLD))
    WRITERS["csv"](tmp_path / "again.csv", invent_events(**WORLD))
    with (tmp_path / "again.csv").open(encoding="utf-8") as stream:
        expected = [
            (row["user_id"], row["item_id"], float(row["rating"]), int(row["timestamp"]))
            for row in csv.DictReader(stream)
        ]

    rows = [row.fields for row in Table(tmp_path / f"events.{kind}") if isinstance(row, Row)]

    values = [
        (str(row["user_id"]), str(row["item_id"]), float(str(row["rating"])), int(str(row["timestamp"])))
        for row in rows
    ]
    assert values == expected
    assert len(values) == 30
    assert all(user < "u000005" and item < "i00004" for user, item, _, _ in values)


def test_growth_is_told_for_every_stage_of_every_axis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "work", _here)
    plot = tmp_path / "growth.png"
    sizes = GrowthSizes(users=6, items=15, history=3, times=(1, 2), some=2)

    report = run_growth(sizes, command="limner bench growth", plot=plot)

    names = {measure.measure for measure in report.measures}
    for label in GROWING.values():
        for axis in ("6 to 12 users", "15 to 30 items", "3 to 6 events of a user"):
            assert f"{label}: growth of work, {axis}" in names
    calls = {measure.measure: measure.value for measure in report.measures}
    assert calls["12 users: calls to draw 2 users at most"] > 0.0
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "12 users: calls to draw 2 users at most" in as_markdown(report)


def test_what_is_not_read_is_a_share_of_what_is_billed() -> None:
    def sums(calls: int, billed: int, read: int) -> dict[str, int]:
        return {"calls": calls, "billed": billed, "read": read, "written": 5}

    kinds = {"cues": sums(2, 200, 150), "drafts": sums(4, 800, 203), "revisions": sums(0, 0, 0)}
    told: dict[str, Any] = {
        "kinds": kinds,
        "all": sums(6, 1000, 353),
        "bare": 600,
        "again": {"calls": 1, "cached": 5},
    }

    found = {measure.measure: measure.value for measure in measures_of(told)}

    assert found["share of prompts not read: Limner's engine"] == pytest.approx(0.647)  # 1 - 353 / 1000
    assert found["share of prompts not read: llama.cpp in the order of asking"] == pytest.approx(0.4)
    assert found["cues: share of prompts not read"] == pytest.approx(0.25)
    assert "revisions: billed" not in found
    assert found["drawn again, portraits lost: answers needed"] == 6


def test_the_command_writes_what_the_model_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sums = {"calls": 2, "billed": 100, "read": 60, "written": 5}
    told = {"kinds": {"drafts": sums}, "all": sums, "bare": 80, "again": {"calls": 0, "cached": 2}}

    def drawn(step: str, given: Mapping[str, Any], *, module: str) -> dict[str, Any]:
        return told

    monkeypatch.setattr(efficiency, "work", drawn)
    page = tmp_path / "model.md"

    done = CliRunner().invoke(app, ["bench", "model", "--users", "1", "--json", "--out", str(page)])

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["command"] == "limner bench model --users 1"
    assert "| share of prompts not read: Limner's engine | 0.400 share |" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("times", ["", "1", "10,1", "0,1", "one,two"])
def test_factors_that_make_no_sense_are_refused(times: str) -> None:
    result = CliRunner().invoke(app, ["bench", "growth", "--times", times, "--json"])

    assert result.exit_code == 1
    assert "rising numbers" in json.loads(result.stdout)["error"]["message"]
