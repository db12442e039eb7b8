"""What people say in a chat of their own wants: preferences, dislikes, habits, constraints, corrections.

A stance is a sentence of a message, quoted, with its polarity. How people put such things is data, a table for each
language (`prompts/stances.toml`); nothing here knows any language.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..records import Interaction, Polarity
from ..tools.language import stop_words
from ..tools.leaks import leak_penalty
from .case import Case, one_line
from .corrections import correction
from .lexicon import text_phrases
from .phrase_tables import blank, fold
from .quotations import own_words, unveiled
from .stance_tables import Table, tables, words_in
from .urgency import Urgency, outdoes, urgency_of, wish_of

MOST_CHARACTERS = 160
"""Longest quotation."""

_TOUCHING = 0.5
"""Share of the shorter one's content words above which two stances are about the same."""

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\s\"'”’»)]+|(?<=[。！？])[\s\"'”’»)」』]*|\n+")  # noqa: RUF001  # these end sentences too
_CLAUSE_END = re.compile(r"[,;:—–]\s+|\s-\s|[、，；：]")  # noqa: RUF001  # as people type them
_QUESTION = re.compile(r"(?:[?？]|か。)[\"'”’»)」』]*$")  # noqa: RUF001  # questions end so too
_LONGEST_THEME = 20
_MOST_URGENT: Mapping[Urgency, int] = {"limit": 8, "wish": 5}
"""Limits and wishes at most that a portrait takes beside its other sentences."""


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

    urgency: Urgency = "none"
    """Whether it is a limit, or a wish about how to be treated."""


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
    """Return the stances of one message, in its order, wishes about treatment included; none in anything but a message.

    A question tells nothing but what it says before its last clause, or that it asks for such a wish; a sentence that
    spells a rating is left out, because no portrait may. What is quoted, or to be written, takes no side.
    """
    table = tables().get(language)
    if event.kind != "message" or not event.text or table is None:
        return []
    said = own_words(correction.own_words(event), language)
    found = [_stance(sentence, table, language, event) for sentence in split_sentences(said)]
    return [stance for stance in found if stance]


def standing_stances(case: Case, *, most: int) -> list[Stance]:
    """Return what still holds of what a user said: limits, wishes, then firm before inclined; the newest first in each.

    Of two stances about the same thing the later one holds, whether it repeats the other or takes it back.

    Args:
        case: The run's material.
        most: Stances at most that are neither limits nor wishes.
    """
    held = still_held(case.visible, case.language)
    urgent = most_urgent(held)
    rest = [stance for stance in held if stance.urgency == "none"]
    rest.sort(key=lambda stance: not stance.firm)
    return [*urgent, *rest[:most]]


def most_urgent(held: Sequence[Stance]) -> list[Stance]:
    """Return limits, then wishes, as many of them as a portrait takes."""
    return [
        stance
        for urgency, most in _MOST_URGENT.items()
        for stance in [each for each in held if each.urgency == urgency][:most]
    ]


def still_held(events: Sequence[Interaction], language: str) -> list[Stance]:
    """Return the stances of messages that no later one replaces, the newest first."""
    said = [stance for event in reversed(events) for stance in reversed(stances_of(event, language))]
    words = [content_words(stance.quote, language) for stance in said]
    kept: list[int] = []
    for place in range(len(said)):
        if not any(
            _replaces(said[later], words[later], said[place], words[place], language) for later in kept
        ):
            kept.append(place)
    return [said[place] for place in kept]


def wish_in(sentence: str, language: str) -> bool:
    """Whether a sentence is nothing but a wish about how to be treated, be it put as a question."""
    asked = _QUESTION.search(sentence)
    divided = _CLAUSE_END.search(sentence.rstrip())
    return not (asked and divided) and wish_of(sentence, language) is not None


def statements(text: str) -> Iterator[str]:
    """Yield the sentences of a text, and of questions what is stated before their last clause."""
    for sentence in split_sentences(text):
        if stated := _stated(sentence):
            yield stated


def split_sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text, each on one line."""
    yield from filter(None, map(one_line, _SENTENCE_END.split(text)))


def _stated(sentence: str) -> str:
    if not _QUESTION.search(sentence):
        return sentence
    ends = [found.start() for found in _CLAUSE_END.finditer(sentence)]
    return sentence[: ends[-1]] if ends else ""


def _stance(sentence: str, table: Table, language: str, event: Interaction) -> Stance | None:
    wish = wish_of(sentence, language) if wish_in(sentence, language) else None
    sentence = sentence if wish else _stated(sentence)
    folded = fold(sentence)
    if len(folded) != len(sentence) or leak_penalty(unveiled(sentence), (), ""):
        return None  # a few letters grow in lower case
    urgency = urgency_of(sentence, language)
    if wish and urgency == "wish":
        side: Polarity = "like" if wish.wanted else "dislike"
        taken = _Found(0, 0, side, firm=True)
    else:
        urgency = "limit" if urgency == "limit" else "none"
        found = _find(table, folded)
        if found is None:
            return None
        taken = found
    quote = unveiled(_trim(sentence, taken)).replace('"', "'")
    return Stance(
        quote, taken.polarity, taken.firm, _theme(unveiled(folded), taken, language), event, urgency
    )


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
    stops = stop_words(language)
    if taken.start == taken.end:  # a wish, which begins alike whatever it is for
        return next((word for word in reversed(words_in(folded, language)) if word not in stops), folded)[
            :_LONGEST_THEME
        ]
    parts = (folded[taken.end :], folded[: taken.start])
    table = tables().get(language)
    if table and table.around:
        parts = parts[::-1] if table.verb_last else parts
        words = [word for part in parts for word in words_in(part, language)]
        return words[0][:_LONGEST_THEME] if words else folded[taken.start : taken.end]
    for part in parts:
        if phrases := text_phrases(part, language, most_words=2):
            return phrases[0]
    short = [word for part in parts for word in words_in(part, language) if word not in stops]
    return short[0] if short else folded[taken.start : taken.end]


def _replaces(
    later: Stance, later_words: set[str], earlier: Stance, earlier_words: set[str], language: str
) -> bool:
    if outdoes(later.quote, earlier.quote, language):
        return True
    if "wish" in (later.urgency, earlier.urgency) and later.urgency != earlier.urgency:
        return False
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
    return {word.rstrip("s") for word in words_in(folded, language) if word not in stops}
