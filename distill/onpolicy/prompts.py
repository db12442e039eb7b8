"""Prompts to draft for again, as TRL reads them."""

from collections import Counter
from dataclasses import replace
from typing import Any

from ...errors import EmptySplitError
from ..log.training_rows import PromptOnly
from ..log.training_set import TrainingSet
from ..rewards.bench import RewardBench
from ..rewards.exercise import Exercise
from ..training.config import TrainingSettings
from ..training.encoding import ChatEncoder
from ..training.examples import TOO_LONG, Length, Material

CHANGED = "changed_exam"
"""Reason: the store no longer gives the history or the held-back events of the log."""

REVISION = "revision"
"""Reason: a prompt of a revision round, and `grpo.revisions` is off."""


def read_prompts(settings: TrainingSettings, training: TrainingSet, chat: ChatEncoder) -> Material:
    """Return the prompts of the train split, without those too long to leave room for a completion.

    Raises:
        InputError: The base's chat template refuses a prompt.
    """
    room = settings.grpo.max_new_tokens
    rows: list[dict[str, Any]] = []
    lengths: list[Length] = []
    left_out: Counter[str] = Counter()
    for row in training.prompts("train"):
        read = len(chat.prompt(row.prompt))
        if row.round > 0 and not settings.grpo.revisions:
            left_out[REVISION] += 1
        elif read + room > settings.max_tokens:
            left_out[TOO_LONG] += 1
        else:
            rows.append(columns_of(row))
            lengths.append(Length(read, room, read + room))
    return Material(rows=rows, lengths=lengths, left_out=dict(left_out))


def columns_of(row: PromptOnly) -> dict[str, Any]:
    """Return a row as plain values, for TRL's data sets and for other programs."""
    return Exercise.of(row).model_dump(mode="json")


def gradable(material: Material, bench: RewardBench) -> Material:
    """Leave out prompts whose completions cannot be graded as the log was.

    Raises:
        ExamChangedError: None can.
        EmptySplitError: There is none.
    """
    exercises = [Exercise.model_validate(row) for row in material.rows]
    if not exercises:
        raise EmptySplitError(sum(material.left_out.values()), material.left_out)
    refused = bench.refused(exercises)
    if len(refused) == len(exercises):
        raise refused[0]
    kept = [place for place in range(len(exercises)) if place not in refused]
    left_out = {**material.left_out, CHANGED: len(refused)} if refused else material.left_out
    return replace(
        material,
        rows=[material.rows[place] for place in kept],
        lengths=[material.lengths[place] for place in kept],
        left_out=left_out,
    )
