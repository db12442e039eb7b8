"""DPO, IPO and KTO by TRL, with the model that training starts from as the reference.

Source: DPO, Rafailov et al. 2023, https://arxiv.org/abs/2305.18290; IPO, Azar et al. 2023,
https://arxiv.org/abs/2310.12036; KTO, Ethayarajh et al. 2024, https://arxiv.org/abs/2402.01306.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...errors import MissingExtraError
from .config import KtoSettings, TrainingSettings

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedTokenizerBase, Trainer

_BALANCE = 7 / 6
"""How much more good drafts weigh in all than bad ones: the middle of the range of KTO's eq. 8, 1 to 4/3."""


def preference_trainer(
    model: "PeftModel",
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[Mapping[str, Any]],
    settings: TrainingSettings,
    arguments: Mapping[str, Any],
) -> "Trainer":
    """Return TRL's trainer for `dpo`, `ipo` or `kto`.

    Args:
        model: With the adapter to train; TRL keeps a frozen copy of it as the reference.
        tokenizer: The base's.
        rows: Pairs or labelled drafts, as lists of messages.
        settings: Those of the run.
        arguments: Fields of `transformers.TrainingArguments`.

    Raises:
        MissingExtraError: The extra `train` is not installed.
    """
    try:
        trl: Any = import_module("trl")
        datasets: Any = import_module("datasets")
    except ImportError as error:
        raise MissingExtraError(f"`{settings.method}`", "train") from error
    given: dict[str, Any] = {
        "model": model,
        "processing_class": tokenizer,
        "train_dataset": datasets.Dataset.from_list([dict(row) for row in rows]),
    }
    # Rows that are too long were left out before; TRL would cut them.
    shared = {**arguments, "max_length": None, "disable_dropout": settings.dropout == 0}
    trainer: Trainer
    if settings.method == "kto":
        config = trl.KTOConfig(**shared, **_kto_options(settings.kto, rows))
        trainer = trl.KTOTrainer(args=config, **given)
    else:
        config = trl.DPOConfig(**shared, **_dpo_options(settings))
        trainer = trl.DPOTrainer(args=config, **given)
    return trainer


def _dpo_options(settings: TrainingSettings) -> dict[str, Any]:
    dpo = settings.dpo
    kinds, weights = ["ipo" if settings.method == "ipo" else "sigmoid"], [1.0]
    if dpo.sft_weight:
        kinds.append("sft")
        weights.append(dpo.sft_weight)
    smoothing = 0.0 if settings.method == "ipo" else dpo.label_smoothing
    return {"loss_type": kinds, "loss_weights": weights, "beta": dpo.beta, "label_smoothing": smoothing}


def _kto_options(kto: KtoSettings, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    good = max(sum(bool(row["label"]) for row in rows), 1)
    bad = max(len(rows) - good, 1)
    balanced = _BALANCE * kto.undesirable_weight * bad / good
    return {
        "beta": kto.beta,
        "desirable_weight": balanced if kto.desirable_weight is None else kto.desirable_weight,
        "undesirable_weight": kto.undesirable_weight,
    }
