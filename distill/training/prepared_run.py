"""All that a run needs, opened and counted before anything is trained or written."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import SettingsError
from ...settings import Settings
from ...tools.checksums import sha256_of
from ..log.manifest import MANIFEST
from ..log.training_set import TrainingSet
from .adapters import adapted
from .base_weights import Base, open_base
from .config import TrainingSettings
from .encoding import ChatEncoder
from .examples import Material, read_material
from .plan import TrainingPlan, plan_run
from .run_folder import Identity
from .validation import NOTHING, Validation, read_validation

if TYPE_CHECKING:
    from ..rewards.bench import RewardBench

Notice = Callable[[str], None]


class PreparedRun(NamedTuple):
    """A run that can begin."""

    settings: TrainingSettings
    """Everything that decides it."""

    identity: Identity
    """What a resumed run must have in common with it."""

    critic_version: str | None
    """Whose rewards it learns from."""

    base: Base
    """The model it starts from."""

    model: Any
    """The same with the adapter to train."""

    chat: ChatEncoder
    """Messages as the model's tokens."""

    material: Material
    """Rows to train on."""

    validation: Validation
    """Rows to measure on."""

    plan: TrainingPlan
    """What it will do."""

    bench: "RewardBench | None"
    """Grades fresh completions; absent for a method that learns from logged ones."""


def prepare_run(
    settings: TrainingSettings,
    models_dir: Path | None,
    notice: Notice,
    bench: "RewardBench | None" = None,
) -> PreparedRun:
    """Open and count what a run needs.

    Args:
        settings: Everything that decides it.
        models_dir: Folder that weights lie in; absent for the default of `Settings`.
        notice: Told in a few words what happens.
        bench: Grades fresh completions, and is open; prompts it cannot grade are left out.

    Raises:
        See `train`.
    """
    for name in settings.report_to:
        if find_spec(name) is None:
            raise SettingsError("report_to", f"`{name}` is not installed; `pip install {name}`")
    if settings.method == "grpo" and bench is None:
        raise SettingsError(
            "method", "is `grpo`, which grades fresh completions and so needs an open `bench`"
        )
    training = TrainingSet.open(settings.data)
    notice(f"opening {settings.base}")
    base = open_base(settings.base, models_dir or Settings.model_fields["models_dir"].default, notice)
    model, chat = adapted(base, settings), ChatEncoder(base.tokenizer)
    notice("reading the training set")
    material = read_material(settings, training, chat)
    if bench is not None:
        from ..onpolicy.prompts import gradable

        notice("reading what fresh completions are graded against")
        material = gradable(material, bench)
    validation = read_validation(settings, training, chat) if settings.eval_every else NOTHING
    trainable = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    rows = max(len(validation.best), len(validation.chosen))
    plan = plan_run(settings, material, trainable=trainable, validation_rows=rows)
    if settings.method in ("dpo", "ipo", "kto") and settings.warm_start is None:
        notice("no --warm-start: the reference is the bare base, which may never have written such drafts")
    for reason, count in plan.left_out.items():
        notice(f"{count} rows left out: {reason}")
    identity = Identity(
        settings=settings,
        data_sha256=sha256_of(settings.data / MANIFEST),
        base_revision=base.revision,
    )
    critic = bench.critic_version if bench else training.manifest.critic_version
    return PreparedRun(settings, identity, critic, base, model, chat, material, validation, plan, bench)
