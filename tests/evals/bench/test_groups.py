"""The benchmark of groups measures what it says, at tiny sizes; how fast anything is, is not asserted here."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from limner.cli import app
from limner.evals.bench.core import Report
from limner.evals.bench.groups import STEPS, Sizes, growth, run_groups
from limner.evals.bench.groups_worker import invent_edges, invent_vectors
from limner.evals.bench.report import as_markdown

TINY = Sizes(users=(200, 400), width=8, events=3, neighbours=8, layers=1)
GIVEN = {"seed": 1, "users": 300, "width": 8, "size": 20, "events": 4}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench") / "growth.png"


@pytest.fixture(scope="module")
def report(drawn: Path) -> Report:
    return run_groups(TINY, command="limner bench groups", plot=drawn)


def test_every_step_is_measured_at_every_size_and_growth_is_judged(report: Report, drawn: Path) -> None:
    values = {measure.measure: measure for measure in report.measures}

    for name in STEPS.values():
        for users in ("200", "400"):
            assert values[f"{name}, {users} users: time"].value > 0
            assert values[f"{name}, {users} users: peak of memory"].value > 1
        assert values[f"{name}: growth of work, 200 to 400 users"].goal
    # A group for about twenty users.
    assert 5 <= values["groups, all in all, 400 users: found"].value <= 40
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_the_page_says_that_the_users_are_invented(report: Report) -> None:
    page = as_markdown(report)

    assert "The data is synthetic" in page
    assert "voyager" in page


def test_growth_is_the_power_of_users() -> None:
    # Ten times the users at a hundred times the cost is quadratic; at twenty times, 1 + log10(2).
    assert growth(1000, 10_000, 0.5, 50.0) == pytest.approx(2.0)
    assert growth(1000, 10_000, 0.5, 10.0) == pytest.approx(1.30103)


def test_what_is_invented_is_the_same_every_time() -> None:
    assert (invent_vectors(GIVEN) == invent_vectors(GIVEN)).all()
    np.testing.assert_allclose(np.linalg.norm(invent_vectors(GIVEN), axis=1), 1.0, atol=1e-5)
    assert (invent_edges(GIVEN) != invent_edges(GIVEN)).nnz == 0
    assert invent_edges(GIVEN).shape == (300, 100)


@pytest.mark.parametrize("users", ["", "many", "100", "5000,400", "400,400"])
def test_numbers_of_users_that_make_no_sense_are_refused(users: str) -> None:
    result = CliRunner().invoke(app, ["bench", "groups", "--users", users, "--json"])

    assert result.exit_code == 1
    assert "rising numbers" in json.loads(result.stdout)["error"]["message"]
