"""The cost curve, drawn from results of ranked pairs."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from limner.evals.dataset import Card
from limner.evals.pairs.asking import bill
from limner.evals.report.curve import cost_curve
from limner.evals.report.html import as_html
from limner.evals.report.markdown import as_markdown
from limner.evals.report.report import Report, read_report
from limner.evals.result_files import save_result
from limner.evals.results import Cost, DataCard, Measured, Result, SystemCost
from limner.evals.rows import rows_of
from limner.records import Usage

pytest.importorskip("matplotlib", reason="the extra `evals` is not installed")

METRIC = "ndcg@10 sampled-9"


def write(folder: Path, system: str, mean: float, calls: int, tokens: int) -> None:
    """Save a result of 100 users with ten candidates each, 1,000 pairs."""
    rng = np.random.default_rng(len(system))
    values = np.clip(rng.normal(mean, 0.3, 100), 0.0, 1.0)
    cost = Cost(score_seconds=1.0, queries=100, usage=Usage(calls=calls, prompt_tokens=tokens))
    part = Measured(
        system=system,
        dataset="office",
        split="leave-one-out",
        users=[f"u{ix}" for ix in range(100)],
        per_query={METRIC: values, "mae": np.abs(values - mean)},
        whole=bill(cost, 1000),
        cost=cost,
    )
    card = Card(
        name="office",
        source="",
        terms="",
        users=100,
        items=9,
        events=40,
        clock="order",
        text_by_model=None,
    )
    result = Result(
        suite="pairs",
        command="limner eval pairs",
        key=system,
        settings={"users": 100},
        rows=rows_of([part], seed=0),
        probes=(),
        valid=True,
        data=(DataCard(card=card, content="c0ffee", files={}),),
        cost=(SystemCost(system=system, dataset="office", cost=cost),),
        versions={},
        machine={},
        started=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=1.0,
    )
    save_result(result, [part], folder / f"{re.sub('[^a-z0-9]', '', system)}.json")


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Joint passes, factored ones at three budgets, and two systems that call nobody."""
    write(tmp_path, "joint:writer=qwen", 0.7, 2100, 900_000)
    for budget, mean in ((1, 0.6), (2, 0.66), (4, 0.69)):
        write(tmp_path, f"factored:writer=qwen,budget={budget}", mean, 100 * budget, 60_000 * budget)
    write(tmp_path, "popularity", 0.55, 0, 0)
    write(tmp_path, "seqknn", 0.62, 0, 0)
    return read_report(tmp_path)


def test_the_curve_stands_beside_its_table(report: Report) -> None:
    [section] = report.sections

    curve = cost_curve(section)

    assert curve is not None
    assert curve.about == "bill"
    assert "factored:writer=qwen,budget=1" in curve.description
    assert "at 100 calls and 60,000 tokens" in curve.description
    again = cost_curve(section)
    assert again is not None and again.svg == curve.svg  # the same results, the same bytes
    assert "Cost curve: ndcg@10 sampled-9" in as_html(report)


def test_a_system_at_several_budgets_is_one_line(report: Report) -> None:
    curve = cost_curve(report.sections[0])

    assert curve is not None
    labels = re.findall(r">([^<>]*writer=[^<>]*)<", curve.svg)
    assert sorted(labels) == ["factored:writer=qwen", "joint:writer=qwen"]


def test_the_bill_has_a_line_a_system_with_its_quality(report: Report) -> None:
    lines = as_markdown(report).replace("\u00a0", " ").splitlines()

    start = lines.index("**What 1,000 ranked pairs take**")
    table = lines[start + 2 : start + 10]
    assert table[0] == "| System | For | calls | tokens | seconds | $ | ndcg@10 sampled-9 |"
    [joint] = [line for line in table if line.startswith("| joint")]
    assert joint.startswith("| joint:writer=qwen | per 1,000 pairs | 2,100 | 900,000 | 1 | 0 | .6")
    assert " n=100 |" in joint


def test_what_a_bill_says_stands_in_no_table_of_metrics(report: Report) -> None:
    text = as_markdown(report)

    assert "| System | ndcg@10 sampled-9 | mae |" in text
    assert "calls per 1,000 pairs" not in text


def test_systems_are_ordered_by_ranking_not_by_ratings(report: Report) -> None:
    [section] = report.sections

    values = [row.value for name in section.systems if (row := section.row(name, METRIC))]
    assert values == sorted(values, reverse=True)


def test_without_calls_there_is_no_curve(tmp_path: Path) -> None:
    write(tmp_path, "popularity", 0.55, 0, 0)

    assert cost_curve(read_report(tmp_path).sections[0]) is None
