"""Prompts and rewards as verl and OpenRLHF take them."""

import json
import runpy
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from limner.cli import app
from limner.distill.log.training_rows import PromptOnly
from limner.distill.log.training_set import TrainingSet
from limner.distill.onpolicy.rollout_files import MODULE, write_rollout_files
from limner.distill.onpolicy.settings import OnPolicySettings
from limner.distill.rewards import bench as benches
from limner.distill.rewards.bench import RewardBench
from limner.distill.rewards.exercise import Exercise
from limner.errors import SettingsError

pq: Any = import_module("pyarrow.parquet")
LIKES = '{"likes": ["Likes roses."]}'


def test_a_row_holds_all_that_grading_takes_for_either_program(
    data: Path, prompts: list[PromptOnly], tmp_path: Path
) -> None:
    found = write_rollout_files(
        TrainingSet.open(data), tmp_path / "files", OnPolicySettings(), store=tmp_path
    )

    assert found.prompts == {"train": 4, "validation": 0}
    rows: list[dict[str, Any]] = pq.read_table(found.folder / "train.parquet").to_pylist()
    expected = {row.user_id: Exercise.of(row) for row in prompts}
    for place, row in enumerate(rows):
        info, label = row["extra_info"], json.loads(row["label"])
        exercise = expected[info["user_id"]]
        assert Exercise.read(info["user_id"], info["prompt"], info) == exercise
        assert Exercise.model_validate(label) == exercise
        assert [(each["role"], each["content"]) for each in row["prompt"]] == [
            (each.role, each.content) for each in exercise.prompt
        ]
        assert (info["split"], info["index"], row["reward_model"]["style"]) == ("train", place, "rule")
    empty = pq.read_table(found.folder / "validation.parquet")
    assert empty.schema == pq.read_schema(found.folder / "train.parquet")


def test_the_module_grades_through_the_store_it_names(
    data: Path,
    prompts: list[PromptOnly],
    tmp_path: Path,
    open_world: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    settings = OnPolicySettings(
        rewards={"limner": 1.0, "length": 0.5}, reward_options={"length": {"words": 1}}
    )
    write_rollout_files(TrainingSet.open(data), tmp_path / "files", settings, store=tmp_path / "its store")
    asked: list[Any] = []
    benches_open: list[RewardBench] = []

    def small(store: Path, weights: dict[str, float], options: dict[str, Any]) -> RewardBench:
        asked.extend([store, weights, options])
        benches_open.append(RewardBench(open_world(), weights, options))
        return benches_open[0]

    monkeypatch.setattr(benches, "open_bench", small)
    monkeypatch.setattr(RewardBench, "keep_open", RewardBench.__enter__)
    try:
        module = runpy.run_path(str(tmp_path / "files" / MODULE))
        rows: list[dict[str, Any]] = pq.read_table(tmp_path / "files" / "train.parquet").to_pylist()
        first = rows[0]
        verl = module["compute_score"](first["data_source"], LIKES, "", first["extra_info"])
        openrlhf = module["reward_func"]([f"asked{LIKES}"], ["asked"], [first["label"]])
        plain = module["score"](first["extra_info"]["user_id"], first["prompt"], LIKES, first["extra_info"])
    finally:
        benches_open[0].__exit__()

    assert asked == [tmp_path / "its store", settings.rewards, settings.reward_options]
    assert verl["score"] == plain["total"] == pytest.approx(plain["limner"] - 0.5 * 0.01)
    assert openrlhf["rewards"].tolist() == pytest.approx([plain["total"]])


def test_a_wrong_reward_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="knows no 'bleu'"):
        write_rollout_files(
            TrainingSet.open(data),
            tmp_path / "files",
            OnPolicySettings(rewards={"bleu": 1.0}),
            store=tmp_path,
        )
    assert not (tmp_path / "files").exists()


def test_the_command_writes_the_rewards_it_is_told(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        "[grpo]\nkl = 0.02\n[grpo.rewards]\nlength = 1.0\n[grpo.reward_options.length]\nwords = 9\n"
    )
    run = CliRunner().invoke

    told = [
        "distill",
        "rollout-files",
        "--data",
        str(data),
        "--config",
        str(config),
        "--store",
        "s",
        "--json",
    ]
    first = run(app, [*told, "--out", "a"])
    second = run(app, [*told, "--out", "b", "--reward", "blue", "--reward", "length=0.25"])
    broken = run(app, [*told, "--out", "c", "--reward", "length=much"])

    assert json.loads(first.stdout) == {"folder": "a", "prompts": {"train": 4, "validation": 0}}
    assert "WEIGHTS = {'length': 1.0}\nOPTIONS = {'length': {'words': 9}}" in Path("a", MODULE).read_text()
    assert "kl_loss_coef=0.02" in Path("a", "README.md").read_text()
    assert f"{str(tmp_path / 's')!r}" in Path("a", MODULE).read_text()
    assert second.exit_code == 0
    assert "WEIGHTS = {'blue': 1.0, 'length': 0.25}" in Path("b", MODULE).read_text()
    assert broken.exit_code != 0
    assert not Path("c").exists()


def test_what_would_overwrite_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "mine").touch()

    found = CliRunner().invoke(
        app, ["distill", "rollout-files", "--data", str(data), "--out", str(tmp_path / "files")]
    )

    assert found.exit_code != 0
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["mine"]
