"""What a run does: to the weights, to the folder, and again."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from limner.distill.training.config import METHODS, Method, TrainingSettings  # needs the extra
from limner.distill.training.run_folder import read_run
from limner.distill.training.train import TrainingResult, dry_run, train
from limner.distill.training.watching import Look, Writer
from limner.errors import InputError, SettingsError, UnknownFormatError
from limner.records import Message

Set = Callable[..., TrainingSettings]
Weights = dict[str, Any]

PROMPT = (Message(role="user", content="Draw user 1."),)


def weights_in(folder: Path) -> Weights:
    safetensors: Any = import_module("safetensors.torch")
    return dict(safetensors.load_file(folder / "adapter_model.safetensors"))


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def near(one: Weights, other: Weights) -> bool:
    return all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


def curve(result: TrainingResult, name: str) -> list[float]:
    return [point[name] for point in result.record.history if name in point]


@pytest.mark.parametrize("method", [method for method in METHODS if method != "grpo"])
def test_every_method_trains_the_adapter_and_nothing_else(
    method: Method, settings: Set, tiny_model: Path
) -> None:
    before = (tiny_model / "model.safetensors").read_bytes()

    result = train(settings(method=method))

    lifted = [weight for name, weight in weights_in(result.adapter).items() if "lora_B" in name]
    assert any(weight.abs().max() > 0 for weight in lifted)  # they begin at 0
    assert not any(".ref." in name for name in weights_in(result.adapter))
    assert (tiny_model / "model.safetensors").read_bytes() == before
    assert (result.record.outcome, result.record.steps) == ("finished", 4)
    assert len(curve(result, "loss")) == 4


@pytest.mark.parametrize("method", ["dpo", "grpo-offline"])
def test_the_reference_stays_what_training_started_from(
    method: Method, settings: Set, tmp_path: Path
) -> None:
    first = train(settings(steps=2, out=tmp_path / "first"))

    second = train(settings(method=method, warm_start=first.adapter, steps=4, save_every=4))

    reference = weights_in(second.folder / "checkpoints" / "checkpoint-4" / "ref")
    assert same(reference, weights_in(first.adapter))
    assert not same(weights_in(second.adapter), weights_in(first.adapter))


def test_best_of_n_learns_to_write_the_best(settings: Set) -> None:
    result = train(settings(steps=30, learning_rate=2e-2, eval_every=15, log_every=15))

    logprobs = curve(result, "validation_logprob")
    assert len(logprobs) == 3  # before the first step, at 15, at 30
    assert logprobs[-1] > logprobs[1] > logprobs[0]


@pytest.mark.parametrize("method", ["raft", "grpo-offline"])
def test_how_a_step_is_cut_into_batches_does_not_matter(
    method: Method, settings: Set, tmp_path: Path
) -> None:
    whole = train(settings(method=method, batch=8, accumulation=1, out=tmp_path / "whole"))
    cut = train(settings(method=method, batch=2, accumulation=4, out=tmp_path / "cut"))

    assert curve(cut, "loss") == pytest.approx(curve(whole, "loss"), abs=1e-4)
    assert curve(cut, "grad_norm") == pytest.approx(curve(whole, "grad_norm"), rel=1e-3)
    assert near(weights_in(cut.adapter), weights_in(whole.adapter))


def test_the_same_seed_gives_the_same_weights_and_another_one_others(settings: Set, tmp_path: Path) -> None:
    first, again, other = (
        train(settings(seed=seed, out=tmp_path / str(number))) for number, seed in enumerate((3, 3, 4))
    )

    assert same(weights_in(first.adapter), weights_in(again.adapter))
    assert not same(weights_in(first.adapter), weights_in(other.adapter))
    assert [point for point in first.record.history if "loss" in point] == [
        point for point in again.record.history if "loss" in point
    ]


class Killer:
    """A watch that dies at a step, as a machine does."""

    def __init__(self, at: int) -> None:
        self._at = at

    def look(self, step: int, write: Writer) -> Look:
        """Count the steps, or die."""
        if step == self._at:
            raise ConnectionError("the machine is gone")
        return Look({"seen": float(step)})


@pytest.mark.parametrize("method", ["raft", "dpo"])
def test_a_killed_run_goes_on_to_where_it_would_have_been(
    method: Method, settings: Set, tmp_path: Path
) -> None:
    whole = train(settings(method=method, steps=6, out=tmp_path / "whole"), watches=[Killer(at=-1)])
    with pytest.raises(ConnectionError):
        train(settings(method=method, steps=6), watches=[Killer(at=4)])
    folder = settings().out
    assert not (folder / "run.json").exists()
    assert not (folder / "adapter").exists()

    result = train(settings(method=method, steps=6), resume=True, watches=[Killer(at=-1)])

    assert result.record.resumed_from == 2
    assert near(weights_in(result.adapter), weights_in(whole.adapter))
    assert curve(result, "loss") == pytest.approx(curve(whole, "loss"), abs=1e-5)
    assert curve(result, "seen") == [0.0, 2.0, 4.0, 6.0]


def test_a_checkpoint_that_was_cut_off_is_passed_over(settings: Set) -> None:
    with pytest.raises(ConnectionError):
        train(settings(steps=6), watches=[Killer(at=4)])
    half = settings().out / "checkpoints" / "checkpoint-4"
    half.mkdir()
    (half / "adapter_model.safetensors").write_bytes(b"half")

    result = train(settings(steps=6), resume=True)

    assert result.record.resumed_from == 2
    assert (half / "trainer_state.json").is_file()


def test_a_run_killed_before_its_first_checkpoint_starts_again(settings: Set) -> None:
    with pytest.raises(ConnectionError):
        train(settings(), watches=[Killer(at=0)])

    result = train(settings(), resume=True)

    assert (result.record.resumed_from, result.record.steps) == (None, 4)


@pytest.mark.parametrize("watched", [True, False])
def test_a_resumed_run_says_that_nobody_watches_it_any_more(settings: Set, watched: bool) -> None:
    train(settings(steps=2))
    if watched:
        (settings().out / "looks").mkdir()
    told: list[str] = []

    train(settings(steps=4), resume=True, notice=told.append)

    assert any("name `--watch-users` again" in line for line in told) == watched


def test_a_finished_run_goes_on_only_with_more_steps(settings: Set) -> None:
    train(settings(steps=2))

    with pytest.raises(InputError, match="is finished at step 2; raise `--steps`"):
        train(settings(steps=2), resume=True)
    result = train(settings(steps=4), resume=True)

    assert (result.record.resumed_from, result.record.steps) == (2, 4)
    assert read_run(result.folder) == result.record


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.5}, r"setting `learning_rate`: was 0.01 when the run began, not 0.5"),
        ({"batch": 8}, r"setting `batch`: times `accumulation` was 4 when the run began, not 8"),
    ],
)
def test_a_run_is_resumed_with_its_own_settings(
    settings: Set, changes: dict[str, object], message: str
) -> None:
    train(settings(steps=2))

    with pytest.raises(SettingsError, match=message):
        train(settings(steps=4, **changes), resume=True)


def test_a_folder_in_use_is_not_written_to(settings: Set) -> None:
    out = settings().out
    out.mkdir()
    (out / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match=r"is not empty$"):
        train(settings())
    with pytest.raises(UnknownFormatError, match=r"settings\.json: is no run"):
        train(settings(), resume=True)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


class Author:
    """A watch that lets the model write, and may end training."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.texts: dict[int, list[str]] = {}
        self._stop_at = stop_at

    def look(self, step: int, write: Writer) -> Look:
        """Keep what the model writes."""
        first, again = write([PROMPT, PROMPT]), write([PROMPT, PROMPT])
        assert first == again
        self.texts[step] = first
        return Look({"words": float(len(first[0]))}, "too good" if step == self._stop_at else None)


