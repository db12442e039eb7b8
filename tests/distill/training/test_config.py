"""One file of settings, and flags that win over it."""

from pathlib import Path

import pytest

from limner.distill.training.config import METHODS, RATES, load_training_settings
from limner.errors import InputError, SettingsError

HERE = {"data": Path("set"), "out": Path("run")}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.toml"
    path.write_text('method = "awr"\nsteps = 30\nbatch = 2\n[awr]\ndraw = "scale"\n[writing]\nseed = 5\n')
    return path


def test_flags_win_over_the_file_and_the_file_over_a_resumed_run(file: Path) -> None:
    under = {"steps": 10, "rank": 4, "writing": {"seed": 1, "batch": 3}}

    found = load_training_settings(file, {**HERE, "batch": 16, "seed": None}, under=under)

    assert (found.method, found.awr.draw) == ("awr", "scale")
    assert (found.steps, found.batch, found.rank, found.seed) == (30, 16, 4, 0)
    assert (found.writing.seed, found.writing.batch) == (5, 3)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"out": Path("run")}, r"setting `data`: is needed; give `--data`"),
        ({**HERE, "steps": 0}, r"setting `steps`: Input should be greater than 0, got 0"),
        ({**HERE, "stesp": 1}, r"setting `stesp`: is unknown"),
        ({**HERE, "dpo": {"beta": -1}}, r"setting `dpo\.beta`: .* got -1"),
        ({**HERE, "method": "kto", "batch": 1}, r"`batch` must be at least 2"),
        ({**HERE, "method": "ppo"}, r"setting `method`: .*'raft'.* got 'ppo'"),
    ],
)
def test_a_wrong_setting_is_named(flags: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_training_settings(None, flags)


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("steps = = 3")

    with pytest.raises(InputError, match=r"--config .*bad\.toml: .*line 1"):
        load_training_settings(path, HERE)


def test_every_method_has_a_learning_rate_unless_one_is_given() -> None:
    assert set(RATES) == set(METHODS)
    assert load_training_settings(None, {**HERE, "method": "dpo"}).peak_rate == RATES["dpo"]
    assert load_training_settings(None, {**HERE, "learning_rate": 0.5}).peak_rate == 0.5


def test_checkpoints_come_with_looks_unless_told_otherwise() -> None:
    assert load_training_settings(None, {**HERE, "eval_every": 7}).checkpoint_every == 7
    assert load_training_settings(None, {**HERE, "eval_every": 0}).checkpoint_every == 50
    assert load_training_settings(None, {**HERE, "save_every": 3}).checkpoint_every == 3
