"""What of a user's own words comes before all else: limits, then wishes about how to be treated.

How people put both is data, a table for each language (`prompts/urgent.toml`); nothing here knows any language.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple, TypeVar

from .phrase_tables import fold, opening_of, pattern_of, read_tables

Urgency = Literal["limit", "wish", "none"]
"""What a sentence is, the first most urgent."""

MANNER = "manner"
"""The kind of wish of which several may hold."""

_ORDER: tuple[Urgency, ...] = ("limit", "wish", "none")
_WORD = re.compile(r"\w")

_REMEMBERED = 8192

T = TypeVar("T")


class Wish(NamedTuple):
    """How somebody wants to be treated."""

    kind: str
    """What it is about: `name`, `language`, `length`, `address` or `manner`."""

    wanted: bool
    """Whether it is for something."""


class _Table(NamedTuple):
    limit: re.Pattern[str]
    own: re.Pattern[str]
    against: re.Pattern[str]
    wish: Mapping[str, re.Pattern[str]]


@lru_cache(maxsize=_REMEMBERED)
def urgency_of(sentence: str, language: str) -> Urgency:
    """Tell what a sentence is; of one that quotes, such as a portrait's, what it quotes.

    Examples:
        >>> urgency_of("I'm allergic to nuts.", "en"), urgency_of('Said: "Call me Sam."', "en")
        ('limit', 'wish')
        >>> urgency_of("私は猫が好きです。", "ja"), urgency_of("Enjoys old maps.", "en")
        ('none', 'none')
    """
    table = _tables().get(language)
    if table is None:
        return "none"
    if table.limit.search(fold(_said(sentence))):
        return "limit"
    return "wish" if wish_of(sentence, language) else "none"


@lru_cache(maxsize=_REMEMBERED)
def wish_of(sentence: str, language: str) -> Wish | None:
    """Return the wish that a sentence is; nothing if it is none.

    Examples:
        >>> wish_of("Please don't use emojis.", "en"), wish_of("Bitte duze mich.", "de")
        (Wish(kind='manner', wanted=False), Wish(kind='address', wanted=True))
    """
    table = _tables().get(language)
    if table is None:
        return None
    folded = " ".join(fold(_said(sentence)).replace(",", "").split())
    kind = next((kind for kind, pattern in table.wish.items() if pattern.match(folded)), None)
    if kind is None or (kind == MANNER and table.own.search(folded)):
        return None
    return Wish(kind, wanted=not table.against.match(folded))


def quoted_urgency(sentence: str, language: str) -> Urgency:
    """Tell what a sentence of a portrait quotes; one in other words, be it about vegan cookbooks, states no limit."""
    return "none" if _quoted(sentence) is None else urgency_of(sentence, language)


def outdoes(later: str, earlier: str, language: str) -> bool:
    """Whether of two wishes the later one holds alone, because both are about one thing."""
    wish, other = wish_of(later, language), wish_of(earlier, language)
    return bool(wish and other) and wish.kind == other.kind != MANNER  # type: ignore[union-attr]  # both are there


def urgent_first(entries: Iterable[tuple[T, str]], language: str) -> Iterator[tuple[T, Urgency]]:
    """Yield entries with what their sentences are: limits, then wishes, then the rest, each in its order."""
    judged = [(entry, urgency_of(sentence, language)) for entry, sentence in entries]
    yield from sorted(judged, key=lambda each: _ORDER.index(each[1]))


def _said(sentence: str) -> str:
    quoted = _quoted(sentence)
    return sentence if quoted is None else quoted


def _quoted(sentence: str) -> str | None:
    """Return what stands between quotation marks at a sentence's end; a pattern takes ages over many such marks.

    Examples:
        >>> _quoted('Said: "Call me "Sam"".'), _quoted('Said "so" himself.'), _quoted('""')
        ('Call me "Sam"', None, None)
    """
    last = sentence.rfind('"')
    if last < 0 or _WORD.search(sentence, last):
        return None
    first = sentence.find('"', sentence.rfind("\n", 0, last) + 1, last)
    return sentence[first + 1 : last] if 0 <= first < last - 1 else None


@cache
def _tables() -> Mapping[str, _Table]:
    return {code: _table(entry) for code, entry in read_tables("urgent.toml").items()}


def _table(entry: Mapping[str, Any]) -> _Table:
    sets: Mapping[str, str] = {"~": entry["polite"], **entry.get("sets", {})}
    spaced = entry.get("spaced", True)
    return _Table(
        limit=pattern_of(entry["limit"], sets, spaced=spaced),
        own=pattern_of(entry["own"], sets, spaced=spaced),
        against=opening_of(entry["against"], sets, spaced=spaced),
        wish={kind: opening_of(phrases, sets, spaced=spaced) for kind, phrases in entry["wish"].items()},
    )