def test_a_watch_ends_training_and_leaves_the_adapter_from_before_its_alarm(
    settings: Set, tmp_path: Path
) -> None:
    author = Author(stop_at=4)

    result = train(settings(steps=6, learning_rate=0.5, writing={"max_new_tokens": 8}), watches=[author])

    assert list(author.texts) == [0, 2, 4]
    assert author.texts[0] != author.texts[2]
    record = result.record
    assert (record.outcome, record.message, record.stopped_at, record.steps) == ("stopped", "too good", 4, 2)
    before = weights_in(result.folder / "checkpoints" / "checkpoint-2")
    assert same(weights_in(result.adapter), before)
    assert [path.name for path in (result.folder / "checkpoints").iterdir()] == ["checkpoint-2"]
    assert (
        "Stopped at step 4: too good. The adapter is that of step 2."
        in (result.folder / "report.html").read_text()
    )
    with pytest.raises(InputError, match=r"was stopped at step 4 \(too good\)"):
        train(settings(steps=8, learning_rate=0.5), resume=True)


def test_an_alarm_outlives_a_crash(settings: Set) -> None:
    stopped = train(settings(steps=6, learning_rate=0.5), watches=[Author(stop_at=4)])
    learnt = weights_in(stopped.adapter)
    (stopped.folder / "run.json").unlink()  # the machine died between the alarm and the record

    result = train(settings(steps=6, learning_rate=0.5), watches=[Author()], resume=True)

    assert (result.record.outcome, result.record.stopped_at, result.record.steps) == ("stopped", 4, 2)
    assert same(weights_in(result.adapter), learnt)


