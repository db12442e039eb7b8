"""The trainer of each method, with its arguments, who looks, and where it reports to."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...errors import InputError, SettingsError
from .adapters import add_reference
from .config import TrainingSettings
from .interruption import Interruption
from .prepared_run import PreparedRun
from .quiet import quiet
from .run_folder import CHECKPOINTS, TENSORBOARD
from .watching import Watch
from .writing import ModelWriter

if TYPE_CHECKING:
    from transformers import Trainer

    from .looking import Advance, Looking

_KEPT = 3
"""Checkpoints that are kept."""


def build_trainer(run: PreparedRun) -> "Trainer":
    """Return the trainer of the run's method.

    Raises:
        InputError: Several GPUs are visible to one process.
        SettingsError: The settings cannot be kept in the way that processes share the model.
        MissingExtraError: The extra `train` is not installed.
    """
    settings = run.settings
    with quiet():
        if settings.method in ("dpo", "ipo", "kto"):
            from .preference_trainers import preference_trainer

            trainer = preference_trainer(
                run.model, run.base.tokenizer, run.material.rows, settings, trainer_arguments(settings)
            )
        elif run.bench is not None:
            from ..onpolicy.grpo import grpo_trainer

            trainer = grpo_trainer(
                run.model,
                run.base.tokenizer,
                run.material.rows,
                settings,
                trainer_arguments(settings),
                run.bench,
            )
        else:
            trainer = _offline_trainer(run)
    count = trainer.args.n_gpu
    if count > 1:
        raise InputError(
            f"{count} GPUs are visible to one process; start with `accelerate launch`, or make one visible"
        )
    if trainer.is_fsdp_enabled and settings.eval_every:
        raise SettingsError("eval_every", "must be 0 under FSDP, where no process holds the whole model")
    return trainer


def trainer_arguments(settings: TrainingSettings) -> dict[str, Any]:
    """Return the fields of `transformers.TrainingArguments` that all methods share."""
    import torch

    gpu = settings.device == "auto" and torch.cuda.is_available()
    automatic = settings.precision == "auto" and gpu and torch.cuda.is_bf16_supported()
    short = settings.precision == "bfloat16" or automatic
    return {
        "output_dir": str(settings.out / CHECKPOINTS),
        "use_cpu": settings.device == "cpu" or (short and not gpu),  # else transformers refuses the precision
        "bf16": short,
        "seed": settings.seed,
        "max_steps": settings.steps or -1,
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch,
        "gradient_accumulation_steps": settings.accumulation,
        "average_tokens_across_devices": True,
        "ddp_find_unused_parameters": False,  # an adapter has none
        _checkpointing(): settings.gradient_checkpointing,
        "learning_rate": settings.peak_rate,
        "lr_scheduler_type": "constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        "warmup_steps": settings.warmup,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "logging_steps": settings.log_every,
        "logging_first_step": True,
        "save_strategy": "steps",
        "save_steps": settings.checkpoint_every,
        "save_total_limit": _KEPT,
        "dataloader_pin_memory": gpu,
        "report_to": list(settings.report_to),
        "disable_tqdm": True,
    }


def equip(
    trainer: "Trainer",
    run: PreparedRun,
    watches: Sequence[Watch],
    interruption: Interruption,
    advance: "Advance",
) -> "Looking":
    """Give a trainer who looks, and where it reports to."""
    from transformers import PrinterCallback

    from .looking import Looking

    settings = run.settings
    looking = Looking(
        trainer=trainer,
        model=run.model,
        chat=run.chat,
        watches=watches,
        validation=run.validation,
        interruption=interruption,
        every=settings.eval_every,
        batch=settings.batch,
        writer=ModelWriter(run.model, run.chat, settings.writing),
        folder=settings.out,
        advance=advance,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(looking)
    if find_spec("tensorboard") is not None and trainer.is_world_process_zero():
        writers: Any = import_module("torch.utils.tensorboard")
        reporters: Any = import_module("transformers.integrations")
        events = writers.SummaryWriter(str(settings.out / TENSORBOARD))
        trainer.add_callback(reporters.TensorBoardCallback(events))
    return looking


def _offline_trainer(run: PreparedRun) -> "Trainer":
    from transformers import TrainingArguments

    from .batches import Collator
    from .offline_trainer import OfflineTrainer

    surrogate = run.settings.grpo_offline if run.settings.method == "grpo-offline" else None
    if surrogate is not None:
        add_reference(run.model)
    given: Mapping[str, Any] = trainer_arguments(run.settings)
    return OfflineTrainer(
        surrogate=surrogate,
        model=run.model,
        args=TrainingArguments(**given, remove_unused_columns=False),
        train_dataset=run.material.rows,
        data_collator=Collator(run.chat.pad),
    )


def _checkpointing() -> str:
    """Return transformers' word for computing activations twice, which it changed within its fifth version."""
    from transformers import TrainingArguments

    new = "activation_checkpointing"
    return new if new in {field.name for field in fields(TrainingArguments)} else "gradient_checkpointing"
