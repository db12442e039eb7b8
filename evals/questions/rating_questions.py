"""Rating questions: the scale as a model sees it, whole numbers from 1, and what it expects on it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...records import Message, Usage
from ...tools.answer_shares import ALTERNATIVES, shares_of
from ...tools.prompt import load_prompt
from ...tools.rating_levels import FALLBACK_LEVELS, MOST_LEVELS, ShownScale
from ..dataset import FloatArray
from .answering import CHOICE_TOKENS, Questioner, Request
from .grading import summarise_failures

PROMPT = load_prompt("answer_rating")

ITEM_TOKENS = 60
"""Tokens of a described item at most, about."""


def scale_of(ratings: FloatArray) -> ShownScale | None:
    """Return the scale of observed ratings; `None` without any.

    Evenly spaced scales of at most nine values keep them; any other is shown as 1 to 5.

    Examples:
        >>> scale_of(np.array([2, 4, 10, 6, np.nan], dtype=np.float32))
        ShownScale(low=2.0, high=10.0, levels=5)
    """
    values = np.unique(ratings[~np.isnan(ratings)]).astype(np.float64)
    if not len(values):
        return None
    low, high = float(values[0]), float(values[-1])
    if low == high:
        return ShownScale(low, high, 1)
    steps = (high - low) / float(np.diff(values).min())
    even = abs(steps - round(steps)) < 1e-3 and round(steps) < MOST_LEVELS
    return ShownScale(low, high, round(steps) + 1 if even else FALLBACK_LEVELS)


class Guesses(NamedTuple):
    """What a model expects."""

    ratings: FloatArray
    """On the source's scale; NaN where the model did not answer."""

    readable: FloatArray
    """Whether the answer named a level, 1 or 0; NaN where there is none."""

    usage: tuple[Usage, ...]
    """What each question cost."""

    notes: tuple[str, ...]
    """What a reader of the numbers should know."""

    complete: bool = True
    """Whether every question had an answer, readable or not."""


def rating_prompt(scale: ShownScale, context: str, item: str) -> tuple[Message, ...]:
    """Return the messages that ask for one rating."""
    labels = scale.labels()
    return PROMPT.render(context=context.strip(), item=item, lowest=labels[0], highest=labels[-1])


async def guess_ratings(
    questioner: Questioner,
    scale: ShownScale,
    ids: Sequence[str],
    items: Sequence[str],
    contexts: Sequence[str],
    *,
    label: str = "",
) -> Guesses:
    """Ask how each person rates an item.

    A guess is the mean of the scale under the probabilities of its levels, or the level named where the backend
    gives no log-probabilities. An answer that names no level counts as the middle of the scale.

    Args:
        questioner: Who is asked.
        scale: Of the ratings.
        ids: Names of the questions, under which answers are kept.
        items: Descriptions, in one line.
        contexts: What the model is told of each person; empty for nothing.
        label: What to call this in lines of progress.

    Raises:
        ModelUnavailableError: Not one question could be answered.
    """
    labels, values = scale.labels(), np.array(scale.values())
    tasks = [
        Request(
            subject=name,
            prompt=PROMPT,
            messages=rating_prompt(scale, context, item),
        )
        for name, item, context in zip(ids, items, contexts, strict=True)
    ]
    replies = await questioner.ask(tasks, max_tokens=CHOICE_TOKENS, top_logprobs=ALTERNATIVES, label=label)
    ratings = np.full(len(tasks), np.nan, dtype=np.float32)
    readable = ratings.copy()
    for ix, reply in enumerate(replies):
        if reply.result is not None:
            read = shares_of(reply.result, labels)
            readable[ix] = read is not None
            ratings[ix] = scale.middle if read is None else float(read[0] @ values)
    notes = summarise_failures(replies)
    if unread := np.count_nonzero(readable == 0):
        notes.append(f"{unread} of {len(tasks)} answers named no level: the middle of the scale stands in")
    usage, complete = tuple(reply.usage for reply in replies), not np.isnan(ratings).any()
    return Guesses(ratings, readable, usage, tuple(notes), bool(complete))
