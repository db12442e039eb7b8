"""What a user corrected in a portrait, as a statement among the interactions, and how portraits heed it.

A correction is a message of the user's own: the words that are right, if any, and behind `≠` the words that are not.
Whatever a later draft says, what the user took back is not published again, and what the user put in its place is.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from ...models import Claim, Facet
from ...records import Interaction, Polarity
from ...tools.language import stop_words
from ..phrasing import OPENINGS, openings

PREFIX = "correction:"
"""Starts the event id of every correction."""

_NOT = "≠ "
_BECAUSE = "∵ "
_ALIKE = 0.6
"""Share of the shorter one's content words from which two sentences say the same."""


class Correction(NamedTuple):
    """What a user took back, and what is to stand there."""

    event_id: str
    wrong: str
    right: str | None


class Heeded(NamedTuple):
    """The sentences of a portrait, with their evidence."""

    facets: tuple[Facet, ...]
    claims: tuple[Claim, ...]


def correction_text(wrong: str, right: str | None, reason: str = "") -> str:
    r"""Return a correction as what the user says.

    Examples:
        >>> correction_text("Enjoys opera.", "Enjoys chamber music.", "I never said opera")
        'Enjoys chamber music.\n≠ Enjoys opera.\n∵ I never said opera'
    """
    lines = [right or "", f"{_NOT}{_one_line(wrong)}", f"{_BECAUSE}{reason}" if reason else ""]
    return "\n".join(line for line in lines if line)


def correction_of(event: Interaction) -> Correction | None:
    """Return what an interaction corrects; nothing for any other interaction."""
    if not event.event_id.startswith(PREFIX) or not event.text:
        return None
    lines = event.text.split("\n")
    wrong = next((line.removeprefix(_NOT) for line in lines if line.startswith(_NOT)), None)
    right = None if lines[0].startswith((_NOT, _BECAUSE)) else lines[0]
    return None if wrong is None else Correction(event.event_id, wrong, right)


def own_words(event: Interaction) -> str:
    """Return what a user says of their own accord: of a correction only what is right."""
    correction = correction_of(event)
    return (event.text or "") if correction is None else correction.right or ""


def heed(
    facets: Sequence[Facet], claims: Sequence[Claim], events: Iterable[Interaction], language: str
) -> Heeded:
    """Take out of a portrait what its user took back, oldest correction first, and put in what is right."""
    kept = list(zip(facets, claims, strict=True))
    for correction in filter(None, map(correction_of, events)):
        kept = [pair for pair in kept if not same(pair[0].text, correction.wrong, language)]
        if correction.right is not None:
            kept = [pair for pair in kept if pair[0].text != correction.right]
            kept.insert(0, stated(correction.right, correction.event_id, language))
    return Heeded(tuple(facet for facet, _ in kept), tuple(claim for _, claim in kept))


def stated(words: str, event_id: str, language: str, like: Facet | None = None) -> tuple[Facet, Claim]:
    """Return a sentence that the user said as one of a portrait; of the facet it replaces it keeps the theme."""
    name = like.name if like else " ".join(words.split()[:2])
    facet = Facet(name=name, text=words, polarity=_polarity(words, language, like))
    return facet, Claim(text=words, evidence=(event_id,), confidence=1.0)


def same(one: str, other: str, language: str) -> bool:
    """Whether two sentences of a portrait say the same, in whatever opening.

    Examples:
        >>> same("Enjoys roses and ferns.", "Drawn to roses and ferns.", "en")
        True
        >>> same("Enjoys roses and ferns.", "Enjoys roses and knots.", "en")
        False
        >>> same("Enjoys roses.", "Avoids roses.", "en")
        False
    """
    if {_opening(one, language), _opening(other, language)} == {"like", "dislike"}:
        return False
    mine, theirs = _content(one, language), _content(other, language)
    if not mine or not theirs:
        return _one_line(one).casefold() == _one_line(other).casefold()
    return len(mine & theirs) >= _ALIKE * min(len(mine), len(theirs))


def _polarity(words: str, language: str, like: Facet | None) -> Polarity:
    """Return whether a sentence is for or against something; without a telling opening it is as what it replaces."""
    return _opening(words, language) or (like.polarity if like else "like")


def _opening(words: str, language: str) -> Literal["like", "dislike"] | None:
    """Read from its opening whether a sentence is for or against something."""
    said = words.casefold()
    kinds: tuple[Literal["dislike", "like"], ...] = ("dislike", "like")
    for kind in kinds:
        if any(said.startswith(start.casefold()) for start in openings(language, kind)):
            return kind
    return None


def _content(sentence: str, language: str) -> set[str]:
    """Return the words that carry meaning."""
    fixed = {
        word
        for opening in OPENINGS
        for start in openings(language, opening)
        for word in start.casefold().split()
    }
    return set(re.findall(r"\w{3,}", sentence.casefold())) - stop_words(language) - fixed


def _one_line(text: str) -> str:
    return " ".join(text.split())
