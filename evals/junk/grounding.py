"""Whether the words of a cue stand in its own evidence, told without a model."""

import re
from collections.abc import Sequence

from ...tools.language import detect_language, stop_words
from .exhibits import Exhibit

GROUNDED = 0.5
"""Share of a cue's content words from which its evidence supports it."""

_WORD = re.compile(r"[^\W_]{3,}")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
"""Runs of Thai, Lao, Burmese, Khmer, Japanese and Chinese letters."""

_ENDING = 3
"""Letters by which two forms of a word may differ at the end."""

_STEM = 4
"""Letters that two forms of a word share at least."""


def grounded_share(exhibit: Exhibit) -> float:
    """Return the share of a cue's content words that its evidence contains.

    A form counts as the same word if one is the other with up to three letters behind it. Where a script puts no
    blanks between words, pairs of neighbouring letters stand for them. A cue without content words counts as grounded
    if it stands there as it is.
    """
    told = " ".join(exhibit.texts).casefold()
    language = detect_language(list(exhibit.texts), [])
    said, known = _content(exhibit.cue.text, language), _words(told)
    if not said:
        return float(" ".join(exhibit.cue.text.casefold().split()) in " ".join(told.split()))
    return sum(_stands(word, known) for word in said) / len(said)


def is_unsupported(exhibit: Exhibit) -> bool:
    """Return whether a cue's evidence does not support it: too few of its words, none at all, or the opposite."""
    return exhibit.contradicted or not exhibit.texts or grounded_share(exhibit) < GROUNDED


def unsupported(exhibits: Sequence[Exhibit]) -> list[bool]:
    """Return the verdict on each."""
    return [is_unsupported(exhibit) for exhibit in exhibits]


def _content(text: str, language: str) -> set[str]:
    return _words(text.casefold()) - stop_words(language)


def _words(text: str) -> set[str]:
    found: set[str] = set(_WORD.findall(_UNSPACED.sub(" ", text)))
    for run in _UNSPACED.findall(text):
        found |= {run[place : place + 2] for place in range(len(run) - 1)}
    return found


def _stands(word: str, known: set[str]) -> bool:
    return word in known or any(_same(word, other) for other in known)


def _same(one: str, two: str) -> bool:
    """Return whether two words are forms of one.

    Examples:
        >>> _same("trains", "train"), _same("train", "training"), _same("car", "cart"), _same("planes", "planet")
        (True, True, False, False)
    """
    short, long = sorted((one, two), key=len)
    return len(short) >= _STEM and long.startswith(short) and len(long) - len(short) <= _ENDING
