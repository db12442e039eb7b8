"""`limner distill train`, as it is typed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("torch", reason="the extra `train` is not installed")

from limner.cli import app  # needs the extra


@pytest.fixture
def config(tiny_model: Path, training_set: Path, tmp_path: Path) -> Path:
    path = tmp_path / "train.toml"
    path.write_text(
        f'data = "{training_set}"\nbase = "{tiny_model}"\nout = "run"\ndevice = "cpu"\nthreads = 1\n'
        "steps = 2\nbatch = 4\naccumulation = 1\neval_every = 1\nlog_every = 1\n"
    )
    return path


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, ["distill", "train", *words])


def test_a_run_says_what_came_of_it(config: Path) -> None:
    done = invoke("--config", str(config))

    assert done.exit_code == 0, done.output
    assert "validation_logprob" in done.stdout
    assert "2 steps in " in done.stdout
    assert (Path("run") / "run.json").is_file()


def test_flags_win_and_json_is_the_record(config: Path) -> None:
    done = invoke("--config", str(config), "--method", "bc", "--steps", "3", "--json")

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads((Path("run") / "run.json").read_text())
    assert json.loads(done.stdout)["identity"]["settings"]["method"] == "bc"
    assert json.loads(done.stdout)["steps"] == 3


def test_a_dry_run_counts(config: Path) -> None:
    done = invoke("--config", str(config), "--dry-run")

    assert done.exit_code == 0, done.output
    assert "2 of 4 rows" in done.stdout
    assert "nothing was written" in done.stdout
    assert not Path("run").exists()


def test_a_run_is_resumed_by_its_folder_alone(config: Path) -> None:
    assert invoke("--config", str(config), "--seed", "5").exit_code == 0

    again = invoke("--out", "run", "--resume")
    more = invoke("--out", "run", "--resume", "--steps", "4", "--json")

    assert again.exit_code == 1
    assert "is finished at step 2" in again.stderr
    assert more.exit_code == 0, more.output
    record = json.loads(more.stdout)
    assert (record["resumed_from"], record["steps"]) == (2, 4)
    assert record["identity"]["settings"]["seed"] == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "run"], "setting `data`: is needed"),
        (["--out", "run", "--data", "nowhere"], "is no manifest of a training set"),
        (["--out", "run", "--data", "nowhere", "--method", "ppo"], "setting `method`"),
        (["--out", "run", "--resume"], "is no run of `limner distill train`"),
        (["--config", "nowhere.toml"], "--config nowhere.toml"),
    ],
)
def test_mistakes_are_named(words: list[str], message: str) -> None:
    done = invoke(*words, "--json")

    assert done.exit_code == 1
    assert message in json.loads(done.stdout)["error"]["message"]
