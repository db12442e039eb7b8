"""Read the answers of a chat model: how likely each option was, and what that scores."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...records import Usage
from ...tools.answer_shares import shares_of
from ...tools.chat import ChatResult
from ..results import Values
from .choices import LETTERS, Choice, chance_level

_MOST_QUOTED = 3


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came of one request."""

    result: ChatResult | None
    """Absent if the budget refused it or every attempt failed."""

    usage: Usage = field(default_factory=Usage)
    """What it cost, failed attempts included."""

    note: str | None = None
    """Why there is no answer."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The answers to some questions, one by one."""

    ids: tuple[str, ...]
    """The questions, in order."""

    groups: tuple[str, ...]
    """Their topics; empty texts if there are none."""

    values: dict[str, Values]
    """Metrics by name, one value a question; NaN where nothing was answered for want of budget or model."""

    usage: tuple[Usage, ...]
    """What each question cost."""

    complete: bool = True
    """Whether every request had an answer, readable or not."""

    chance: Mapping[str, float] = field(default_factory=dict[str, float])
    """What guessing scores, for the metrics where that is known."""

    notes: tuple[str, ...] = ()
    """What a reader of the numbers should know."""


def summarise_failures(replies: Sequence[Reply]) -> list[str]:
    """Return a note that says how many requests had no answer and why, if any had none."""
    reasons = Counter(reply.note for reply in replies if reply.note)
    if not reasons:
        return []
    quoted = "; ".join(reason for reason, _ in reasons.most_common(_MOST_QUOTED) if reason)
    return [f"{reasons.total()} of {len(replies)} requests had no answer: {quoted}"]


def by_group(values: Mapping[str, Values], groups: Sequence[str]) -> dict[str, Values]:
    """Return every metric on each group of questions, `METRIC | GROUP`, NaN on all other questions.

    Examples:
        >>> by_group({"f1": np.array([0.5, 1.0])}, ["cold", "warm"])
        {'f1 | cold': array([0.5, nan]), 'f1 | warm': array([nan,  1.])}
    """
    member = np.array(groups)
    return {
        f"{name} | {group}": np.where(member == group, column, np.nan)
        for group in sorted(set(groups))
        for name, column in values.items()
    }


def grade_choices(
    questions: Sequence[Choice], turns: Sequence[tuple[int, int]], replies: Sequence[Reply]
) -> Answered:
    """Bring the turns of each question back together."""
    by_question: list[list[tuple[int, Reply]]] = [[] for _ in questions]
    for (ix, by), reply in zip(turns, replies, strict=True):
        by_question[ix].append((by, reply))
    letters: Counter[str] = Counter()
    grades = [
        _grade_one(question, asked, letters) for question, asked in zip(questions, by_question, strict=True)
    ]
    table = np.array(grades, dtype=np.float32).reshape(len(questions), 4)
    notes = summarise_failures(replies)
    if total := letters.total():
        said = ", ".join(f"{letter} {count / total:.0%}" for letter, count in sorted(letters.items()))
        notes.append(f"letters answered: {said}")
    chance = chance_level(questions)
    return Answered(
        ids=tuple(question.id for question in questions),
        groups=tuple(question.group for question in questions),
        values={
            "accuracy": table[:, 0],
            "probability": table[:, 1],
            "log_probability": table[:, 2],
            "readable": table[:, 3],
        },
        usage=tuple(Usage.total(reply.usage for _, reply in asked) for asked in by_question),
        complete=all(reply.result is not None for reply in replies),
        chance={"accuracy": chance, "probability": chance},
        notes=tuple(notes),
    )


def _grade_one(
    question: Choice, asked: Sequence[tuple[int, Reply]], letters: Counter[str]
) -> tuple[float, float, float, float]:
    """Return accuracy, probability, log-probability and share of readable turns of one question, over its turns."""
    size = len(question.options)
    total, graded, unread = np.zeros(size), True, 0
    for by, reply in asked:
        if reply.result is None:
            return math.nan, math.nan, math.nan, math.nan
        read = shares_of(reply.result, LETTERS[:size])
        if read is None:
            letters["none"] += 1
            unread += 1
            graded = False
            continue
        shares, by_log_probability = read
        graded &= by_log_probability
        letters[LETTERS[int(shares.argmax())]] += 1
        total += np.roll(shares, -by) / len(asked)
    best = total == total.max()
    accuracy = float(best[question.right] / best.sum()) if total.any() else 0.0
    probability = float(total[question.right])
    readable = 1.0 - unread / max(len(asked), 1)
    return accuracy, probability, math.log(probability) if graded else math.nan, readable
