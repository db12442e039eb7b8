"""Phrases as data: how the tables in `prompts/` spell what people say, and the patterns made of them.

A table that says `spaced = false` is of a language that puts no blanks between words, or joins endings to them: its
phrases are found within words, and their parts may stand with or without blanks.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

_APOSTROPHES = str.maketrans("’‘´`", "''''")  # noqa: RUF001  # as people type them
_WORD = r"[\w'-]+"
_FEW = r"[^、。，,.!?！？；;\n]{0,16}?"  # noqa: RUF001  # what ends clauses where words have no blanks


@cache
def read_tables(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the tables of one file in `prompts/`, by ISO 639-1 code."""
    return tomllib.loads(table_text(name))


def table_text(name: str) -> str:
    """Return a file of tables as it is."""
    return (files("limner") / "prompts" / name).read_text(encoding="utf-8")


def fold(text: str) -> str:
    """Return a text as the tables are written: lower case, straight apostrophes."""
    return text.translate(_APOSTROPHES).lower()


def pattern_of(phrases: Sequence[str], sets: Mapping[str, str], *, spaced: bool = True) -> re.Pattern[str]:
    """Return the regular expression of a table's phrases, as whole words where words have blanks."""
    spelled = "|".join(spell(phrase, sets, spaced=spaced) for phrase in phrases)
    return re.compile(rf"(?<![\w'-])(?:{spelled})(?![\w'-])" if spaced else f"(?:{spelled})")


def opening_of(phrases: Sequence[str], sets: Mapping[str, str], *, spaced: bool = True) -> re.Pattern[str]:
    """Return the same to be matched where a sentence or a clause begins."""
    spelled = "|".join(spell(phrase, sets, spaced=spaced) for phrase in phrases)
    return re.compile(rf"(?:{spelled})(?![\w'-])" if spaced else f"(?:{spelled})")


def spell(phrase: str, sets: Mapping[str, str], *, spaced: bool = True) -> str:
    r"""Return the regular expression of one phrase of a table.

    Examples:
        >>> spell("<i> ~ love/adore", {"~": "really/do", "i": "i/we"})
        '(?:i|we) (?:(?:really|do) ){0,3}(?:love|adore)'
        >>> spell("が ~ 好き", {"~": "とても"}, spaced=False)
        '(?:が)\\s?(?:(?:とても)\\s?){0,3}(?:好き)'
    """
    blank_ = " " if spaced else r"\s?"
    parts: list[str] = []
    *before, last = phrase.split()
    for token in before:
        if token == "~":
            parts.append(rf"(?:{_either(sets[token], sets)}{blank_}){{0,3}}")
        elif token == "…":
            parts.append(rf"(?:{_WORD} ){{0,4}}" if spaced else _FEW)
        else:
            parts.append(f"{_either(token, sets)}{blank_}")
    return "".join([*parts, _either(last, sets)])


def _either(words: str, sets: Mapping[str, str]) -> str:
    listed = re.sub(r"<(\w+)>", lambda named: sets[named[1]], words)
    spelled = (re.escape(word.replace("_", " ")) for word in listed.split("/"))
    return f"(?:{'|'.join(spelled)})".replace(r"\ ", " ").replace(r"\*", r"[\w'-]*")


def blank(text: str, matches: Iterable[re.Match[str]]) -> str:
    """Put marks that no pattern reads in the place of what was matched."""
    for match in matches:
        text = f"{text[: match.start()]}{'.' * (match.end() - match.start())}{text[match.end() :]}"
    return text
