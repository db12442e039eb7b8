"""The tables of `prompts/privacy.toml`, as patterns."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from ...records import content_hash
from .orders import words_pattern

KINDS = ("health", "religion", "politics", "sexuality")
"""Kinds of sensitive traits."""

_UNSPACED = frozenset({"zh", "ja"})


class PrivacyWords(NamedTuple):
    """One language's words."""

    kin: re.Pattern[str]
    """What stands before the name of somebody the writer knows; read without regard to case."""

    street: str
    """Words of street names, as alternatives of a regular expression."""

    address: tuple[str, ...]
    """The order in which an address has its parts; empty where scripts need rules of their own."""

    me: re.Pattern[str]
    traits: re.Pattern[str]
    unless: re.Pattern[str]


@cache
def privacy_hash() -> str:
    """Return a hash of the tables, for what was drawn with them."""
    return content_hash(_text())


@cache
def privacy_words() -> Mapping[str, PrivacyWords]:
    """Return the tables by ISO 639-1 code."""
    return {code: _words(code, table) for code, table in tomllib.loads(_text()).items()}


def _words(code: str, table: Mapping[str, list[str]]) -> PrivacyWords:
    spaced = code not in _UNSPACED
    return PrivacyWords(
        kin=words_pattern(table["kin"], blanks=spaced),
        street="|".join(map(re.escape, table.get("street", ()))),
        address=tuple(table.get("address", ())),
        me=words_pattern(table["me"], blanks=spaced),
        traits=words_pattern([word for kind in KINDS for word in table[kind]], blanks=spaced),
        unless=words_pattern(table["unless"], blanks=spaced),
    )


def _text() -> str:
    return (files("limner") / "prompts" / "privacy.toml").read_text(encoding="utf-8")
