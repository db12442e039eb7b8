"""Words that say outright whether somebody and an item fit, in several languages (`prompts/verdicts.toml`)."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_LIST = re.compile(r"<(\w+)>")


def verdict_in(text: str, known: str = "") -> str | None:
    """Return the first verdict in a text; `None` without any.

    Words that are part of a name in the visible history, with capitals as names have them, are none.

    Args:
        text: Whatever a model wrote.
        known: Text of the visible history.

    Examples:
        >>> verdict_in("Enjoys long walks and will love it.")
        'will love it'
        >>> verdict_in("Loves jazz and looks for dresses that fit.")
        >>> verdict_in("Enjoys films such as Perfect Match.", "Perfect Match (1987)")
    """
    for found in _verdicts().finditer(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        if not (_has_capitals(found[0]) and found[0] in known):
            return found[0].strip()
    return None


def is_praise(phrase: str) -> bool:
    """Whether a phrase says nothing but how well something pleased.

    Examples:
        >>> is_praise("great love"), is_praise("five stars"), is_praise("great lakes")
        (True, False, False)
    """
    words = phrase.casefold().split()
    return bool(words) and _praise().issuperset(words)


def _has_capitals(words: str) -> bool:
    return all(word[0].isupper() for word in re.findall(r"\w+", words))


def _filled(pattern: str, entry: Mapping[str, str]) -> str:
    """Put a language's lists into a pattern."""
    return _LIST.sub(lambda name: entry[name[1]], pattern)


@cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads((files("limner") / "prompts" / "verdicts.toml").read_text(encoding="utf-8"))


@cache
def _praise() -> frozenset[str]:
    return frozenset(word for entry in _table().values() for word in entry["praise"].split())


@cache
def _verdicts() -> re.Pattern[str]:
    patterns = [_filled(pattern, entry) for entry in _table().values() for pattern in entry["verdicts"]]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
