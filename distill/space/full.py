"""Tunes a whole encoder: what was said of a user, or had by one, beside what the user chose next.

Loss: InfoNCE with in-batch negatives (van den Oord et al. 2018, eq. 4, https://arxiv.org/abs/1807.03748) at the
fixed temperature of sentence-transformers' multiple-negatives ranking loss. Differs: what a user had, and answers
equal to a user's own, are no negatives.
"""

import importlib.util
import logging
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from ...errors import InputError, MissingExtraError, TooFewLessonsError
from ...records import Record
from ...tools.lessons import Words
from ...tools.one_torch import one_torch
from ...tools.whole_files import new_folder

Torch = Any
"""Modules and tensors of an optional library."""

log = logging.getLogger("limner")

_TOLD_EVERY = 20


class TuneSettings(Record):
    """Size and course of the tuning."""

    steps: PositiveInt = 200
    """Steps of AdamW."""

    batch: PositiveInt = 64
    """Queries a step; the answers of all are negatives of each."""

    rate: PositiveFloat = 2e-5
    """Learning rate, after a warm-up over a tenth of the steps."""

    temperature: PositiveFloat = 0.05
    """Of the loss, in cosine units."""

    tokens: PositiveInt = 96
    """Tokens of a text that are read while tuning; the rest is cut off. The tuned encoder reads as many as before."""

    threads: PositiveInt = 1
    """Threads of PyTorch meanwhile."""


class Tuned(NamedTuple):
    """What tuning gave."""

    losses: list[float]
    """Of each step, in nats."""

    seconds: float


def tune_encoder(
    model: Path,
    readings: Sequence[Words],
    out: Path,
    *,
    seed: int,
    notice: Callable[[str], None] = log.info,
    settings: TuneSettings | None = None,
) -> Tuned:
    """Tune every weight of an encoder, and write it to a folder that `sentence-transformers/OUT` opens.

    Args:
        model: Folder of a sentence-transformers encoder.
        readings: From train prefixes alone.
        out: Folder to write; must be new or empty. Nothing is there before everything is.
        seed: Decides the order.
        notice: Takes a line now and then.
        settings: Size and course.

    Raises:
        MissingExtraError: `sentence-transformers` is not installed.
        InputError: `out` holds something already.
        TooFewLessonsError: There are fewer readings than two batches hold.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise MissingExtraError("tuning an encoder", "encoders")
    chosen = settings or TuneSettings()
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; name a new folder")
    if len(readings) < 2 * chosen.batch:
        raise TooFewLessonsError(len(readings), 2 * chosen.batch)
    started = time.monotonic()
    with one_torch(chosen.threads, seed):
        encoder: Any = import_module("sentence_transformers").SentenceTransformer(str(model), device="cpu")
        reads = encoder.max_seq_length
        encoder.max_seq_length = min(chosen.tokens, reads or chosen.tokens)
        losses = _run(encoder, readings, chosen, seed, notice)
        encoder.max_seq_length = reads
        _save(encoder, out)
    return Tuned(losses, time.monotonic() - started)


def _run(
    encoder: Torch,
    readings: Sequence[Words],
    chosen: TuneSettings,
    seed: int,
    notice: Callable[[str], None],
) -> list[float]:
    """Take all steps; returns the loss of each."""
    torch: Any = import_module("torch")
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=chosen.rate)
    warm, losses = max(1, chosen.steps // 10), list[float]()

    def pace(step: int) -> float:
        return min(1.0, (step + 1) / warm)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, pace)
    rng = np.random.default_rng(seed)
    encoder.train()
    for step in range(1, chosen.steps + 1):
        rows: list[int] = rng.choice(len(readings), size=chosen.batch, replace=False).tolist()
        loss = contrast(encoder, [readings[row] for row in rows], temperature=chosen.temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % _TOLD_EVERY == 0 or step == chosen.steps:
            mean = float(np.mean(losses[-_TOLD_EVERY:]))
            notice(f"tuning an encoder: step {step} of {chosen.steps}, loss {mean:.3f}")
    encoder.eval()
    return losses


def contrast(encoder: Torch, readings: Sequence[Words], *, temperature: float) -> Torch:
    """Return the mean loss of a batch, in nats, ready to go back from."""
    torch: Any = import_module("torch")
    queries = _embed(encoder, [reading.query for reading in readings])
    answers = _embed(encoder, [reading.answer for reading in readings])
    logits = queries @ answers.T / temperature
    barred = torch.tensor(
        [[other.answer == own.answer or other.answer in own.had for other in readings] for own in readings]
    )
    barred.fill_diagonal_(False)
    return torch.nn.functional.cross_entropy(logits.masked_fill(barred, -1e4), torch.arange(len(readings)))


def _embed(encoder: Torch, texts: Sequence[str]) -> Torch:
    read = getattr(encoder, "preprocess", None) or encoder.tokenize  # the name before sentence-transformers 6
    found = encoder(read(list(texts)))["sentence_embedding"]
    return import_module("torch").nn.functional.normalize(found, dim=-1)


def _save(encoder: Torch, out: Path) -> None:
    with new_folder(out) as draft:
        encoder.save(str(draft), create_model_card=False)
