"""Groups of equal rewards leave no trace in a step."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

trl: Any = pytest.importorskip("trl", reason="the extra `train` is not installed")

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from limner.distill.onpolicy.dropping_trainer import GroupDroppingTrainer, equal_groups
from limner.distill.training.quiet import quiet

datasets: Any = import_module("datasets")
peft: Any = import_module("peft")
transformers: Any = import_module("transformers")

Make = Callable[..., Any]

FOUR = [
    {"prompt": [{"role": "user", "content": f"Number {number}."}], "number": number} for number in range(4)
]


def reward(completions: list[Any], number: list[int], **_: Any) -> list[float | None]:
    """Prompts of even numbers get one reward for all; the others alternate, so that they tell something."""
    return [0.5 if user % 2 == 0 else float(place % 2) for place, user in enumerate(number)]


def step(
    tiny_model: Path,
    folder: Path,
    *,
    kind: Make,
    rows: list[dict[str, Any]],
    loss: str,
    batch: int = 8,
    accumulation: int = 1,
    rewards: Any = reward,
    **options: Any,
) -> tuple[Mapping[str, float], dict[str, torch.Tensor]]:
    """Take one step of two completions a prompt; return what was logged, and the gradient of each weight."""
    arguments = {
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": accumulation,
        "num_generations": 2,
        "max_completion_length": 6,
        "beta": 0.1,
        "use_bias_correction_kl": False,
        "loss_type": loss,
        "max_steps": 1,
        "logging_steps": 1,
        "max_grad_norm": 1e9,
        "report_to": "none",
        "save_strategy": "no",
        "shuffle_dataset": False,
        "disable_tqdm": True,
        "seed": 1,
        "learning_rate": 1e-3,
        "mask_truncated_completions": False,
    }
    gradients: dict[str, torch.Tensor] = {}
    with quiet():
        trainer = kind(
            model=_adapted(tiny_model),
            processing_class=transformers.AutoTokenizer.from_pretrained(tiny_model),
            args=trl.GRPOConfig(output_dir=str(folder), **{**arguments, **options}),
            train_dataset=datasets.Dataset.from_list(rows),
            reward_funcs=rewards,
        )
        trainer.add_callback(Gradients(gradients))
        trainer.train()
    return trainer.state.log_history[0], gradients


class Gradients(TrainerCallback):
    """Keeps the gradients of the first step."""

    def __init__(self, kept: dict[str, torch.Tensor]) -> None:
        self._kept = kept

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Copy them."""
        model: torch.nn.Module = kwargs["model"]
        for name, weight in model.named_parameters():
            if weight.grad is not None:
                self._kept[name] = weight.grad.clone()


def dropping(**kwargs: Any) -> Any:
    """Return the trainer under test."""
    return GroupDroppingTrainer(equal_within=1e-4, **kwargs)


def _adapted(tiny_model: Path) -> Any:
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    lora = peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    return peft.get_peft_model(model, lora)


@pytest.mark.parametrize("loss", ["grpo", "dr_grpo", "dapo"])
def test_half_the_groups_equal_makes_the_step_twice_trl_s(
    tiny_model: Path, tmp_path: Path, loss: str
) -> None:
    options: dict[str, Any] = {"rows": FOUR, "loss": loss, "beta": 0.0}

    zeroed, _ = step(tiny_model, tmp_path / "a", kind=trl.GRPOTrainer, **options)
    dropped, _ = step(tiny_model, tmp_path / "b", kind=dropping, **options)

    # Without KL an equal group has no gradient either way; TRL divides by all completions (or tokens, which are
    # as many in each here: nothing ends within six), we by the half that tell something.
    assert zeroed["completions/min_length"] == zeroed["completions/max_length"] == 6
    assert zeroed["grad_norm"] > 0
    assert dropped["grad_norm"] / zeroed["grad_norm"] == pytest.approx(2.0, rel=1e-4)
    assert dropped["frac_groups_dropped"] == zeroed["frac_reward_zero_std"] == 0.5


