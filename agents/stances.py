"""What people say in a chat of their own wants: preferences, dislikes, habits, constraints, corrections.

A stance is a sentence of a message, quoted, with its polarity. How people put such things is data, a table for each
language (`prompts/stances.toml`); nothing here knows any language.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from ..records import Interaction, Polarity, content_hash
from ..tools.language import stop_words
from ..tools.leaks import leak_penalty
from .case import Case, one_line
from .corrections.correction import own_words
from .lexicon import text_phrases

MOST_CHARACTERS = 160
"""Longest quotation."""

_TOUCHING = 0.5
"""Share of the shorter one's content words above which two stances are about the same."""

_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])[\s\"'”’»)]+|\n+")  # noqa: RUF001  # these end and close sentences too
_CLAUSE_END = re.compile(r"[,;:—–]\s+|\s-\s")  # noqa: RUF001  # dashes as people type them
_APOSTROPHES = str.maketrans("’‘´`", "''''")  # noqa: RUF001  # as people type them
_WORD = r"[\w'-]+"
_LETTERS = re.compile(r"[^\W\d_]{3,}")


class Stance(NamedTuple):
    """One sentence in which somebody takes sides."""

    quote: str
    """The user's own words, at most `MOST_CHARACTERS`."""

    polarity: Polarity
    """`neutral` if the sentence is for one thing and against another."""

    firm: bool
    """Whether it is put firmly, not as an inclination."""

    theme: str
    """What it is about, a word or two."""

    event: Interaction
    """The message."""


class Table(NamedTuple):
    """How one language puts stances."""

    said: str
    dislike: re.Pattern[str]
    like: re.Pattern[str]
    leaning: re.Pattern[str]
    courtesy: re.Pattern[str] | None


class _Found(NamedTuple):
    """Where a sentence takes sides, and which."""

    start: int
    end: int
    polarity: Polarity
    firm: bool


def quote_of(stance: Stance, language: str) -> str:
    """Return a stance as a sentence of a portrait.

    Examples:
        >>> from datetime import UTC, datetime
        >>> said = Interaction(event_id="e", user_id="u", kind="message", at=datetime(2026, 1, 1, tzinfo=UTC))
        >>> quote_of(Stance("I never fly.", "dislike", True, "fly", said), "en")
        'Said: "I never fly."'
    """
    table = tables().get(language)
    return f'{table.said} "{stance.quote}"' if table else f'"{stance.quote}"'


def stances_of(event: Interaction, language: str) -> list[Stance]:
    """Return the stances of one message, in its order; none in anything but a message.

    A question tells nothing but what it says before its last clause; a sentence that spells a rating is left out,
    because no portrait may.
    """
    table = tables().get(language)
    if event.kind != "message" or not event.text or table is None:
        return []
    found: list[Stance] = []
    for sentence in statements(own_words(event)):
        folded = fold(sentence)
        taken = (
            _find(table, folded) if len(folded) == len(sentence) else None
        )  # a few letters grow in lower case
        if taken is None or leak_penalty(sentence, (), ""):
            continue
        quote = _trim(sentence, taken).replace('"', "'")
        theme = _theme(folded, taken, language)
        found.append(Stance(quote, taken.polarity, taken.firm, theme, event))
    return found


def standing_stances(case: Case, *, most: int) -> list[Stance]:
    """Return what still holds of what a user said: firm before inclined, then newest first.

    Of two stances about the same thing the later one holds, whether it repeats the other or takes it back.
    """
    said = [
        stance for event in reversed(case.visible) for stance in reversed(stances_of(event, case.language))
    ]
    words = [content_words(stance.quote, case.language) for stance in said]
    kept: list[int] = []
    for place in range(len(said)):
        if not any(_replaces(said[later], words[later], said[place], words[place]) for later in kept):
            kept.append(place)
    kept.sort(key=lambda place: not said[place].firm)
    return [said[place] for place in kept[:most]]


def fold(text: str) -> str:
    """Return a text as the tables are written: lower case, straight apostrophes."""
    return text.translate(_APOSTROPHES).lower()


def tables_hash() -> str:
    """Return a hash of the tables, for what was drawn by them."""
    return content_hash(_text())


@cache
def side_words(language: str) -> frozenset[str]:
    """Return the words by which sides are taken, and what is done with things, such as to eat or to watch them."""
    entry = tomllib.loads(_text()).get(language, {})
    phrases = [*entry.get("like", ()), *entry.get("dislike", ()), *entry.get("leaning", ())]
    phrases += [entry.get("adverbs", ""), *entry.get("sets", {}).values()]
    return frozenset(word for phrase in phrases for word in _LETTERS.findall(phrase))


@cache
def tables() -> Mapping[str, Table]:
    """Return the tables by ISO 639-1 code."""
    return {code: _table(entry) for code, entry in tomllib.loads(_text()).items()}


def _text() -> str:
    return (files("limner") / "prompts" / "stances.toml").read_text(encoding="utf-8")


