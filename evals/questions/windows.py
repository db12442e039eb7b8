"""How many tokens a text is to the model that answers, and how much of a history its window holds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...settings import EMBEDDED, Settings
from ...tools.tokens import open_counter
from ..results import Values

Count = Callable[[str], int]

RESERVE = 512
"""Tokens of a window that are kept for instruction, question, options and answer."""

LENGTHS = (256, 512, 1024, 2048, 4096)
"""Bounds of the lengths of histories that have columns of their own, in tokens."""


class Window(NamedTuple):
    """What fits into one question to a model."""

    count: Count
    """Tokens of a text, by the tokenizer that the product counts by for this model."""

    size: int | None
    """Tokens of question and answer together; absent where nobody knows, and then nothing is cut."""

    @property
    def room(self) -> int | None:
        """Tokens that a history may have."""
        return None if self.size is None else max(self.size - RESERVE, 1)


def open_window(settings: Settings) -> Window:
    """Return the window of the model that answers.

    An embedded model's is that of its engine; LiteLLM knows those of many hosted ones.
    """
    return Window(open_counter(settings.model, settings.models_dir).count, _size(settings.model))


def newest_that_fit(lines: Sequence[str], window: Window) -> tuple[str, bool]:
    r"""Join the newest lines that a window holds, and say whether older ones were left out.

    Examples:
        >>> words = Window(lambda text: len(text.split()), RESERVE + 4)
        >>> newest_that_fit(["one two", "three", "four"], words)  # a line break counts one
        ('three\nfour', True)
    """
    if window.room is None:
        return "\n".join(lines), False
    left = window.room
    for place in range(len(lines) - 1, -1, -1):
        left -= window.count(lines[place]) + 1
        if left < 0:
            return "\n".join(lines[place + 1 :]), True
    return "\n".join(lines), False


def length_group(tokens: int) -> str:
    """Return the name of a history's length.

    Examples:
        >>> length_group(256), length_group(257), length_group(5000)
        ('history up to 256 tokens', 'history up to 512 tokens', 'history above 4096 tokens')
    """
    bound = next((bound for bound in LENGTHS if tokens <= bound), None)
    return f"history above {LENGTHS[-1]} tokens" if bound is None else f"history up to {bound} tokens"


def length_columns(
    values: dict[str, Values], contexts: Sequence[str], histories: Sequence[int], count: Count
) -> dict[str, Values]:
    """Return the lengths of contexts and histories, and accuracy by the length of the history.

    Args:
        values: One value a question and metric; the first metric is split.
        contexts: What was told before each question.
        histories: Tokens of each question's whole history.
        count: Tells how many tokens a context is.
    """
    known = {text: count(text) if text else 0 for text in set(contexts)}
    first, column = next(iter(values.items()))
    groups = np.array([length_group(tokens) for tokens in histories])
    order = sorted(set(histories))
    names = dict.fromkeys(length_group(tokens) for tokens in order)
    return {
        "context tokens": np.array([known[text] for text in contexts], dtype=np.float32),
        "history tokens": np.array(histories, dtype=np.float32),
        **{f"{first} | {name}": np.where(groups == name, column, np.nan) for name in names},
    }


def _size(model: str) -> int | None:
    """Return how many tokens a model reads and writes at once, where that is known."""
    if model.startswith(EMBEDDED):
        from ...tools.local_engine import CONTEXT

        return CONTEXT
    from ...tools.backends import load_litellm

    try:
        facts: Mapping[str, Any] = load_litellm().get_model_info(model)
    except Exception:  # noqa: BLE001  # LiteLLM raises a bare one for a model that it does not list
        return None
    size = facts.get("max_input_tokens") or facts.get("max_tokens")
    return int(size) if size else None
