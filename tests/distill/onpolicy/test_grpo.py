"""A whole on-policy run on a tiny model: drafts, grades, learns, goes on, and is watched."""

import asyncio
import json
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("trl", reason="the extra `train` is not installed")

import torch

from limner.distill.log.training_rows import Messages, PromptOnly
from limner.distill.onpolicy.prompts import CHANGED, REVISION, read_prompts
from limner.distill.rewards.bench import RewardBench
from limner.distill.rewards.exercise import Exercise
from limner.distill.training.config import TrainingSettings, load_training_settings
from limner.distill.training.run_folder import RunRecord
from limner.distill.training.train import train
from limner.distill.training.watching import Look, Writer
from limner.errors import ExamChangedError, SettingsError
from limner.records import Interaction
from limner.tools.scripted import ScriptedChat

Configure = Callable[..., TrainingSettings]
SAID = ('{"likes": ["Likes roses."]}', "noise")


@pytest.fixture
def bench(open_world: Any) -> Any:
    """Open rewards over the small store: the critic's, and a little length control that tells texts apart."""
    return RewardBench(open_world(), {"limner": 1.0, "length": 1.0}, {"length": {"words": 1, "price": 0.01}})


def weights(out: Path) -> dict[str, torch.Tensor]:
    safetensors: Any = import_module("safetensors.torch")
    found: dict[str, torch.Tensor] = safetensors.load_file(out / "adapter" / "adapter_model.safetensors")
    return found


def lora_b(out: Path) -> dict[str, torch.Tensor]:
    """Return the half of a LoRA that starts at zero."""
    return {name: weight for name, weight in weights(out).items() if "lora_B" in name}


def logged(record: RunRecord, name: str) -> list[float]:
    return [entry[name] for entry in record.history if name in entry]


class Spoken(NamedTuple):
    """What was put into the model's mouth, and what it was worth."""

    users: list[str]
    texts: list[str]
    rewards: list[list[float]]


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> Spoken:
    """Let the tiny model, which knows no words, have said something good and something bad for each prompt."""
    from limner.distill.onpolicy.dropping_trainer import GroupDroppingTrainer

    seen = Spoken([], [], [])
    grade = GroupDroppingTrainer._calculate_rewards  # pyright: ignore[reportPrivateUsage]  # TRL's hook

    def speak(self: Any, inputs: Any, prompts: Any, completions: Any, ids: Any) -> torch.Tensor:
        texts = [SAID[place % len(SAID)] for place in range(len(completions))]
        said = [[{"role": "assistant", "content": text}] for text in texts]
        rewards = grade(self, inputs, prompts, said, ids)
        seen.users.extend(each["user_id"] for each in inputs)
        seen.texts.extend(texts)
        seen.rewards.extend([float(value) for value in row] for row in rewards)
        return rewards

    monkeypatch.setattr(GroupDroppingTrainer, "_calculate_rewards", speak)
    return seen


def test_noise_gets_the_floor_and_teaches_nothing(configure: Configure, bench: RewardBench) -> None:
    settings = configure()
    with bench:
        record = train(settings, bench=bench).record

    assert (record.outcome, record.steps, record.plan.rows, record.plan.rows_per_step) == (
        "finished",
        1,
        4,
        2,
    )
    assert logged(record, "rewards/limner/mean") == [-1.0]
    assert logged(record, "limner/malformed") == [1.0]
    assert logged(record, "frac_groups_dropped") == [1.0]
    assert {float(weight.abs().max()) for weight in lora_b(settings.out).values()} == {0.0}


def test_a_step_moves_the_adapter_by_the_critic_s_rewards(
    configure: Configure, bench: RewardBench, prompts: list[PromptOnly], spoken: Spoken
) -> None:
    settings = configure()
    with bench:
        record = train(settings, bench=bench).record
        exercises = {row.user_id: Exercise.of(row) for row in prompts}
        expected = bench.score_many([exercises[user] for user in spoken.users], spoken.texts)
        version = bench.critic_version

    first, same, second, alike = spoken.users
    assert first == same != second == alike
    for [limner, length], terms in zip(spoken.rewards, expected, strict=True):
        assert limner == pytest.approx(terms["limner"])
        assert length == pytest.approx(terms["length"])
    assert [limner for limner, _ in spoken.rewards[1::2]] == [-1.0, -1.0]  # what holds no sentence
    assert logged(record, "frac_groups_dropped") == [0.0]
    assert logged(record, "limner/malformed") == [0.5]
    assert {"kl", "limner/rank", "limner/ground", "completions/clipped_ratio"} <= set(record.history[0])
    assert record.critic_version == version
    assert all(float(weight.abs().max()) > 0 for weight in lora_b(settings.out).values())
    assert not any("ref" in name for name in weights(settings.out))


def test_a_run_goes_on_from_its_checkpoint(configure: Configure, bench: RewardBench, spoken: Spoken) -> None:
    with bench:
        first = train(configure(save_every=1), bench=bench)
        before = weights(first.folder)
        settings = configure(save_every=1, steps=3)
        result = train(settings, bench=bench, resume=True)

    assert (result.record.resumed_from, result.record.steps) == (1, 3)
    assert [entry["step"] for entry in result.record.history if "loss" in entry] == [1.0, 2.0, 3.0]
    after = weights(settings.out)
    assert not any(torch.equal(after[name], before[name]) for name in before if "lora_B" in name)