@pytest.mark.parametrize("loss", ["grpo", "dapo"])
def test_an_equal_group_s_kl_pulls_nothing(tiny_model: Path, tmp_path: Path, loss: str) -> None:
    def all_equal(completions: list[Any], **_: Any) -> list[float]:
        return [0.5] * len(completions)

    options: dict[str, Any] = {"rows": FOUR, "loss": loss, "rewards": all_equal, "num_iterations": 1}

    zeroed, pulled = step(tiny_model, tmp_path / "a", kind=shaken(trl.GRPOTrainer), **options)
    dropped, still = step(tiny_model, tmp_path / "b", kind=shaken(dropping), **options)

    assert zeroed["kl"] > 0
    assert zeroed["grad_norm"] > 0
    assert any(float(gradient.abs().max()) > 0 for gradient in pulled.values())
    assert dropped["grad_norm"] == 0.0
    assert all(float(gradient.abs().max()) == 0.0 for gradient in still.values())
    assert dropped["frac_groups_dropped"] == 1.0


def shaken(kind: Make) -> Make:
    """Move the trained adapter away from its reference, so that there is a KL."""

    def make(**kwargs: Any) -> Any:
        trainer = kind(**kwargs)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for name, weight in trainer.model.named_parameters():
                if ".default." in name:
                    weight += 0.05 * torch.randn(weight.shape, generator=generator)
        return trainer

    return make


@pytest.mark.parametrize("loss", ["grpo", "dr_grpo", "dapo"])
def test_accumulation_does_not_change_the_step(tiny_model: Path, tmp_path: Path, loss: str) -> None:
    options: dict[str, Any] = {"rows": FOUR, "loss": loss}

    whole, _ = step(tiny_model, tmp_path / "a", kind=shaken(dropping), **options)
    parts, _ = step(tiny_model, tmp_path / "b", kind=shaken(dropping), batch=2, accumulation=4, **options)

    assert parts["frac_groups_dropped"] == whole["frac_groups_dropped"] == 0.5
    assert parts["grad_norm"] == pytest.approx(whole["grad_norm"], rel=1e-4)


def test_a_completion_without_one_of_its_rewards_has_none(tiny_model: Path, tmp_path: Path) -> None:
    def graded(completions: list[Any], **_: Any) -> list[float]:
        return [float(place % 2) for place in range(len(completions))]

    def silent_once(completions: list[Any], number: list[int], **_: Any) -> list[float | None]:
        # Nothing for one completion of prompt 1, nothing at all for prompt 2.
        return [None if place == 2 or user == 2 else 0.0 for place, user in enumerate(number)]

    seen: list[torch.Tensor] = []

    class Seeing(GroupDroppingTrainer):
        """Keeps what was graded."""

        def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            seen.append(super()._calculate_rewards(*args, **kwargs))
            return seen[-1]

    step(
        tiny_model,
        tmp_path,
        kind=partial(Seeing, equal_within=1e-4),
        rows=FOUR,
        loss="grpo",
        rewards=[graded, silent_once],
    )

    [rewards] = seen
    assert rewards.shape == (8, 2)
    lacking = rewards.isnan()
    assert lacking[2].all()
    assert lacking[4:6, 1].all()
    assert not lacking[4:6, 0].any()
    assert int(lacking.sum()) == 4


@pytest.mark.parametrize(
    ("rewards", "dropped"),
    [
        ([[0.5, 1.0], [1.0, 0.5], [0.0, 0.0], [0.1, 0.0]], [True, True, False, False]),  # 1.5 and 1.5
        ([[math.nan, math.nan], [1.0, 1.0], [1.0, math.nan], [0.0, math.nan]], [True, True, False, False]),
    ],
)
def test_what_counts_is_the_weighted_sum(rewards: list[list[float]], dropped: list[bool]) -> None:
    assert equal_groups(torch.tensor(rewards), torch.ones(2), 2, 1e-4).tolist() == dropped
