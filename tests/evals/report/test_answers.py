"""The context curve, drawn from results of the suite `qa`."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from limner.evals.dataset import Card
from limner.evals.report.answers import context_curve
from limner.evals.report.html import as_html
from limner.evals.report.markdown import as_markdown
from limner.evals.report.report import Section, read_report
from limner.evals.result_files import save_result
from limner.evals.results import DataCard, Measured, Result
from limner.evals.rows import rows_of

pytest.importorskip("matplotlib", reason="the extra `evals` is not installed")


def write(folder: Path, system: str, right: int, tokens: float) -> None:
    """Save a condition that answers so many of 100 questions."""
    accuracy = np.array([1.0] * right + [0.0] * (100 - right))
    part = Measured(
        system=system,
        dataset="prefeval-persona",
        split="questions",
        users=[f"q{ix}" for ix in range(100)],
        per_query={
            "accuracy": accuracy,
            "accuracy | history up to 512 tokens": np.where(np.arange(100) < 50, accuracy, np.nan),
            "context tokens": np.full(100, tokens),
        },
    )
    card = Card(
        name="prefeval-persona",
        source="",
        terms="",
        users=100,
        items=0,
        events=0,
        clock="order",
        text_by_model=True,
    )
    result = Result(
        suite="qa",
        command="limner eval qa",
        key=system,
        settings={"chat_model": "some/model"},
        rows=rows_of([part], seed=0),
        probes=(),
        valid=True,
        data=(DataCard(card=card, content="c0ffee", files={}),),
        versions={},
        machine={},
        started=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=1.0,
    )
    save_result(result, [part], folder / f"{re.sub('[^a-z0-9]', '', system)}.json")


def section_of(folder: Path) -> Section:
    """Return the only section of a folder's results."""
    [section] = read_report(folder).sections
    return section


def test_budgets_are_one_line_the_history_a_point_and_nothing_a_level(tmp_path: Path) -> None:
    for tokens, right in ((100, 60), (200, 70), (400, 80)):
        write(tmp_path, f"limner@{tokens}", right, tokens - 10.0)
    write(tmp_path, "history", 75, 900.0)
    write(tmp_path, "nothing", 30, 0.0)

    plot = context_curve(section_of(tmp_path))

    assert plot is not None
    assert plot.title == "accuracy by length of the context"
    spoken = re.findall(r"(\S+) \.?(\d\.\d{4}) \([^)]*\) at ([\d,]+) tokens", plot.description)
    assert [(name, tokens) for name, _, tokens in spoken] == [
        ("nothing", "0"),
        ("limner@100", "90"),
        ("limner@200", "190"),
        ("limner@400", "390"),
        ("history", "900"),
    ]
    labels = set(re.findall(r"<text[^>]*>(limner|history|nothing)</text>", plot.svg))
    assert labels == {"limner", "history", "nothing"}


def test_without_any_context_there_is_no_curve(tmp_path: Path) -> None:
    write(tmp_path, "nothing", 30, 0.0)

    assert context_curve(section_of(tmp_path)) is None


def test_the_curve_stands_in_the_page_of_the_suite_beside_the_lengths_of_histories(tmp_path: Path) -> None:
    write(tmp_path, "limner@100", 60, 80.0)
    write(tmp_path, "history", 75, 900.0)

    page = as_html(read_report(tmp_path))

    assert "accuracy by length of the context" in page
    assert "history up to 512 tokens" in page


def test_conditions_are_held_against_the_history_question_by_question(tmp_path: Path) -> None:
    write(tmp_path, "limner@100", 80, 80.0)
    write(tmp_path, "nothing", 75, 0.0)
    write(tmp_path, "history", 75, 900.0)

    told = as_markdown(read_report(tmp_path))

    # 80 right answers against 75, the first 75 of them the same: five gains of 1 in 100. Signs of five equal gains
    # are all alike in 2 of 32 cases, so p is about .0625. The first 50 questions are right in every condition.
    [gain] = re.findall(
        r"^\| limner@100 \| all \| (\S+) \[.*?\] \| (\S+) \| (\S+) \| 100 \|$", told, re.MULTILINE
    )
    assert gain[0] == ".0500"
    assert float(gain[1]) == pytest.approx(0.0625, abs=0.01)
    assert float(gain[2]) == pytest.approx(4 * float(gain[1]), abs=0.001)  # Holm over four comparisons
    assert (
        "| limner@100 | history up to 512 tokens | .0000 [.0000,\u00a0.0000] | 1.0000 | 1.0000 | 50 |" in told
    )
    assert "| nothing | all | .0000" in told
