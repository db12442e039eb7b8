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
from typing import Literal, NamedTuple

Opening = Literal["like", "dislike", "suits", "plan"]

_SLOTS = 3


class Words(NamedTuple):
    """How sentences open and join in one language."""

    openings: dict[str, list[str]]
    joiner: str


@cache
def _languages() -> dict[str, Words]:
    table = tomllib.loads((files("limner") / "prompts" / "openers.toml").read_text(encoding="utf-8"))
    return {
        code: Words({name: words for name, words in entry.items() if name != "and"}, entry["and"])
        for code, entry in table.items()
    }


def openings(language: str, opening: Opening) -> list[str]:
    """Return the ways a sentence may open; none in a language without a table."""
    words = _languages().get(language)
    return words.openings[opening] if words else []


def sentence_pattern(phrases: Sequence[str], language: str, opening: Opening, *, seed: int) -> str:
    """Return a regular expression for one sentence over phrases.

    The phrases are dealt to up to three places, so none can be said twice. Deal and opening depend on `seed`,
    which makes drafts, and the sentences of one draft, differ.

    Args:
        phrases: Phrases to choose from, at least one.
        language: ISO 639-1 code.
        opening: What kind of sentence it is.
        seed: Deals the phrases and picks the opening.

    Examples:
        >>> sentence_pattern(["crime"], "xx", "like", seed=0)  # no table for xx: no opening
        '^crime[.]$'
    """
    places = deal(phrases, seed=seed)
    choices = [f"({'|'.join(re.escape(phrase) for phrase in place)})" for place in places]
    choices = [choice[1:-1] if "|" not in choice else choice for choice in choices]
    words = _languages().get(language)
    joiner = f" {words.joiner} " if words else ", "
    body = choices[0] if len(choices) == 1 else ", ".join(choices[:-1]) + joiner + choices[-1]
    starts = openings(language, opening)
    start = f"({'|'.join(re.escape(word) for word in starts)}) " if starts else ""
    return (
        f"^{start}{body}[.]$".replace("\\ ", " ").replace("\\-", "-").replace("\\&", "&").replace("\\'", "'")
    )


def deal(phrases: Sequence[str], *, seed: int) -> list[list[str]]:
    """Deal phrases to at most three places, best ones first in each.

    Examples:
        >>> [len(place) for place in deal(["a", "b", "c", "d"], seed=1)]
        [2, 1, 1]
    """
    shuffled = list(phrases)
    random.Random(seed).shuffle(shuffled)
    count = min(_SLOTS, len(shuffled))
    rank = {phrase: place for place, phrase in enumerate(phrases)}
    return [sorted(shuffled[number::count], key=rank.__getitem__) for number in range(count)]


def compose(phrases: Sequence[str], language: str, opening: Opening, *, place: int = 0) -> str:
    """Write the sentence without a model: the best three phrases behind the opening of its place in the text.

    Examples:
        >>> compose(["film noir", "heist", "jazz", "war"], "en", "like")
        'Enjoys film noir, heist and jazz.'
    """
    words = _languages().get(language)
    best = list(phrases[:_SLOTS])
    joiner = f" {words.joiner} " if words else ", "
    body = best[0] if len(best) == 1 else ", ".join(best[:-1]) + joiner + best[-1]
    starts = openings(language, opening)
    return f"{starts[place % len(starts)]} {body}." if starts else f"{body}."
