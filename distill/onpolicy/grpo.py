"""On-policy GRPO on TRL, as BLUE trains its profiler."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...errors import MissingExtraError, SettingsError
from ..rewards.adapters import trl_rewards
from ..rewards.bench import RewardBench
from ..training.config import TrainingSettings
from ..training.encoding import ChatEncoder

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedTokenizerBase, Trainer


def grpo_trainer(
    model: "PeftModel",
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[Mapping[str, Any]],
    settings: TrainingSettings,
    arguments: Mapping[str, Any],
    bench: RewardBench,
) -> "Trainer":
    """Return a trainer that drafts, grades and learns.

    Rewards are asynchronous functions that run while the bench is open; questions to a model are bounded by each
    reward's `at_once`. A resumed run draws other completions than one that was never interrupted would have.

    Args:
        model: With the adapter to train; TRL keeps a frozen copy of it, to which the KL term refers.
        tokenizer: The base's.
        rows: Prompts with their exams, see `prompts.columns_of`.
        settings: Those of the run.
        arguments: Fields of `transformers.TrainingArguments`.
        bench: Grades, and is open.

    Raises:
        SettingsError: There are fewer prompts than a step takes.
        MissingExtraError: The extra `train` is not installed.
    """
    try:
        tables: Any = import_module("datasets")
        trl: Any = import_module("trl")
        from .dropping_trainer import GroupDroppingTrainer
    except ImportError as error:
        raise MissingExtraError("`grpo`", "train") from error
    prompts = settings.rows_per_step
    if len(rows) < prompts:
        reason = f"asks for {prompts} prompts a step, and there are {len(rows)}; lower it"
        raise SettingsError("batch", reason)
    _end_turns(model, tokenizer)
    config = trl.GRPOConfig(
        **{**arguments, **_options(settings), "reward_weights": list(bench.weights.values())}
    )
    return GroupDroppingTrainer(
        equal_within=settings.grpo.equal_within,
        model=model,
        processing_class=tokenizer,
        args=config,
        train_dataset=tables.Dataset.from_list([dict(row) for row in rows]),
        reward_funcs=trl_rewards(bench),
    )


def _options(settings: TrainingSettings) -> dict[str, Any]:
    grpo = settings.grpo
    return {
        "num_generations": grpo.generations,
        "max_completion_length": grpo.max_new_tokens,
        "temperature": grpo.temperature,
        "top_p": grpo.top_p,
        "top_k": 0,
        "beta": grpo.kl,
        "epsilon": grpo.clip,
        "num_iterations": grpo.iterations,
        "loss_type": grpo.loss,
        "scale_rewards": grpo.scale,
        "multi_objective_aggregation": grpo.combine,
        "mask_truncated_completions": grpo.mask_truncated,
        # On by default since TRL 1.16, it weighs the KL's gradient by the ratio, which GRPO's eq. 4 does not.
        "use_bias_correction_kl": False,
        "disable_dropout": settings.dropout == 0,
        "remove_unused_columns": False,
    }


def _end_turns(model: Any, tokenizer: "PreTrainedTokenizerBase") -> None:
    """Let completions end where the chat template ends a turn, whatever the weights say."""
    generation = model.generation_config
    known = generation.eos_token_id
    ends = set([known] if isinstance(known, int) else known or ())
    generation.eos_token_id = sorted(ends | {ChatEncoder(tokenizer).end})
