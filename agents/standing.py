"""Which observations still hold: what a user said later outweighs what was noted earlier about the same thing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from ..models import Cue
from ..records import Interaction, Polarity
from ..tools.language import stop_words
from .phrasing import OPENINGS, joiner_of, openings
from .stance_tables import side_words, words_in
from .urgency import MANNER, wish_of

AGAINST: Mapping[Polarity, Polarity] = {"like": "dislike", "dislike": "like"}
_PHRASE_END = re.compile(r"[.,;:!?()\"“”«»]+")


class Statement(NamedTuple):
    """What a user said about one thing."""

    cue: Cue
    """How it was noted."""

    at: datetime
    """When it was said."""

    theme: tuple[str, ...]
    """The words of its theme, in order, without what takes a side or is done with things."""

    words: frozenset[str]
    """All of its words that carry meaning."""


class Weighed(NamedTuple):
    """Observations after weighing."""

    standing: list[Cue]
    """Those that hold, in the order given."""

    outweighed: list[Cue]
    """Those that a later statement takes back; their evidence stays as it is."""


def statements_of(cues: Iterable[Cue], events: Mapping[str, Interaction], language: str) -> list[Statement]:
    """Return what the user said himself: observations that rest on messages alone and take a side."""
    said: list[Statement] = []
    for cue in cues:
        known = [events[event_id] for event_id in cue.evidence if event_id in events]
        spoken = known and all(event.kind == "message" for event in known)
        named = _words(cue.facet, language)
        theme = tuple(word for word in named if word not in _sides(language)) or tuple(named)
        if spoken and theme and cue.polarity in AGAINST:
            words = frozenset((*theme, *_words(cue.text, language)))
            said.append(Statement(cue, max(event.at for event in known), theme, words))
    return said


def weigh(cues: Sequence[Cue], events: Mapping[str, Interaction], language: str) -> Weighed:
    """Tell which observations hold.

    A statement outweighs an observation of the other polarity that speaks of the same and rests on earlier
    interactions only. Nothing outweighs what came after it, so who changes his mind twice is taken at his last word.

    Args:
        cues: Observations about one user.
        events: The user's interactions by id; an observation that rests on none of them is taken for older.
        language: ISO 639-1 code of the user's language.
    """
    said = statements_of(cues, events, language)
    replaced = _replaced_wishes(cues, events, language)
    out = [cue for cue in cues if cue.cue_id in replaced or _is_outweighed(cue, said, events, language)]
    gone = {cue.cue_id for cue in out}
    return Weighed([cue for cue in cues if cue.cue_id not in gone], out)


def speaks_of(sentence: str, statement: Statement, language: str) -> bool:
    """Whether a sentence names what a statement is about, as one of the things it lists.

    Examples:
        >>> from datetime import UTC, datetime
        >>> from ..models import Cue
        >>> cue = Cue(
        ...     cue_id="c", text="No more horror films.", polarity="dislike", facet="horror films", evidence=("m",)
        ... )
        >>> said = Statement(cue, datetime(2026, 1, 1, tzinfo=UTC), ("horror", "film"), frozenset({"horror", "film"}))
        >>> speaks_of("Enjoys thrillers, horror and jazz.", said, "en"), speaks_of("Enjoys films.", said, "en")
        (True, False)
    """
    whole = set(_words(sentence, language))
    return whole.issuperset(statement.theme) or any(
        _same(statement, set(_words(phrase, language))) for phrase in _phrases(sentence, language)
    )


def _is_outweighed(
    cue: Cue, said: Sequence[Statement], events: Mapping[str, Interaction], language: str
) -> bool:
    """Whether a statement takes an observation back; its words are read only if one came later."""
    against = AGAINST.get(cue.polarity)
    newest = max((events[event_id].at for event_id in cue.evidence if event_id in events), default=None)
    later = [
        statement
        for statement in said
        if statement.cue.polarity == against and (newest is None or newest < statement.at)
    ]
    if not later:
        return False
    facet = set(_words(cue.facet, language))
    return any(
        (_same(statement, facet) or facet.issuperset(statement.theme))
        and (wish_of(cue.text, language) is None) == (wish_of(statement.cue.text, language) is None)
        for statement in later
    )


def _replaced_wishes(cues: Sequence[Cue], events: Mapping[str, Interaction], language: str) -> set[str]:
    """Return the wishes about treatment after which another one of the same kind came, by cue id."""
    kinds: dict[str, list[tuple[datetime, str]]] = {}
    for cue in cues:
        wish = wish_of(cue.text, language)
        said = [events[event_id].at for event_id in cue.evidence if event_id in events]
        if wish and wish.kind != MANNER and said:
            kinds.setdefault(wish.kind, []).append((max(said), cue.cue_id))
    newest = {kind: max(at for at, _ in wishes) for kind, wishes in kinds.items()}
    return {cue_id for kind, wishes in kinds.items() for at, cue_id in wishes if at < newest[kind]}


def _same(statement: Statement, words: set[str]) -> bool:
    """Whether a phrase is what a statement is about: nothing but its words, and the first of its theme among them.

    Who is through with horror films is through with horror; who cannot bear loud music may love music.
    """
    return statement.theme[0] in words and statement.words.issuperset(words)


def _phrases(sentence: str, language: str) -> list[str]:
    """Split a sentence into what it lists."""
    joiner = joiner_of(language)
    parts = _PHRASE_END.split(sentence.casefold())
    return [piece for part in parts for piece in (part.split(f" {joiner} ") if joiner else [part])]


@cache
def _sides(language: str) -> frozenset[str]:
    return frozenset(word.rstrip("s") for word in side_words(language))


def _words(text: str, language: str) -> list[str]:
    """Return the words that carry meaning, plurals alike, those of fixed openings left out."""
    folded = text.casefold().strip()
    for start in (start.casefold() for opening in OPENINGS for start in openings(language, opening)):
        if folded.startswith(f"{start} "):
            folded = folded[len(start) :]
    stops = stop_words(language)
    return [word.rstrip("s") for word in words_in(folded, language) if word not in stops]
