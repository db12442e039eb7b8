"""How people speak to an assistant of themselves, in each language that has a table."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from ..stances import pattern_of, spell


class ChatWords(NamedTuple):
    """The phrases of one language; see `prompts/listening.toml`."""

    self: re.Pattern[str]
    errand: re.Pattern[str]
    like: re.Pattern[str]
    """At the start of a sentence."""

    dislike: re.Pattern[str]
    """At the start of a sentence."""

    forget: re.Pattern[str]
    """At the start of a clause."""

    forget_all: re.Pattern[str]
    """At the start of a clause."""

    polite: frozenset[str]
    """Words that mean nothing in a request."""

    said: frozenset[str]
    """Words of a request that say no more than that something was said."""


@cache
def chat_words() -> Mapping[str, ChatWords]:
    """Return the tables by ISO 639-1 code."""
    text = (files("limner") / "prompts" / "listening.toml").read_text(encoding="utf-8")
    return {code: _words(entry) for code, entry in tomllib.loads(text).items()}


def _words(entry: Mapping[str, Any]) -> ChatWords:
    sets = {"~": entry["polite"]}
    return ChatWords(
        self=pattern_of(entry["self"], sets),
        errand=pattern_of(entry["errand"], sets),
        polite=frozenset(entry["polite"].split("/")),
        said=frozenset(entry.get("said", "").split("/")),
        **{name: _opening(entry[name], sets) for name in ("like", "dislike", "forget", "forget_all")},
    )


def _opening(phrases: Sequence[str], sets: Mapping[str, str]) -> re.Pattern[str]:
    return re.compile(rf"(?:{'|'.join(spell(phrase, sets) for phrase in phrases)})(?![\w'-])")
