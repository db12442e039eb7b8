"""What a run will do, counted before it does it."""

import math
import time
from statistics import median_low
from typing import Any

from ...records import Record
from .batches import Collator, score_completions
from .config import TrainingSettings
from .encoding import Example
from .examples import Material
from .losses import weighted_nll

_SEQUENCES = {"dpo": 2, "ipo": 2, "kto": 2}
"""Sequences a row is: both drafts of a pair; for KTO, the draft and the mismatched one of its KL term."""

_REFERENCED = ("dpo", "ipo", "kto", "grpo-offline")
"""Methods that ask the reference too."""


class TrainingPlan(Record):
    """What a run trains on, and how far."""

    rows: int
    """Rows to train on."""

    left_out: dict[str, int]
    """Rows that were left out, by reason."""

    effective_rows: float | None
    """Effective number of rows under AWR's weights; absent for other methods."""

    logged_rows: int
    """Rows whose importance ratios are against logged log-probabilities."""

    validation_rows: int
    """Rows of the validation split that are looked at."""

    rows_per_step: int
    """`batch` x `accumulation`, on one device; prompts, for `grpo`."""

    steps: int
    """Optimiser steps on one device."""

    epochs: float
    """Passes over the rows."""

    tokens: int
    """Tokens of one pass: prompts and completions."""

    learnt_tokens: int
    """Completion tokens of one pass."""

    longest: int
    """Tokens of the longest sequence."""

    trainable: int
    """Weights that are trained."""

    seconds_per_step: float | None = None
    """By timing one batch of middling length; absent unless asked for."""

    seconds: float | None = None
    """Of all steps, without looks at validation and by watches; absent unless asked for."""


def plan_run(
    settings: TrainingSettings, material: Material, *, trainable: int, validation_rows: int
) -> TrainingPlan:
    """Count what a run will do."""
    rows = len(material.rows)
    per_step = settings.rows_per_step
    per_epoch = math.ceil(math.ceil(rows / settings.batch) / settings.accumulation)
    if settings.method == "grpo":  # TRL leaves out the last prompts of a pass if they do not fill a step
        per_epoch = max(1, rows // per_step) * settings.grpo.iterations
    steps = settings.steps or math.ceil(settings.epochs * per_epoch)
    return TrainingPlan(
        rows=rows,
        left_out=material.left_out,
        effective_rows=material.effective,
        logged_rows=material.logged,
        validation_rows=validation_rows,
        rows_per_step=per_step,
        steps=steps,
        epochs=round(steps / per_epoch, 3),
        tokens=sum(length.read for length in material.lengths),
        learnt_tokens=sum(length.learnt for length in material.lengths),
        longest=max(length.longest for length in material.lengths),
        trainable=trainable,
    )


def with_seconds(
    plan: TrainingPlan, settings: TrainingSettings, material: Material, model: Any
) -> TrainingPlan:
    """Add an estimate of the time, from one forward and backward pass over rows of middling length.

    None for `grpo`, most of whose time goes into writing and grading.
    """
    if settings.method == "grpo":
        return plan
    sequences = _SEQUENCES.get(settings.method, 1)
    length = median_low(each.longest for each in material.lengths)
    learnt = max(1, median_low(each.learnt for each in material.lengths) // sequences)
    row = Example(prompt=(0,) * max(1, length - learnt), completion=(0,) * learnt)
    count = min(settings.batch, plan.rows) * sequences
    seconds = _time(model, [row] * count, cpu=settings.device == "cpu")
    if settings.method in _REFERENCED:
        seconds *= 4 / 3  # one more forward pass; a backward pass takes about two
    each = seconds * settings.accumulation
    return plan.model_copy(
        update={"seconds_per_step": round(each, 3), "seconds": round(each * plan.steps, 1)}
    )


def _time(model: Any, rows: list[Example], *, cpu: bool) -> float:
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() and not cpu else "cpu")
    model.to(device)
    batch = {name: value.to(device) for name, value in Collator(0)(rows).items()}
    began = time.perf_counter()
    scored = score_completions(model, batch)
    loss: Any = weighted_nll(scored.logprobs, scored.mask, batch["weight"], scored.mask.sum())
    loss.backward()
    if device.type == "cuda":
        torch.cuda.synchronize()
    model.zero_grad(set_to_none=True)
    return time.perf_counter() - began
