"""The promises of the evaluation guide, kept."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from limner.cli import app
from limner.evals.questions.grading import grade_choices
from limner.evals.rating_metrics import measure_ratings, rating_errors
from limner.evals.splits import Answers, Problem, Queries


@pytest.fixture
def guide(root: Path) -> str:
    return (root / "docs" / "evaluation.md").read_text(encoding="utf-8")


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def office(ring: Path, tmp_path: Path) -> Path:
    """The data under the guide's name."""
    return ring.rename(tmp_path / "office")


def test_every_option_of_a_suite_named_exists(guide: str) -> None:
    commands: Any = get_command(app)  # Typer's own type hides that it is a group
    evals = commands.commands["eval"].commands

    for option in re.findall(r"^\| `(--[a-z-]+)", guide, flags=re.MULTILINE):
        assert any(option in parameter.opts for parameter in evals["sequential"].params), option


def test_the_suites_named_are_the_suites(guide: str) -> None:
    from limner.evals.suite_list import SUITES

    [table] = re.findall(r"## Suites\n(.*?)\n\n", guide + "\n", flags=re.DOTALL) or [guide]
    named = re.findall(r"^\| `([a-z]+)` \|", guide, flags=re.MULTILINE)

    assert table
    assert named[: len(SUITES)] == list(SUITES)


def test_the_system_of_your_own_runs_alone_and_in_a_fusion(
    guide: str, office: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [newest] = [block for block in blocks(guide, "python") if "class Newest" in block]
    (tmp_path / "mine.py").write_text(newest)
    names = ["--system", "mine.py::Newest", "--system", "popularity + mine.py::Newest"]

    done = CliRunner().invoke(
        app, ["eval", "sequential", "--data", str(office), *names, "--out", "results", "--json"]
    )

    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert [result["valid"] for result in document["results"]] == [True, True]
    systems = {row["system"] for result in document["results"] for row in result["rows"]}
    assert "newest" in systems
    assert len(systems) == 2


def test_the_lines_about_metrics_run(guide: str) -> None:
    [metric] = [block for block in blocks(guide, "python") if "place(" in block]
    nothing = np.empty(0, dtype=np.int64)
    from limner.evals.dataset import Events

    history = Events(user=nothing, item=nothing, at=nothing, rating=np.empty(0, dtype=np.float32))
    queries = Queries(user=np.array([0]), as_of=np.array([1]), history=history, starts=np.array([0, 0]))
    answers = Answers(
        item=np.array([2]), rating=np.array([np.nan], dtype=np.float32), starts=np.array([0, 1])
    )
    problem = Problem(queries=queries, answers=answers)
    names: dict[str, Any] = {"scores": np.array([[0.1, 0.2, 0.3]], dtype=np.float32), "problem": problem}

    exec(compile(metric, "evaluation.md", "exec"), names)  # noqa: S102  # our own text

    assert (names["first"], names["values"]["recall@1"].tolist()) == (1.0, [1.0])


@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")
def test_every_metric_of_a_suite_is_defined(
    guide: str, office: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    found = set[str]()
    for suite, system in {"sequential": "bigram", "profile": "profile", "cost": "bigram"}.items():
        words = ["eval", suite, "--data", str(office), "--system", system, "--out", "results", "--json"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        rows = [row for result in json.loads(done.stdout)["results"] for row in result["rows"]]
        found |= {row["metric"].partition(" | ")[0] for row in rows}
    found |= set(rating_errors([1.0], [1.0], levels=(1.0,)))
    found |= set(measure_ratings([1.0], [1.0], levels=(1.0,), seed=0))
    found |= set(grade_choices([], [], []).values)

    [defined] = re.findall(r"^## What the suites measure\n(.*?)^## ", guide, flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([^`]+)`", defined))
    with_k = {re.sub(r"@\d+$", "@k", metric) for metric in found - named}
    assert with_k - named == set()


def test_links_lead_somewhere(guide: str, root: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", guide):
        assert (root / "docs" / target).exists(), target


def test_the_inspect_tasks_named_exist_with_their_parameters(guide: str) -> None:
    pytest.importorskip("inspect_ai", reason="the extra `evals` is not installed")
    import inspect

    from limner.evals import inspect_tasks

    lines = re.findall(r"^inspect eval limner/(\w+) (.*)$", guide, flags=re.MULTILINE)
    assert [name for name, _ in lines] == ["next_item", "prefeval"]
    for name, words in lines:
        known = inspect.signature(getattr(inspect_tasks, name)).parameters
        assert set(re.findall(r"-T (\w+)=", words)) <= set(known)
