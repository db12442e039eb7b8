"""How people take sides in each language that has a table, and which words of theirs carry meaning there."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from ..records import content_hash
from .phrase_tables import pattern_of, read_tables, table_text

_FILES = ("stances.toml", "urgent.toml", "listening.toml")
_LETTERS = re.compile(r"[^\W\d_]{3,}")
_RUN = re.compile(r"[^\W\d_]+")


class Table(NamedTuple):
    """How one language puts stances."""

    said: str
    dislike: re.Pattern[str]
    like: re.Pattern[str]
    leaning: re.Pattern[str]
    courtesy: re.Pattern[str] | None
    around: re.Pattern[str] | None
    """What themes lose at either end; absent where words stand apart."""

    verb_last: bool
    """Whether a thing is named before a side is taken."""


@cache
def tables() -> Mapping[str, Table]:
    """Return the tables by ISO 639-1 code."""
    return {code: _table(entry) for code, entry in read_tables("stances.toml").items()}


def tables_hash() -> str:
    """Return a hash of the tables, for what was drawn by them."""
    return content_hash(*map(table_text, _FILES))


@cache
def side_words(language: str) -> frozenset[str]:
    """Return the words by which sides are taken, and what is done with things, such as to eat or to watch them."""
    entry = read_tables("stances.toml").get(language, {})
    phrases = [*entry.get("like", ()), *entry.get("dislike", ()), *entry.get("leaning", ())]
    phrases += [entry.get("adverbs", ""), *entry.get("sets", {}).values()]
    return frozenset(word for phrase in phrases for word in _LETTERS.findall(phrase))


def words_in(text: str, language: str) -> list[str]:
    """Return the words of a text in lower case that may carry meaning: of three letters, or what a clause is about.

    Examples:
        >>> words_in("the old maps", "en"), words_in("私は猫が", "ja"), words_in("고양이를", "ko")
        (['the', 'old', 'maps'], ['猫'], ['고양이'])
    """
    table = tables().get(language)
    if table is None or table.around is None:
        return _LETTERS.findall(text)
    bared = (table.around.sub("", run) for run in _RUN.findall(text))
    return [word for word in bared if word]


def _table(entry: Mapping[str, Any]) -> Table:
    sets: Mapping[str, str] = {"~": entry["adverbs"], **entry.get("sets", {})}
    spaced = entry.get("spaced", True)
    compiled = {name: pattern_of(entry[name], sets, spaced=spaced) for name in ("dislike", "like", "leaning")}
    courtesy = pattern_of(entry["courtesy"], sets, spaced=spaced) if "courtesy" in entry else None
    around = None if spaced else _ends(entry["before"], entry["after"])
    return Table(
        said=entry["said"],
        courtesy=courtesy,
        around=around,
        verb_last=entry.get("verb_last", False),
        **compiled,
    )


def _ends(before: str, after: str) -> re.Pattern[str]:
    start, end = ("|".join(map(re.escape, words.split("/"))) for words in (before, after))
    return re.compile(f"^(?:{start})+|(?:{end})$")
