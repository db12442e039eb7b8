"""LoRA adapters: a new one or one to go on from, and the frozen copy that losses refer to.

Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685. Differs: on all linear layers but the output, scale
`alpha / rank` with `alpha = 2 rank`.
"""

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, MissingExtraError
from .base_weights import Base
from .config import TrainingSettings
from .quiet import quiet

if TYPE_CHECKING:
    from peft import PeftModel

REFERENCE = "ref"
"""Name of the frozen copy; TRL's, so that its trainers find it."""

TRAINED = "default"
"""Name of the adapter that is trained."""


def adapted(base: Base, settings: TrainingSettings) -> "PeftModel":
    """Put the adapter to train on a base; the base's own weights stay as they are.

    Raises:
        InputError: `warm_start` is no adapter, or one for other weights.
        MissingExtraError: The extra `train` is not installed.
    """
    try:
        peft: Any = import_module("peft")
        import transformers
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    model: PeftModel
    # A new adapter draws its weights when it is made, not when it is trained.
    transformers.set_seed(settings.seed)
    if settings.warm_start is not None:
        model = _warm(peft, base, settings.warm_start)
    else:
        config = peft.LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha or 2 * settings.rank,
            lora_dropout=settings.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        with quiet():
            model = peft.get_peft_model(base.model, config)
    if settings.gradient_checkpointing:
        model.enable_input_require_grads()
    return model


def add_reference(model: "PeftModel") -> None:
    """Keep the adapter as it is now under the name `REFERENCE`, frozen."""
    with quiet():
        model.add_adapter(REFERENCE, model.peft_config[TRAINED])
    for name, parameter in model.named_parameters():
        if f".{TRAINED}." in name:
            model.get_parameter(name.replace(f".{TRAINED}.", f".{REFERENCE}.")).data.copy_(parameter.data)
    model.set_adapter(TRAINED)


@contextmanager
def as_reference(model: "PeftModel") -> Generator[None]:
    """Let a model answer with the frozen copy of its adapter, or as the bare base if there is none."""
    if REFERENCE not in model.peft_config:
        with model.disable_adapter():
            yield
        return
    model.set_adapter(REFERENCE, inference_mode=True)
    try:
        yield
    finally:
        model.set_adapter(TRAINED)


def _warm(peft: Any, base: Base, folder: Path) -> "PeftModel":
    if not (folder / "adapter_config.json").is_file():
        raise InputError(f"--warm-start {folder}: is no adapter; name a run's `adapter` folder")
    try:
        with quiet():
            model: PeftModel = peft.PeftModel.from_pretrained(base.model, str(folder), is_trainable=True)
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"--warm-start {folder}: does not fit the base: {reason}") from error
    revision = model.peft_config[TRAINED].revision
    if revision not in (None, base.revision):
        raise InputError(
            f"--warm-start {folder}: was trained on weights {revision}, but the base is {base.revision}; "
            "name the base it was trained on"
        )
    return model
