"""The benchmark of the harness measures what it says, at tiny sizes; how fast anything is, is not asserted here."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from limner.cli import app
from limner.evals.bench.core import Measure, MeasurementError, Report
from limner.evals.bench.eval import QUICK, Sizes, against, ask_rectools, run_eval
from limner.evals.bench.eval_world import invent_world
from limner.evals.bench.report import as_markdown

TINY = Sizes(users=60, items=200, repeats=1)
STAND_IN = """\
import json, sys
import numpy
run = numpy.load(sys.argv[2])
hit = (run["lists"][:, :10] == run["answers"][:, None]).any(axis=1).mean()
print(json.dumps({"seconds": [100.0] * int(sys.argv[3]), "means": {"recall@10": hit}, "version": "0"}))
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One run of everything; RecTools is stood in for by an interpreter that counts hits."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "evaluate.py").write_text(STAND_IN, encoding="utf-8")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {folder / "evaluate.py"} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return run_eval(TINY, command="limner bench eval", rectools_python=python)


pytestmark = pytest.mark.timeout(400)  # ranx, where it is installed, compiles on its first use


def by_name(report: Report) -> dict[str, Measure]:
    return {measure.measure: measure for measure in report.measures}


def test_every_part_of_the_benchmark_reports(report: Report) -> None:
    with_goals = [name for name, measure in by_name(report).items() if measure.goal and "ranx" not in name]

    assert [name.partition(",")[0] for name in with_goals] == [
        f"{kind} product: {what}"
        for kind in ("dense", "sparse")
        for what in (
            "scores to table",
            "peak of memory",
            "scoring against the product",
            "scoring and placing against the product",
        )
    ] + [
        "metrics: Limner against RecTools",
        "metrics: Limner from places",
        "metrics: largest difference from RecTools",
    ]
    assert all((measure.met is None) == (measure.goal is None) for measure in report.measures)


def test_ratios_come_from_the_numbers_beside_them(report: Report) -> None:
    found = {name: measure.value for name, measure in by_name(report).items()}

    for kind in ("dense", "sparse"):
        placing = found[f"{kind} product: scoring and placing"] / found[f"{kind} product: the product alone"]
        assert found[f"{kind} product: scoring and placing against the product"] == pytest.approx(placing)
    ours, lists = (
        found["metrics: Limner, from scores"],
        found["metrics: lists of 50 from scores, for the others"],
    )
    ratio = found["metrics: Limner against RecTools, both from scores"]
    assert ratio == pytest.approx(ours / (100.0 + lists))


def test_libraries_find_the_same_values_on_the_run(report: Report) -> None:
    gaps = {name: measure for name, measure in by_name(report).items() if "largest difference" in name}

    assert "metrics: largest difference from RecTools" in gaps
    assert all(measure.met for measure in gaps.values())


def test_the_page_has_every_number_and_no_place_on_the_machine(report: Report) -> None:
    page = as_markdown(report)

    assert all(f"| {measure.measure} |" in page for measure in report.measures)
    assert "60 invented users, 200 invented items" in page
    assert str(Path.home()) not in page


def test_a_missing_library_is_a_line_without_a_goal() -> None:
    [line] = against("RecTools", None, {})

    assert (line.measure, line.n, line.met) == ("metrics: RecTools not installed", 0, None)


def test_an_interpreter_without_rectools_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="cannot be run: No such file"):
        ask_rectools(tmp_path / "nowhere", tmp_path / "run.npz", 1)
    with pytest.raises(MeasurementError, match="step 'rectools' of the benchmark ended without a result: "):
        ask_rectools(Path(sys.executable), tmp_path / "run.npz", 1)


def test_the_invented_users_choose_something_new_last() -> None:
    world = invent_world(300, 500, seed=1)
    queries, answers = world.problem.queries, world.problem.answers

    for query in range(300):
        history = queries.items_of(query).tolist()
        assert len(set(history)) == len(history) >= 4
        assert int(answers.item[query]) not in history
    assert np.array_equal(world.past.events.item, queries.history.item)
    assert world.users.shape == (300, 64)
    again = invent_world(300, 500, seed=1)
    assert np.array_equal(again.problem.answers.item, answers.item)


def test_the_command_prints_what_it_found(
    report: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[Sizes, str, Path | None]] = []

    def measured(sizes: Sizes, *, command: str, rectools_python: Path | None, notice: object) -> Report:
        asked.append((sizes, command, rectools_python))
        return replace(report, command=command)

    monkeypatch.setattr("limner.evals.bench.eval.run_eval", measured)
    page, python = tmp_path / "pages" / "eval.md", tmp_path / "python"
    words = [
        "bench",
        "eval",
        "--quick",
        "--repeats",
        "3",
        "--rectools-python",
        str(python),
        "--out",
        str(page),
    ]

    done = CliRunner().invoke(app, [*words, "--json"])

    assert done.exit_code == 0, done.output
    command = "limner bench eval --quick --repeats 3 --rectools-python PYTHON"
    assert asked == [(replace(QUICK, repeats=3), command, python)]
    told = json.loads(done.stdout)
    assert (told["bench"], told["command"]) == ("eval", command)
    assert [measure["measure"] for measure in told["measures"]] == list(by_name(report))
    assert page.read_text(encoding="utf-8").startswith("# Speed and size")
