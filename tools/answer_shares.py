"""How likely each of a few one-token answers is, as a chat model tells it."""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .chat import ChatResult

ALTERNATIVES = 20
"""Most alternatives that backends report for a token."""

Shares = NDArray[np.float64]
"""Probability of each label, summing to 1."""

_LEAST = 1e-9


def shares_of(result: ChatResult, labels: Sequence[str]) -> tuple[Shares, bool] | None:
    """Return how likely each label is among all labels, and whether log-probabilities say so.

    A label that is not among the reported alternatives counts as likely as it can be: no more than the least likely
    one reported, nor than what the reported ones leave. Without alternatives, all goes to the label that the text
    starts with.

    Examples:
        >>> from ..records import Usage
        >>> said = ChatResult(text="(B) blue", finish_reason="stop", model="m", usage=Usage())
        >>> shares_of(said, "AB")
        (array([0., 1.]), False)
    """
    mass = dict.fromkeys(labels, 0.0)
    for token, log_probability in result.first_token.items():
        if token.strip() in mass:
            mass[token.strip()] += math.exp(log_probability)
    if any(mass.values()):
        reported = [math.exp(log_probability) for log_probability in result.first_token.values()]
        unseen = max(min(min(reported), 1.0 - sum(reported)), _LEAST)
        weights = np.array([mass[label] or unseen for label in labels])
        return weights / weights.sum(), True
    said = letter_said(result.text, labels)
    return None if said is None else (np.array([float(label == said) for label in labels]), False)


def letter_said(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that a text starts with, or nothing.

    Examples:
        >>> letter_said("**B**, because", "ABCD"), letter_said("Because", "ABCD")
        ('B', None)
    """
    found = re.match(r"\W*(\w+)", text)
    return found[1] if found and found[1] in tuple(labels) else None
