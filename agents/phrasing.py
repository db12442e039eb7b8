"""Sentences a small model can only get right: fixed openings, phrases chosen from the history.

A model too small to write free text still chooses well among grounded phrases, so decoding is constrained to
`OPENING phrase[, phrase] and phrase.` in the user's language.
"""

import random
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple, get_args

Opening = Literal["like", "dislike", "suits", "unsuits", "plan", "apart", "grounds"]

OPENINGS: tuple[Opening, ...] = get_args(Opening)

SLOTS = 3
"""Phrases that a fixed sentence names at most."""


class Words(NamedTuple):
    """How sentences open and join in one language."""

    openings: dict[str, list[str]]
    joiner: str
    example: str


@cache
def _languages() -> dict[str, Words]:
    table = tomllib.loads((files("limner") / "prompts" / "openers.toml").read_text(encoding="utf-8"))
    return {
        code: Words(
            {name: words for name, words in entry.items() if isinstance(words, list)},
            entry["and"],
            entry["as"],
        )
        for code, entry in table.items()
    }


def openings(language: str, opening: Opening) -> list[str]:
    """Return the ways a sentence may open; none in a language without a table."""
    words = _languages().get(language)
    return words.openings[opening] if words else []


def joiner_of(language: str) -> str:
    """Return the word before the last of several phrases; none in a language without a table."""
    words = _languages().get(language)
    return words.joiner if words else ""


def sentence_pattern(
    phrases: Sequence[str], language: str, opening: Opening, *, seed: int, examples: Sequence[str] = ()
) -> str:
    """Return a regular expression for one sentence over phrases.

    The phrases are dealt to up to three places, so none can be said twice. Deal and opening depend on `seed`,
    which makes drafts, and the sentences of one draft, differ.

    Args:
        phrases: Phrases to choose from, at least one.
        language: ISO 639-1 code.
        opening: What kind of sentence it is.
        seed: Deals the phrases and picks the opening.
        examples: Titles of which the sentence names one; none in a language without a table.

    Examples:
        >>> sentence_pattern(["crime"], "xx", "like", seed=0)  # no table for xx: no opening
        '^crime[.]$'
    """
    choices = [_either(place) for place in deal(phrases, seed=seed)]
    words = _languages().get(language)
    joiner = f" {words.joiner} " if words else ", "
    body = choices[0] if len(choices) == 1 else ", ".join(choices[:-1]) + joiner + choices[-1]
    starts = openings(language, opening)
    start = f"{_literal(starts[seed % len(starts)])} " if starts else ""
    example = f", {words.example} {_either(examples)}" if words and examples else ""
    return f"^{start}{body}{example}[.]$"


def _either(options: Sequence[str]) -> str:
    literals = [_literal(option) for option in options]
    return literals[0] if len(literals) == 1 else f"({'|'.join(literals)})"


def _literal(text: str) -> str:
    """Escape what a regular expression would read, and only that: grammar converters know few escapes."""
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)


def deal(phrases: Sequence[str], *, seed: int) -> list[list[str]]:
    """Deal phrases to at most three places, best ones first in each.

    Examples:
        >>> [len(place) for place in deal(["a", "b", "c", "d"], seed=1)]
        [2, 1, 1]
    """
    shuffled = list(phrases)
    random.Random(seed).shuffle(shuffled)
    count = min(SLOTS, len(shuffled))
    rank = {phrase: place for place, phrase in enumerate(phrases)}
    return [sorted(shuffled[number::count], key=rank.__getitem__) for number in range(count)]


def compose(
    phrases: Sequence[str], language: str, opening: Opening, *, place: int = 0, examples: Sequence[str] = ()
) -> str:
    """Write the sentence without a model: the best three phrases behind the opening of its place in the text.

    Examples:
        >>> compose(["film noir", "heist", "jazz", "war"], "en", "like")
        'Enjoys film noir, heist and jazz.'
        >>> compose(["heist"], "de", "dislike", examples=["The Vault"])
        'Meidet heist, wie in The Vault.'
    """
    words = _languages().get(language)
    best = list(phrases[:SLOTS])
    joiner = f" {words.joiner} " if words else ", "
    body = best[0] if len(best) == 1 else ", ".join(best[:-1]) + joiner + best[-1]
    starts = openings(language, opening)
    if not words:
        return f"{body}."
    example = f", {words.example} {examples[0]}" if examples else ""
    return f"{starts[place % len(starts)]} {body}{example}."
