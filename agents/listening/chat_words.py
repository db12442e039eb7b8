"""How people speak to an assistant of themselves, in each language that has a table."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from ..phrase_tables import opening_of, pattern_of, read_tables


class ChatWords(NamedTuple):
    """The phrases of one language; see `prompts/listening.toml`."""

    self: re.Pattern[str]
    errand: re.Pattern[str]
    compose: re.Pattern[str]
    """At the start of a sentence: asks to write something, or to work on a text."""

    within: re.Pattern[str]
    """Introduces what is to be written."""

    forget: re.Pattern[str]
    """At the start of a clause."""

    forget_all: re.Pattern[str]
    """At the start of a clause."""

    polite_request: re.Pattern[str]
    """Words that make a request of what may also be a turn of speech."""

    polite: frozenset[str]
    """Words that mean nothing in a request."""

    keep: frozenset[str]
    """Words that turn a request into its contrary."""

    said: frozenset[str]
    """Words of a request that say no more than that something was said."""


@cache
def chat_words() -> Mapping[str, ChatWords]:
    """Return the tables by ISO 639-1 code."""
    return {code: _words(entry) for code, entry in read_tables("listening.toml").items()}


def _words(entry: Mapping[str, Any]) -> ChatWords:
    sets, spaced = {"~": entry["polite"]}, entry.get("spaced", True)
    anywhere = {
        name: pattern_of(entry[name], sets, spaced=spaced)
        for name in ("self", "errand", "within", "polite_request")
    }
    first = {
        name: opening_of(entry[name], sets, spaced=spaced) for name in ("compose", "forget", "forget_all")
    }
    return ChatWords(
        polite=frozenset(entry["polite"].split("/")),
        said=frozenset(entry.get("said", "").split("/")),
        keep=frozenset(entry.get("keep", "").split("/")) - {""},
        **anywhere,
        **first,
    )
