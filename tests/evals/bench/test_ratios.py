"""The benchmark of everything measures what it says, at tiny sizes; how fast anything is, is not asserted here."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from limner.cli import app
from limner.evals.bench import ratios
from limner.evals.bench.core import Measure, Notice, Report
from limner.evals.bench.ratios import PARTS, Part, Sizes, over, run_ratios
from limner.evals.bench.report import as_markdown

TINY = Sizes(repeats=1, users=3, store_users=70, drafts=4, texts=2, prompts=1, ranked=50, items=300, rows=400)


@pytest.fixture(scope="module")
def report() -> Report:
    """One run of the parts that need no weights and no waiting server."""
    return run_ratios(TINY, command="limner bench", only=["critique", "store", "import", "costs"])


def test_each_part_reports_its_ratios_with_the_goal(report: Report) -> None:
    found = {measure.measure: measure for measure in report.measures}

    for name in (
        "critique: portraits score a catalogue, over the bare product",
        "critique: a draft's whole grade, over its bare products",
        "store: record, over bare SQL",
        "store: read a profile, over bare SQL",
        "store: read a history, over bare SQL",
    ):
        assert found[name].goal == "<= 1.15"
        assert found[name].value > 0
    for kind in ("csv", "jsonl", "parquet"):
        assert found[f"import: {kind}, by CPU"].goal == ">= 50000"


def test_calls_follow_from_the_default_settings(report: Report) -> None:
    found = {measure.measure: measure.value for measure in report.measures}

    # 9 of 12 reviews are read for cues in 2 batches; 4 drafts; 0 or 2 revisions.
    assert 6 <= found["calls: a first profile"] <= 8
    assert found["tokens: a first profile"] > 0
    assert found["calls: a profile with nothing new"] == 0
    # One batch of cues at most, and drafts that show another history.
    assert 0 < found["calls: a refresh after one event"] < found["calls: a first profile"]
    assert found["calls: 1,000 recommendations"] == 0
    assert found["calls: 1,000 recommendations, 10 items ranked again by pairs"] > 0


def test_a_goal_that_is_missed_has_its_reason_on_the_page_and_one_that_is_met_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Measure(measure="slow", value=2.0, unit="ratio", goal="<= 1.15", met=False, n=1)
    quick = replace(slow, measure="quick", value=1.0, met=True)

    def measured(sizes: Sizes, folder: Path, notice: Notice) -> list[Measure]:
        return [slow, quick]

    part = Part(measure=measured, reasons={"slow": "because", "quick": "never"})
    monkeypatch.setattr(ratios, "PARTS", {"invented": part})

    report = run_ratios(TINY, command="limner bench")

    assert report.reasons == {"slow": "because"}
    assert "- *slow*: because." in as_markdown(report)
    assert "never" not in as_markdown(report)


def test_every_ratio_that_may_miss_has_a_reason_to_name() -> None:
    assert set(PARTS) == {
        *("orchestration", "critique", "store", "encoder", "model", "evaluation", "import", "costs")
    }
    assert all(reason for part in PARTS.values() for reason in part.reasons.values())


def test_a_ratio_is_of_neighbouring_turns() -> None:
    # 2 / 1, 3 / 2 and 2 / 2: the median is 1.5, although the medians of the sides give 1.
    found = over("a", [2.0, 3.0, 2.0], [1.0, 2.0, 2.0])

    assert (found.value, found.spread, found.n, found.met) == (1.5, (1.0, 2.0), 3, False)


def test_an_unknown_part_is_refused() -> None:
    result = CliRunner().invoke(app, ["bench", "--only", "luck", "--json"])

    assert result.exit_code == 1
    assert "'luck' is not one of orchestration" in json.loads(result.stdout)["error"]["message"]


def test_the_command_prints_one_document_and_writes_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, report: Report
) -> None:
    asked: list[tuple[Sizes, list[str]]] = []

    def measured(sizes: Sizes, *, command: str, only: list[str], notice: object) -> Report:
        asked.append((sizes, only))
        return replace(report, command=command)

    monkeypatch.setattr(ratios, "run_ratios", measured)
    page = tmp_path / "all.md"

    done = CliRunner().invoke(app, ["bench", "--quick", "--only", "store", "--json", "--out", str(page)])

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["command"] == "limner bench --quick --only store"
    assert asked == [(ratios.QUICK, ["store"])]
    assert "`limner bench --quick --only store`" in page.read_text(encoding="utf-8")
