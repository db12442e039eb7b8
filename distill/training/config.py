"""Settings of a training run: one file, and flags that win over it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from ...errors import InputError, SettingsError
from ...faults import first_fault
from ...records import Record
from ..onpolicy.settings import OnPolicySettings

Method = Literal["raft", "bc", "awr", "dpo", "ipo", "kto", "grpo-offline", "grpo"]

METHODS: tuple[Method, ...] = get_args(Method)

Reporter = Literal["trackio", "wandb"]

RATES: dict[Method, float] = {
    "raft": 2e-4,
    "bc": 2e-4,
    "awr": 2e-4,
    "dpo": 5e-5,
    "ipo": 5e-5,
    "kto": 5e-5,
    "grpo-offline": 1e-4,
    "grpo": 2e-5,
}
"""Learning rates for LoRA, by method; losses against a reference take smaller steps."""


class AwrSettings(Record):
    """Advantage-weighted regression. The weights themselves are made by `limner distill prepare`."""

    draw: Literal["resample", "scale"] = "resample"
    """`resample`: as many rows as there are, drawn by weight; `scale`: every row, its loss times its weight.
    Both have the same expected gradient; resampling wastes no step on rows of next to no weight."""


class DpoSettings(Record):
    """DPO and IPO."""

    beta: PositiveFloat = 0.1
    """Strength of the pull to the reference (DPO eq. 7; IPO's tau, eq. 17)."""

    label_smoothing: Annotated[float, Field(ge=0.0, lt=0.5)] = 0.0
    """Share of pairs taken to be the wrong way round; DPO only."""

    sft_weight: NonNegativeFloat = 0.0
    """Weight of the chosen draft's own likelihood, which keeps it from falling; 0 for plain DPO."""


class KtoSettings(Record):
    """KTO."""

    beta: PositiveFloat = 0.1
    """Strength of the pull to the reference."""

    desirable_weight: PositiveFloat | None = None
    """Weight of good drafts; absent: such that both kinds weigh the same (KTO eq. 8)."""

    undesirable_weight: PositiveFloat = 1.0
    """Weight of bad drafts."""


class OfflineGrpoSettings(Record):
    """GRPO's surrogate on logged drafts."""

    clip: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """How far the importance ratio of a token may move from 1 before its gradient ends."""

    max_ratio: Annotated[float, Field(gt=1.0)] = 3.0
    """Bound of the ratio where the advantage is negative: a stale draft is pushed away no harder than this."""

    kl: NonNegativeFloat = 0.01
    """Weight of the KL term to the reference."""

    ratio: Literal["auto", "logged", "reference"] = "auto"
    """What the ratio is against: `logged`, the log-probabilities that the log holds for tokens of our own
    tokenizer, and rows without them are left out; `reference`, the model that training starts from; `auto`,
    the first where a row has them, else the second."""


class WritingSettings(Record):
    """How watches see the model write."""

    temperature: NonNegativeFloat = 1.0
    """Sampling temperature; 0 for the likeliest token."""

    max_new_tokens: PositiveInt = 256
    """Length at which a completion is cut."""

    batch: PositiveInt = 8
    """Prompts at once."""

    seed: int = 0
    """The same at every look, so that looks differ by the model alone."""


class TrainingSettings(Record):
    """Everything that decides a training run."""

    data: Path
    """Folder that `limner distill prepare` wrote."""

    out: Path
    """Folder of the run; new or empty unless the run is resumed."""

    method: Method = "raft"
    """How rewards become a loss."""

    base: str = "limner/smollm2-135m"
    """`limner/NAME` of weights in the models folder, a `.gguf` file, or a Hugging Face folder."""

    warm_start: Path | None = None
    """Adapter to go on from; it is the reference of the methods that have one. Absent: a new adapter, whose
    reference is the base."""

    seed: int = 0
    """Of the new adapter, the order of the rows, and the drawing of rows."""

    steps: PositiveInt | None = None
    """Optimiser steps; absent: as many as `epochs` takes."""

    epochs: PositiveFloat = 3.0
    """Passes over the rows, unless `steps` is given."""

    learning_rate: PositiveFloat | None = None
    """Peak of the schedule; absent: the method's own, see `RATES`."""

    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Learning rate after the warm-up."""

    warmup: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    """Share of the steps in which the learning rate rises."""

    weight_decay: NonNegativeFloat = 0.0
    """AdamW's."""

    max_grad_norm: PositiveFloat = 1.0
    """Gradients longer than this are cut to it."""

    batch: PositiveInt = 4
    """Rows a device holds at once; memory goes with it."""

    accumulation: PositiveInt = 2
    """Batches an optimiser step; `batch` 2 x `accumulation` 4 learns what 8 x 1 learns, in less memory."""

    rank: PositiveInt = 8
    """Rank of a new adapter."""

    alpha: PositiveFloat | None = None
    """Scale of a new adapter; absent: twice the rank."""

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Dropout of a new adapter."""

    max_tokens: PositiveInt = 1024
    """Prompt and completion together. A longer row is left out, never cut: half a prompt, or a completion
    without its end, teaches something else."""

    eval_every: NonNegativeInt = 50
    """Steps between looks at the validation split and by the watches; 0 for none at all."""

    eval_rows: NonNegativeInt = 64
    """Validation pairs that are looked at; 0 for all."""

    save_every: NonNegativeInt = 0
    """Steps between checkpoints; 0: `eval_every`, or 50 if that is 0 too."""

    log_every: PositiveInt = 5
    """Steps between points of the loss curve."""

    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, about a third more time."""

    device: Literal["auto", "cpu"] = "auto"
    """`auto`: what accelerate finds, a GPU if there is one."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of products; weights stay float32. `auto`: bfloat16 on a GPU that has it, float32 on a CPU. A CPU with
    AVX-512 BF16 or AMX takes less than half the time in bfloat16; one without, more."""

    threads: NonNegativeInt = 0
    """CPU threads; 0 leaves it to PyTorch."""

    report_to: tuple[Reporter, ...] = ()
    """Trackers to report to besides TensorBoard files."""

    awr: AwrSettings = AwrSettings()
    """For `awr`."""

    dpo: DpoSettings = DpoSettings()
    """For `dpo` and `ipo`."""

    kto: KtoSettings = KtoSettings()
    """For `kto`."""

    grpo_offline: OfflineGrpoSettings = OfflineGrpoSettings()
    """For `grpo-offline`."""

    grpo: OnPolicySettings = OnPolicySettings()
    """For `grpo`, which drafts afresh and grades through a store; `batch` counts completions."""

    writing: WritingSettings = WritingSettings()
    """For watches."""

    @model_validator(mode="after")
    def _kto_needs_two(self) -> Self:
        if self.method == "kto" and self.batch < 2:
            raise ValueError("`kto` compares rows of a batch, so `batch` must be at least 2")
        return self

    @model_validator(mode="after")
    def _groups_fill_steps(self) -> Self:
        completions, size = self.batch * self.accumulation, self.grpo.generations
        if self.method == "grpo" and completions % size:
            raise ValueError(
                f"`batch` times `accumulation` is {completions} completions, no multiple of the {size} of "
                "`grpo.generations`"
            )
        return self

    @property
    def rows_per_step(self) -> int:
        """Return the rows of an optimiser step on one device; for `grpo`, its prompts."""
        rows = self.batch * self.accumulation
        return rows // self.grpo.generations if self.method == "grpo" else rows

    @property
    def peak_rate(self) -> float:
        """Return the learning rate in force."""
        return RATES[self.method] if self.learning_rate is None else self.learning_rate

    @property
    def checkpoint_every(self) -> int:
        """Return the steps between checkpoints."""
        return self.save_every or self.eval_every or 50


def load_training_settings(
    file: Path | None, flags: Mapping[str, object], *, under: Mapping[str, object] | None = None
) -> TrainingSettings:
    """Read the settings of a run.

    Args:
        file: TOML file with fields of `TrainingSettings`, sections as tables; absent for none.
        flags: Values that win over the file; `None` means not given.
        under: Values that both win over: those of a run that is resumed.

    Raises:
        InputError: The file cannot be read.
        SettingsError: A value is out of range, a name is unknown, or `data` or `out` is missing.
    """
    values: dict[str, Any] = dict(under or {})
    if file is not None:
        for name, value in _read(file).items():
            values[name] = values.get(name, {}) | value if isinstance(value, dict) else value
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        return TrainingSettings.model_validate(values)
    except ValidationError as error:
        raise _explain(error) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"--config {file}: {error}") from error


def _explain(error: ValidationError) -> SettingsError:
    """Turn the first of pydantic's complaints into ours."""
    fault = first_fault(error)
    name = fault.field or "training"
    if fault.kind == "missing":
        return SettingsError(name, f"is needed; give `--{name}`, or set it in the file of `--config`")
    if fault.kind == "extra_forbidden":
        return SettingsError(name, "is unknown; check the spelling")
    return SettingsError(name, str(fault))
