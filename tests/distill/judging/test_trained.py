"""Profilers that were trained here: they are watched, they write, and they are compared."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from limner.cli import app
from limner.commands.distill_watch import hacking_watch
from limner.distill.judging.alarm import AlarmRule
from limner.distill.judging.base_loss import base_log_loss
from limner.distill.judging.evaluation import read_evaluation
from limner.distill.judging.profilers import AdapterProfiler, Sitting
from limner.distill.judging.sitters import Sitter
from limner.distill.training.adapters import adapted
from limner.distill.training.base_weights import open_base
from limner.distill.training.config import TrainingSettings
from limner.distill.training.encoding import ChatEncoder
from limner.distill.training.run_folder import read_run
from limner.distill.training.train import train
from limner.records import Message
from limner.settings import load_settings

Settings = Callable[[Path], TrainingSettings]
PROMPT = (Message(role="user", content="Draw."),)
SHORT = 12


@pytest.fixture
def settings(tiny_model: Path, stocked: Path) -> Settings:
    """Make settings of a run of two steps on the tiny model."""

    def make(out: Path) -> TrainingSettings:
        fields = {
            "data": stocked / "set",
            "out": out,
            "base": str(tiny_model),
            "steps": 2,
            "batch": 2,
            "learning_rate": 1e-2,
            "max_tokens": 2048,
            "eval_every": 1,
            "eval_rows": 2,
            "device": "cpu",
            "threads": 1,
            "writing": {"max_new_tokens": SHORT},
        }
        return TrainingSettings.model_validate(fields)

    return make


def test_surprise_is_the_mean_negative_log_probability_of_a_token(tiny_model: Path, tmp_path: Path) -> None:
    base = open_base(str(tiny_model), tmp_path)
    model, chat = base.model, ChatEncoder(base.tokenizer)
    texts = ["tea", "a longer portrait"]

    found = base_log_loss(model, chat, batch=2)([PROMPT] * 2, texts)

    for text, loss in zip(texts, found, strict=True):
        prompt = list(chat.prompt(PROMPT))
        written = list(chat.completion((Message(role="assistant", content=text),)))
        with torch.no_grad():
            logits = model(torch.tensor([prompt + written])).logits[0]
        # The logits one place before a token are of that token.
        told = torch.log_softmax(logits, -1)[len(prompt) - 1 : -1]
        expected = -sum(float(told[place, token]) for place, token in enumerate(written)) / len(written)
        assert loss == pytest.approx(expected, rel=1e-4)


def test_surprise_is_that_of_the_base_whatever_the_adapter_learned(
    tiny_model: Path, settings: Settings, tmp_path: Path
) -> None:
    base = open_base(str(tiny_model), tmp_path)
    chat = ChatEncoder(base.tokenizer)
    before = base_log_loss(base.model, chat)([PROMPT], ["tea"])
    model = adapted(base, settings(tmp_path / "run"))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights.fill_(0.5)
    model.train()

    after = base_log_loss(model, chat)([PROMPT], ["tea"])

    with torch.no_grad():
        model.eval()
        ids = torch.tensor(
            [[*chat.prompt(PROMPT), *chat.completion((Message(role="assistant", content="tea"),))]]
        )
        with_adapter = model(ids).logits
        with model.disable_adapter():
            assert not torch.allclose(with_adapter, model(ids).logits)
    assert after == pytest.approx(before)


def test_a_run_is_watched_with_the_perplexity_of_its_own_base(
    stocked: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    store = load_settings(store=stocked / "store")
    chosen, rule = settings(tmp_path / "run"), AlarmRule(fewest=2)

    with hacking_watch(store, chosen.data, tmp_path / "looks", held_out=None, users=3, rule=rule) as watch:
        result = train(chosen, watches=[watch])

    points = [point for point in result.record.history if "meaning/perplexity" in point]
    assert [point["step"] for point in points] == [0, 1, 2]
    assert all(point["meaning/malformed"] == 1.0 for point in points)  # twelve random bytes are no portrait
    assert all(1 < point["meaning/perplexity"] < math.inf for point in points)
    assert all("gain/critic/total" in point for point in points)


async def test_a_runs_adapter_writes_and_the_same_seeds_write_the_same(
    settings: Settings, tmp_path: Path, sitters: Callable[[int], list[Sitter]]
) -> None:
    train(settings(tmp_path / "run"))
    sittings = [Sitting(each.row, seed, None, SHORT) for seed, each in enumerate(sitters(3))]
    others = [each._replace(seed=each.seed + 9) for each in sittings]

    one = await AdapterProfiler(tmp_path / "run", tmp_path, temperature=1.0).draw(sittings)
    two = await AdapterProfiler(tmp_path / "run", tmp_path, temperature=1.0).draw(sittings)
    three = await AdapterProfiler(tmp_path / "run", tmp_path, temperature=1.0).draw(others)

    assert one == two != three
    assert len(one) == 3


def test_the_command_trains_under_watch(
    stocked: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    Path("short.toml").write_text("[writing]\nmax_new_tokens = 12\n")

    done = CliRunner().invoke(
        app,
        [
            "distill", "train", "--data", str(stocked / "set"), "--out", "run", "--base", str(tiny_model),
            "--config", "short.toml", "--steps", "1", "--eval-every", "1", "--batch", "2", "--max-tokens", "2048",
            "--device", "cpu", "--threads", "1", "--watch-users", "8", "--store", str(stocked / "store"), "--json",
        ],
    )  # fmt: skip

    assert done.exit_code == 0, done.stderr
    history = json.loads(done.stdout)["history"]
    assert [point["step"] for point in history if "judge/bm25" in point] == [0, 1]
    assert len(list(Path("run/looks").iterdir())) == 2


def test_two_runs_are_compared(
    stocked: Path, settings: Settings, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    for name, seed in (("one", 0), ("two", 1)):
        chosen = settings(tmp_path / name).model_copy(update={"seed": seed, "eval_every": 0})
        train(chosen)
        assert read_run(tmp_path / name).outcome == "finished"

    done = CliRunner().invoke(
        app,
        [
            "distill", "eval", "--data", str(stocked / "set"), "--store", str(stocked / "store"), "--users", "2",
            "--candidate", str(tmp_path / "one"), "--baseline", str(tmp_path / "two"), "--base", str(tiny_model),
            "--json",
        ],
    )  # fmt: skip

    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["plan"]["guided"] is False  # nobody holds transformers to a schema
    found = read_evaluation(Path("evaluation"))
    assert found.plan.candidate_identity != found.plan.baseline_identity
    loss = found.figure("meaning/log_loss")
    assert loss is not None and loss.users == 2