def _table(entry: Mapping[str, Any]) -> Table:
    sets: Mapping[str, str] = {"~": entry["adverbs"], **entry.get("sets", {})}
    compiled = {name: pattern_of(entry[name], sets) for name in ("dislike", "like", "leaning")}
    courtesy = pattern_of(entry["courtesy"], sets) if "courtesy" in entry else None
    return Table(said=entry["said"], courtesy=courtesy, **compiled)


def pattern_of(phrases: Sequence[str], sets: Mapping[str, str]) -> re.Pattern[str]:
    """Return the regular expression of a table's phrases, as whole words."""
    spelled = "|".join(spell(phrase, sets) for phrase in phrases)
    return re.compile(rf"(?<![\w'-])(?:{spelled})(?![\w'-])")


def spell(phrase: str, sets: Mapping[str, str]) -> str:
    """Return the regular expression of one phrase of a table.

    Examples:
        >>> spell("<i> ~ love/adore", {"~": "really/do", "i": "i/we"})
        '(?:i|we) (?:(?:really|do) ){0,3}(?:love|adore)'
    """
    parts: list[str] = []
    *before, last = phrase.split()
    for token in before:
        if token == "~":
            parts.append(rf"(?:{_either(sets[token], sets)} ){{0,3}}")
        elif token == "…":
            parts.append(rf"(?:{_WORD} ){{0,4}}")
        else:
            parts.append(f"{_either(token, sets)} ")
    return "".join([*parts, _either(last, sets)])


def _either(words: str, sets: Mapping[str, str]) -> str:
    listed = re.sub(r"<(\w+)>", lambda named: sets[named[1]], words)
    spelled = (re.escape(word.replace("_", " ")) for word in listed.split("/"))
    return f"(?:{'|'.join(spelled)})".replace(r"\ ", " ").replace(r"\*", r"[\w'-]*")


def statements(text: str) -> Iterator[str]:
    """Yield the sentences of a text, and of questions what is stated before their last clause."""
    for part in _SENTENCE_END.split(text):
        sentence = one_line(part)
        if sentence.rstrip("\"'”’»)").endswith(("?", "？")):  # noqa: RUF001  # questions end so too
            ends = [found.start() for found in _CLAUSE_END.finditer(sentence)]
            sentence = sentence[: ends[-1]] if ends else ""
        if sentence:
            yield sentence


def _find(table: Table, folded: str) -> _Found | None:
    """Tell whether a sentence takes sides."""
    meant = blank(folded, table.courtesy.finditer(folded)) if table.courtesy else folded
    against = list(table.dislike.finditer(meant))
    matches = [*against, *table.like.finditer(blank(meant, against))]
    firm = bool(matches)
    if not firm:
        matches = list(table.leaning.finditer(meant))
    if not matches:
        return None
    first = min(matches, key=lambda match: match.start())
    sides: set[Polarity] = {"dislike" if match in against else "like" for match in matches}
    polarity: Polarity = sides.pop() if len(sides) == 1 else "neutral"
    return _Found(first.start(), first.end(), polarity, firm)


def blank(text: str, matches: Iterable[re.Match[str]]) -> str:
    """Put marks that no pattern reads in the place of what was matched."""
    for match in matches:
        text = f"{text[: match.start()]}{'.' * (match.end() - match.start())}{text[match.end() :]}"
    return text


def _trim(sentence: str, taken: _Found) -> str:
    """Cut a long sentence at words, around the place where it takes sides."""
    if len(sentence) <= MOST_CHARACTERS:
        return sentence
    start = 0
    if taken.end > MOST_CHARACTERS * 2 // 3:
        clauses = [match.end() for match in _CLAUSE_END.finditer(sentence) if match.end() <= taken.start]
        start = clauses[-1] if clauses else taken.start
    cut = sentence[start:]
    before = "… " if start else ""
    room = MOST_CHARACTERS - len(before)
    if len(cut) <= room:
        return before + cut
    return f"{before}{cut[: room - 1].rsplit(' ', 1)[0].rstrip(',;:')}…"


def _theme(folded: str, taken: _Found, language: str) -> str:
    """Name what a stance is about: the words behind where it takes sides, else those before, else these."""
    parts = (folded[taken.end :], folded[: taken.start])
    for part in parts:
        if phrases := text_phrases(part, language, most_words=2):
            return phrases[0]
    short = [word for part in parts for word in _LETTERS.findall(part) if word not in stop_words(language)]
    return short[0] if short else folded[taken.start : taken.end]


def _replaces(later: Stance, later_words: set[str], earlier: Stance, earlier_words: set[str]) -> bool:
    if "neutral" in (later.polarity, earlier.polarity) and later.polarity != earlier.polarity:
        return False
    if later.event is earlier.event:  # who contrasts within one message means both
        return later.quote == earlier.quote
    shorter = min(len(later_words), len(earlier_words))
    return shorter > 0 and len(later_words & earlier_words) > _TOUCHING * shorter


def content_words(quote: str, language: str) -> set[str]:
    """Return the words that say what a stance is about, without those that take sides."""
    folded = fold(quote)
    table = tables().get(language)
    for pattern in (table.dislike, table.like, table.leaning) if table else ():
        folded = pattern.sub(" . ", folded)
    stops = stop_words(language)
    return {word.rstrip("s") for word in _LETTERS.findall(folded) if word not in stops}