def test_watching_changes_nothing(settings: Set, tmp_path: Path) -> None:
    watched = train(settings(dropout=0.1, out=tmp_path / "watched"), watches=[Author()])
    alone = train(settings(dropout=0.1, eval_every=0, save_every=2, out=tmp_path / "alone"))

    assert same(weights_in(watched.adapter), weights_in(alone.adapter))


def test_the_folder_tells_the_run(settings: Set, training_set: Path) -> None:
    result = train(settings(method="awr"))

    names = {path.name for path in result.folder.iterdir()}
    assert names == {
        "adapter",
        "checkpoints",
        "curves.png",
        "report.html",
        "run.json",
        "settings.json",
        "tensorboard",
    }
    assert (result.folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    report = (result.folder / "report.html").read_text()
    assert "data:image/png;base64," in report
    assert "http" not in report.replace("http-equiv", "")
    record = json.loads((result.folder / "run.json").read_text())
    assert record["identity"]["settings"]["data"] == str(training_set)
    assert record["plan"]["effective_rows"] < record["plan"]["rows"] == 54
    assert record["critic_version"] == "c1"
    config = json.loads((result.adapter / "adapter_config.json").read_text())
    assert config["revision"] == record["identity"]["base_revision"]
    assert config["base_model_name_or_path"] == record["identity"]["settings"]["base"]
    assert any((result.folder / "tensorboard").glob("events.*"))


def test_a_dry_run_counts_what_the_run_does_and_writes_nothing(settings: Set) -> None:
    counted = dry_run(settings(steps=None, epochs=1.5, accumulation=2))
    assert not settings().out.exists()

    result = train(settings(steps=None, epochs=1.5, accumulation=2))

    # 18 rows in batches of 4 are 5 batches, 3 steps a pass; one and a half passes take 5.
    assert counted.steps == result.record.steps == 5
    assert counted.model_copy(update={"seconds": None, "seconds_per_step": None}) == result.record.plan
    assert counted.seconds is not None


def test_an_adapter_of_other_weights_is_no_start(settings: Set, tmp_path: Path) -> None:
    first = train(settings(steps=2, out=tmp_path / "first"))
    config = first.adapter / "adapter_config.json"
    told = json.loads(config.read_text())
    config.write_text(json.dumps(told | {"revision": "0123456789ab"}))

    with pytest.raises(InputError, match="was trained on weights 0123456789ab"):
        train(settings(warm_start=first.adapter))
    with pytest.raises(InputError, match="is no adapter; name a run's `adapter` folder"):
        train(settings(warm_start=first.folder))


def test_a_tracker_that_is_not_installed_is_named_before_anything_is_opened(settings: Set) -> None:
    with pytest.raises(SettingsError, match="`wandb` is not installed"):
        train(settings(report_to=("wandb",), base="nowhere"))


@pytest.mark.parametrize("method", ["raft", "dpo"])
def test_a_run_killed_behind_its_last_step_takes_no_further_one(method: Method, settings: Set) -> None:
    whole = train(settings(method=method, steps=2))
    learnt = weights_in(whole.adapter)
    (whole.folder / "run.json").unlink()  # the machine died between the last checkpoint and the record

    result = train(settings(method=method, steps=2), resume=True)

    assert (result.record.resumed_from, result.record.steps) == (2, 2)
    assert same(weights_in(result.adapter), learnt)
