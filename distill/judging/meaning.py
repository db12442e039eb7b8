"""What can be counted in a portrait's words, to see whether they still mean something."""

import math
import re
from collections.abc import Callable, Mapping, Sequence

from ..log.training_rows import Messages
from .grading import Reading

LogLoss = Callable[[Sequence[Messages], Sequence[str]], Sequence[float]]
"""Mean negative log-likelihood of each completion after its prompt, in nats a token."""

LOG_LOSS = "meaning/log_loss"
"""Name of that number in histories, tables and files."""

WORD_COUNTS = ("meaning/words", "meaning/distinct_1", "meaning/distinct_2", "meaning/malformed")
"""Names of what one portrait's words say."""

_WORD = re.compile(r"\w+")


def ngrams(text: str, size: int) -> list[tuple[str, ...]]:
    """Return the runs of `size` neighbouring words, in lower case.

    Examples:
        >>> ngrams("Likes tea, likes it.", 2)
        [('likes', 'tea'), ('tea', 'likes'), ('likes', 'it')]
    """
    words = _WORD.findall(text.casefold())
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]


def distinct(texts: Sequence[str], size: int) -> float:
    """Return the share of n-grams that are different, over all texts; NaN without any.

    Over the texts of many users it falls when all get the same portrait; over one text it falls when that goes in
    circles. It also falls with length, so compare it beside the number of words.

    Source:
        Li et al. 2016, distinct-1 and distinct-2, https://arxiv.org/abs/1510.03055.

    Examples:
        >>> distinct(["likes tea likes tea"], 2)  # likes tea, tea likes, likes tea
        0.6666666666666666
    """
    grams = [gram for text in texts for gram in ngrams(text, size)]
    return len(set(grams)) / len(grams) if grams else float("nan")


def word_counts(reading: Reading) -> Mapping[str, float]:
    """Return what one portrait's words say on their own."""
    values = (
        float(len(reading.text.split())),
        distinct([reading.text], 1),
        distinct([reading.text], 2),
        float(not reading.facets),
    )
    return dict(zip(WORD_COUNTS, values, strict=True))


def across_users(texts: Sequence[str]) -> dict[str, float]:
    """Return what the portraits of different users say together; nothing if they have no word."""
    values = {f"meaning/all_distinct_{size}": distinct(texts, size) for size in (1, 2)}
    return {name: value for name, value in values.items() if not math.isnan(value)}
