"""The benchmark measures what it says, at tiny sizes; how fast anything is, is not asserted here."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from limner.cli import app
from limner.evals.bench import core as bench_core
from limner.evals.bench.core import MeasurementError, Report, Sizes, compare, run_core, work
from limner.evals.bench.report import as_markdown
from limner.evals.bench.server import plausible
from limner.evals.bench.world import EVENTS, ITEMS, invent_histories, invent_items

TINY = Sizes(users=3, repeats=1, users_at_once=4, delay=0.01, streams=(3, 5), starts=1)


@pytest.fixture(scope="module")
def report() -> Report:
    """One run of everything."""
    return run_core(TINY, command="limner bench core")


def test_every_part_of_the_benchmark_reports(report: Report) -> None:
    found = {measure.measure: measure for measure in report.measures}

    with_goals = [name for name, measure in found.items() if measure.goal]
    assert with_goals == [
        "orchestration: throughput against bare LiteLLM",
        "start: limner --help",
        "start: import limner",
        "memory: many against few",
    ]
    assert all((measure.met is None) == (measure.goal is None) for measure in report.measures)
    assert all(measure.value > 0 for measure in report.measures)


def test_ratios_come_from_the_numbers_beside_them(report: Report) -> None:
    found = {measure.measure: measure.value for measure in report.measures}

    throughput = found["orchestration: Limner"] / found["orchestration: bare LiteLLM"]
    assert found["orchestration: throughput against bare LiteLLM"] == pytest.approx(throughput)
    memory = found["memory: peak, 5 users streamed"] / found["memory: peak, 3 users streamed"]
    assert found["memory: many against few"] == pytest.approx(memory)


def test_a_profile_costs_cues_drafts_and_at_most_one_revision_round(report: Report) -> None:
    found = {measure.measure: measure.value for measure in report.measures}

    # 12 interactions, 3 held back: 9 are read for cues in 2 batches; 4 drafts; 0 or 2 revisions.
    assert 6 <= found["orchestration: calls a profile"] <= 8


def test_the_page_has_every_number_and_no_place_on_the_machine(report: Report) -> None:
    page = as_markdown(report)

    assert all(f"| {measure.measure} |" in page for measure in report.measures)
    assert "`limner bench core`" in page
    assert f"python {sys.version.split()[0]}" in page
    assert str(Path.home()) not in page
    assert "limner-bench-" not in page


def test_neighbouring_runs_are_compared() -> None:
    ours = [
        {"calls": 80, "seconds": 1.0, "cpu": 0.8, "profiles": 10},
        {"calls": 90, "seconds": 1.0, "cpu": 0.9, "profiles": 10},
        {"calls": 40, "seconds": 1.0, "cpu": 0.4, "profiles": 10},
    ]
    bare = [{"calls": calls, "seconds": 1.0, "cpu": 0.1} for calls in (100, 100, 50)]

    ratio, mine, theirs, a_profile, *_ = compare(ours, bare)

    assert (ratio.value, ratio.spread, ratio.n, ratio.met) == (0.8, (0.8, 0.9), 3, False)
    assert (mine.value, theirs.value, a_profile.value) == (80, 100, 8)  # medians


@pytest.mark.parametrize(("share", "met"), [(0.84, False), (0.85, True)])
def test_the_goal_is_85_percent(share: float, met: bool) -> None:
    ours = [{"calls": share * 100, "seconds": 1.0, "cpu": 1.0, "profiles": 10}]

    assert compare(ours, [{"calls": 100, "seconds": 1.0, "cpu": 1.0}])[0].met is met


def test_a_step_that_fails_says_why(tmp_path: Path) -> None:
    given = {"seed": 1, "users": 1, "users_at_once": 1, "folder": str(tmp_path / "empty")}

    with pytest.raises(MeasurementError, match=r"^step 'draw' .*UnknownUserError: user_id='u00000' is not"):
        work("draw", given)


def test_settings_of_the_machine_do_not_reach_a_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_DRAFTING__DRAFTS", "1")

    environment = bench_core.clean_environment()

    assert not [name for name in environment if name.startswith("LIMNER_")]
    assert environment["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"


def test_people_are_invented_the_same_way_every_time() -> None:
    few, many = list(invent_histories(2, seed=3)), list(invent_histories(4, seed=3))

    assert many[:2] == few
    assert many != list(invent_histories(4, seed=4))
    assert [len(events) for events in many] == [EVENTS] * 4
    assert len({item.item_id for item in invent_items(3)}) == ITEMS


def test_an_answer_fits_the_schema_and_depends_on_the_request_alone() -> None:
    ref = {"type": "string", "enum": ["e1", "e2"]}
    note = {"type": "object", "properties": {"ref": ref, "note": {"type": "string", "maxLength": 20}}}
    schema = {"type": "object", "properties": {"cues": {"type": "array", "items": note, "maxItems": 3}}}
    request = {"seed": 1, "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}

    answer = json.loads(plausible(request).text)

    assert [set(cue) for cue in answer["cues"]] == [{"ref", "note"}] * 3
    assert all(cue["ref"] in ref["enum"] and 0 < len(cue["note"]) <= 20 for cue in answer["cues"])
    assert plausible(request) == plausible(request)
    assert plausible(request) != plausible({**request, "seed": 2})


def test_the_command_prints_one_document_and_writes_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, report: Report
) -> None:
    asked: list[Sizes] = []

    def measured(sizes: Sizes, *, command: str, notice: object) -> Report:
        asked.append(sizes)
        return replace(report, command=command)

    monkeypatch.setattr(bench_core, "run_core", measured)
    page = tmp_path / "docs" / "core.md"

    done = CliRunner().invoke(app, ["bench", "core", "--quick", "--users", "5", "--json", "--out", str(page)])

    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["bench"] == "core"
    assert document["command"] == "limner bench core --quick --users 5"
    assert {"measure", "value", "unit", "goal", "met", "n", "spread"} == set(document["measures"][0])
    assert {"seed", "machine", "date", "sizes"} <= set(document)
    assert asked == [replace(bench_core.QUICK, users=5)]
    assert page.read_text(encoding="utf-8").startswith(
        "# Speed and size\n\n`limner bench core --quick --users 5`"
    )
