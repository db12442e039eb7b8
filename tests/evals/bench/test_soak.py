"""The soak loads a real server and judges what grows; how fast anything is, is not asserted here."""

import os
from pathlib import Path

import pytest

from limner.evals.bench.core import MeasurementError, Report
from limner.evals.bench.report import as_markdown
from limner.evals.bench.soak import Sizes, run_soak
from limner.evals.bench.soak_samples import SERIES, growth, sample

SECONDS = 3.0
TINY = Sizes(minutes=SECONDS / 60, rate=20, users=12, clients=4, every=0.1, texts=20, embedder="hashing")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return run_soak(TINY, tmp_path_factory.mktemp("soak") / "store", command="limner bench soak")


def test_every_request_is_answered_and_every_series_told(report: Report) -> None:
    values = {measure.measure: measure for measure in report.measures}

    assert values["answers"].n == SECONDS * TINY.rate
    assert values["errors"].value == 0
    assert {name for name in values if "growth" in name} == {
        f"{series.name}: growth" for series in SERIES.values() if series.most is None
    }
    assert values["resident memory: median"].value > 50
    assert values["open file handles: median"].value >= 3
    assert values["write-ahead log: most"].met


def test_what_is_judged_is_told_with_its_goal(report: Report) -> None:
    judged = {measure.measure for measure in report.measures if measure.met is not None}

    assert judged == {
        "resident memory: growth",
        "open file handles: growth",
        "threads: growth",
        "write-ahead log: most",
        "checkpoints: most",
        "answers",
        "errors",
    }


def test_the_page_names_the_command_and_no_place_on_the_machine(
    report: Report, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = as_markdown(report)

    assert "`limner bench soak`" in page
    assert "12 invented" in " ".join(page.split())
    assert str(tmp_path_factory.getbasetemp()) not in page


def test_growth_is_a_line_with_its_interval() -> None:
    # y = 1, 3, 2, 5, 4 at x = 0..4: mean 2 and 3, sxy = 8, sxx = 10, slope 0.8; the rests are -0.4, 0.8, -1, 1.2,
    # -0.6, their squares sum to 3.6, so the error is sqrt(3.6 / 3 / 10) = 0.34641, and t(0.975, 3) = 3.18245.
    found = growth([0, 1, 2, 3, 4], [1, 3, 2, 5, 4])

    assert found.slope == pytest.approx(0.8)
    assert found.low == pytest.approx(0.8 - 3.18245 * 0.34641, abs=1e-4)
    assert found.high == pytest.approx(0.8 + 3.18245 * 0.34641, abs=1e-4)


def test_growth_of_two_values_has_no_interval() -> None:
    assert growth([0, 1], [1, 2]) == (0.0, float("-inf"), float("inf"))


def test_many_samples_are_averaged_in_blocks() -> None:
    # Two blocks of two would leave no interval; four values in four blocks do.
    assert growth([0, 1, 2, 3], [0, 2, 1, 3], blocks=2).high == float("inf")
    assert growth([0, 1, 2, 3], [0, 2, 1, 3], blocks=4).high < float("inf")


def test_this_process_can_be_looked_at_and_one_that_is_gone_cannot(tmp_path: Path) -> None:
    (tmp_path / "limner.db").write_bytes(b"x" * 1000)

    told = sample(os.getpid(), tmp_path)

    assert told["database"] == 1000
    assert told["memory"] > 10_000_000
    with (tmp_path / "limner.db").open("rb"):
        assert sample(os.getpid(), tmp_path)["handles"] == told["handles"] + 1
    with pytest.raises(MeasurementError, match="cannot be looked at"):
        sample(2**22 + 1, tmp_path)


def test_too_few_samples_are_refused(tmp_path: Path) -> None:
    sizes = Sizes(minutes=0.02, rate=5, users=2, clients=1, every=5.0, embedder="hashing")

    with pytest.raises(MeasurementError, match="samples are too few"):
        run_soak(sizes, tmp_path / "store", command="limner bench soak")
