"""Rows of a training set as tokens, by method."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ...errors import EmptySplitError
from ..log.training_rows import Advantage, Messages
from ..log.training_set import TrainingSet
from .config import TrainingSettings
from .encoding import ChatEncoder, Example

TOO_LONG = "too_long"
"""Reason: more tokens than `max_tokens`."""

NOT_LOGGED = "no_logged_tokens"
"""Reason: `ratio = "logged"`, but the row has no tokens of our tokenizer."""


class Length(NamedTuple):
    """Tokens of one row."""

    read: int
    """All that the model reads in a pass: both completions of a pair, each with its prompt."""

    learnt: int
    """Those of the completions."""

    longest: int
    """Those of the longest sequence."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a run trains on."""

    rows: list[Any]
    """`Example`, or rows as TRL reads them for `dpo`, `ipo` and `kto`."""

    lengths: list[Length]
    """Of each row."""

    left_out: dict[str, int]
    """Rows that were left out, by reason."""

    effective: float | None = None
    """Effective number of rows under AWR's weights, `(sum w)^2 / sum w^2`; absent for other methods."""

    logged: int = 0
    """Rows whose importance ratios are against logged log-probabilities."""


def read_material(settings: TrainingSettings, training: TrainingSet, chat: ChatEncoder) -> Material:
    """Return the rows of the train split in the form the method wants.

    Raises:
        EmptySplitError: No row is left.
        InputError: The base's chat template refuses a prompt.
    """
    readers: dict[str, Callable[[], Material]] = {
        "raft": lambda: _examples(_best(training, chat), settings),
        "bc": lambda: _examples(_all(training, chat, lambda _: 1.0), settings),
        "awr": lambda: _weighted(_examples(_all(training, chat, lambda row: row.weight), settings), settings),
        "grpo-offline": lambda: _examples(_stepwise(training, chat, settings), settings),
        "grpo": lambda: _prompts(settings, training, chat),
        "kto": lambda: _labels(training, chat, settings),
    }
    read = readers.get(settings.method, lambda: _pairs(training, chat, settings))
    material = read()
    if not material.rows:
        raise EmptySplitError(sum(material.left_out.values()), material.left_out)
    return material


def _prompts(settings: TrainingSettings, training: TrainingSet, chat: ChatEncoder) -> Material:
    from ..onpolicy.prompts import read_prompts

    return read_prompts(settings, training, chat)


def _best(training: TrainingSet, chat: ChatEncoder) -> Iterator[Example]:
    return (chat.example(row.prompt, row.completion) for row in training.best("train"))


def _all(training: TrainingSet, chat: ChatEncoder, weigh: Callable[[Advantage], float]) -> Iterator[Example]:
    return (chat.example(row.prompt, row.completion, weigh(row)) for row in training.advantages("train"))


def _stepwise(
    training: TrainingSet, chat: ChatEncoder, settings: TrainingSettings
) -> Iterator[Example | None]:
    """Yield drafts with their advantages and, where the log has them, the tokens as they were drawn."""
    ratio = settings.grpo_offline.ratio
    for row in training.advantages("train"):
        example = chat.example(row.prompt, row.completion, row.advantage)
        ours = _as_drawn(row, example, chat) if ratio != "reference" else None
        yield None if ours is None and ratio == "logged" else ours or example


def _as_drawn(row: Advantage, example: Example, chat: ChatEncoder) -> Example | None:
    """Return a draft by the tokens that were drawn, if they are tokens of this tokenizer; it then reads the same."""
    if not row.token_ids or not row.token_logprobs or len(row.token_ids) != len(row.token_logprobs):
        return None
    if chat.text(row.token_ids).strip() != row.completion[-1].content.strip():
        return None
    return replace(example, completion=row.token_ids, logged=row.token_logprobs)


def _examples(found: Iterable[Example | None], settings: TrainingSettings) -> Material:
    rows: list[Example] = []
    left_out: Counter[str] = Counter()
    for example in found:
        if example is None:
            left_out[NOT_LOGGED] += 1
        elif example.size > settings.max_tokens:
            left_out[TOO_LONG] += 1
        else:
            rows.append(example)
    lengths = [Length(row.size, len(row.completion), row.size) for row in rows]
    logged = sum(row.logged is not None for row in rows)
    return Material(rows=rows, lengths=lengths, left_out=dict(left_out), logged=logged)


def _weighted(material: Material, settings: TrainingSettings) -> Material:
    """Draw rows by their weights, or let the weights, at mean 1, scale the loss."""
    if not material.rows:
        return material
    weights = np.array([row.weight for row in material.rows])
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    if settings.awr.draw == "scale":
        scaled = weights / weights.mean()
        rows = [replace(row, weight=float(weight)) for row, weight in zip(material.rows, scaled, strict=True)]
        return replace(material, rows=rows, effective=effective)
    draw = np.random.default_rng(settings.seed)
    count = len(weights)
    places: list[int] = draw.choice(count, size=count, p=weights / weights.sum()).tolist()
    return replace(
        material,
        rows=[replace(material.rows[place], weight=1.0) for place in places],
        lengths=[material.lengths[place] for place in places],
        effective=effective,
    )


def _pairs(training: TrainingSet, chat: ChatEncoder, settings: TrainingSettings) -> Material:
    found = (
        (
            (row.prompt, row.chosen, row.rejected),
            {"chosen": _told(row.chosen), "rejected": _told(row.rejected)},
        )
        for row in training.preferences("train")
    )
    return _told_rows(found, chat, settings)


def _labels(training: TrainingSet, chat: ChatEncoder, settings: TrainingSettings) -> Material:
    found = (
        ((row.prompt, row.completion), {"completion": _told(row.completion), "label": row.label})
        for row in training.labels("train")
    )
    material = _told_rows(found, chat, settings)
    # TRL pairs neighbours for the KL term and so reads rows in the order given, which is that of users.
    order: list[int] = np.random.default_rng(settings.seed).permutation(len(material.rows)).tolist()
    return replace(
        material,
        rows=[material.rows[place] for place in order],
        lengths=[material.lengths[place] for place in order],
    )


def _told_rows(
    found: Iterable[tuple[tuple[Messages, ...], dict[str, Any]]],
    chat: ChatEncoder,
    settings: TrainingSettings,
) -> Material:
    """Return rows as TRL reads them, without those too long."""
    rows: list[dict[str, Any]] = []
    lengths: list[Length] = []
    left_out: Counter[str] = Counter()
    for (prompt, *completions), row in found:
        read = len(chat.prompt(prompt))
        learnt = [len(chat.completion(each)) for each in completions]
        length = Length(read * len(learnt) + sum(learnt), sum(learnt), read + max(learnt))
        if length.longest > settings.max_tokens:
            left_out[TOO_LONG] += 1
            continue
        rows.append({"prompt": _told(prompt), **row})
        lengths.append(length)
    return Material(rows=rows, lengths=lengths, left_out=dict(left_out))


def _told(messages: Messages) -> list[dict[str, str]]:
    return [message.model_dump() for message in messages]