def test_a_run_starts_from_an_adapter_and_its_kl_is_to_that(
    configure: Configure, bench: RewardBench, tmp_path: Path, spoken: Spoken
) -> None:
    with bench:
        first = train(configure(), bench=bench)
        settings = configure(warm_start=first.adapter, out=tmp_path / "second", learning_rate=1e-9)
        result = train(settings, bench=bench)

    for name, weight in weights(settings.out).items():
        torch.testing.assert_close(weight, weights(first.folder)[name], atol=1e-6, rtol=0.0)
    assert logged(result.record, "kl") == pytest.approx([0.0], abs=1e-6)


class Watching:
    """Remembers what it saw, and stops at a step."""

    def __init__(self, prompt: Messages, stop_at: int) -> None:
        self.prompt, self.stop_at = prompt, stop_at
        self.seen: list[tuple[int, list[str]]] = []

    def look(self, step: int, write: Writer) -> Look:
        """Let the model write."""
        self.seen.append((step, write([self.prompt])))
        return Look({"judge/b": float(step)}, "judges disagree" if step >= self.stop_at else None)


def test_a_watch_sees_the_model_write_and_ends_the_run(
    configure: Configure, bench: RewardBench, prompts: list[PromptOnly]
) -> None:
    watch = Watching(prompts[0].prompt, stop_at=2)
    settings = configure(steps=6, eval_every=1, writing={"max_new_tokens": 6})
    with bench:
        result = train(settings, bench=bench, watches=[watch])

    assert [step for step, _ in watch.seen] == [0, 1, 2]
    record = result.record
    assert (record.outcome, record.message) == ("stopped", "judges disagree")
    assert (record.stopped_at, record.steps) == (2, 1)  # the adapter is that from before the alarm
    assert logged(result.record, "judge/b") == [0.0, 1.0, 2.0]
    assert all(len(texts) == 1 for _, texts in watch.seen)


async def _record(open_world: Any, events: Sequence[Interaction]) -> None:
    async with open_world()() as deps:
        await deps.store.record(events)


def _late(user: str, row: PromptOnly) -> Interaction:
    at = row.as_of.replace(month=row.as_of.month - 1)
    return Interaction(user_id=user, item_id="knots", kind="click", at=at, event_id=f"late-{user}")


def test_prompts_that_cannot_be_graded_alike_are_left_out(
    configure: Configure, bench: RewardBench, open_world: Any, prompts: list[PromptOnly]
) -> None:
    told: list[str] = []
    asyncio.run(_record(open_world, [_late("ada", prompts[0])]))
    with bench:
        result = train(configure(), bench=bench, notice=told.append)

    assert result.record.plan.rows == 3
    assert result.record.plan.left_out == {CHANGED: 1}
    assert f"1 rows left out: {CHANGED}" in told


def test_a_store_of_another_log_is_refused(
    configure: Configure, bench: RewardBench, open_world: Any, prompts: list[PromptOnly]
) -> None:
    asyncio.run(_record(open_world, [_late(row.user_id, row) for row in prompts]))
    settings = configure()

    with bench, pytest.raises(ExamChangedError, match="user_id='ada'"):
        train(settings, bench=bench)
    assert not settings.out.exists()


def test_long_prompts_and_revisions_are_left_out(configure: Configure) -> None:
    class Words:
        """An encoder of one token a word."""

        def prompt(self, messages: Messages) -> tuple[int, ...]:
            return tuple(range(len(" ".join(message.content for message in messages).split())))

    class Rows:
        """Four prompts."""

        def __init__(self, rows: list[PromptOnly]) -> None:
            self._rows = rows

        def prompts(self, split: str) -> list[PromptOnly]:
            return self._rows if split == "train" else []

    from limner.distill.log.training_set import TrainingSet

    settings = configure()
    [first, *others] = TrainingSet.open(settings.data).prompts("train")
    revised = others[0].model_copy(update={"round": 1})
    longer = others[1].model_copy(
        update={"prompt": (first.prompt[0].model_copy(update={"content": "word " * 1500}),)}
    )

    material = read_prompts(settings, Rows([first, revised, longer]), Words())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # doubles of what is read

    assert [row["user_id"] for row in material.rows] == [first.user_id]
    assert material.left_out == {REVISION: 1, "too_long": 1}
    assert material.lengths[0].longest == len(Words().prompt(first.prompt)) + 8
    assert json.loads(json.dumps(material.rows[0])) == material.rows[0]


@pytest.mark.parametrize(
    "flags", [{"batch": 3, "accumulation": 1}, {"batch": 3, "accumulation": 2, "grpo": {"generations": 4}}]
)
def test_groups_must_fill_a_step(tmp_path: Path, flags: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="no multiple of"):
        load_training_settings(None, {"data": tmp_path, "out": tmp_path, "method": "grpo", **flags})


def test_a_step_of_more_prompts_than_there_are_is_refused(configure: Configure, bench: RewardBench) -> None:
    with bench, pytest.raises(SettingsError, match="asks for 8 prompts a step, and there are 4"):
        train(configure(batch=16), bench=bench)


def test_the_defaults_are_blue_s() -> None:
    settings = TrainingSettings(data=Path("d"), out=Path("o"), method="grpo")

    assert settings.grpo.generations == 8
    assert settings.grpo.temperature == settings.grpo.top_p == 1.0
    assert settings.grpo.kl == 0.01
    assert settings.grpo.scale == "group"
    assert settings.rows_per_step == 1


def test_an_unknown_reward_is_refused_before_anything_is_written(
    configure: Configure, open_world: Any
) -> None:
    settings = configure()
    opening = RewardBench(open_world(ScriptedChat()), {"bleu": 1.0})
    with pytest.raises(SettingsError, match="knows no 'bleu'"), opening:
        train(settings, bench=opening)
    assert not settings.out.exists()
