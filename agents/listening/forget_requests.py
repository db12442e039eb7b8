"""Requests to forget something that was said, and which turns they mean."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ...records import Interaction
from ..stances import content_words, fold
from .chat_words import chat_words
from .gate import own_words

_SENTENCE_END = re.compile(r"(?<=[.!?…。！？\n])")  # noqa: RUF001  # these end sentences too
_CLAUSE_END = re.compile(r"[.!?,;:…。，！？\n]+|\s[-–—]\s")  # noqa: RUF001  # these end and divide sentences too


class Request(NamedTuple):
    """One request to forget."""

    topic: frozenset[str]
    """Words that what is to be forgotten holds; empty for what was said last."""

    everything: bool
    """Whether all there is is meant."""


class Meant(NamedTuple):
    """What the requests in a chat mean."""

    asking: frozenset[str]
    """Turns that ask, by event id; they may repeat what is to be forgotten, so they are not kept either."""

    gone: frozenset[str]
    """Earlier turns that are to be forgotten, by event id."""

    everything: bool
    """Whether somebody asked to forget all there is."""

    vain: int
    """Requests that mean no turn."""


def requests_in(text: str, language: str) -> list[Request]:
    """Return the requests to forget in one turn.

    Examples:
        >>> requests_in("Please forget what I said about fish.", "en")
        [Request(topic=frozenset({'fish'}), everything=False)]
        >>> requests_in("Don't forget that I like fish!", "en")
        []
    """
    words = chat_words().get(language)
    if words is None:
        return []
    found: list[Request] = []
    for (clause, asked), (after, _) in pairwise([*_clauses(text), ("", False)]):
        all_of_it = words.forget_all.match(clause)
        opening = all_of_it or words.forget.match(clause)
        if opening is None:  # some languages put a comma within it
            clause = f"{clause} {after}"
            opening = words.forget.match(clause)
        if opening is None:
            continue
        topic = frozenset(content_words(clause[opening.end() :], language) - words.polite - words.said)
        if opening.group().endswith(
            "about"
        ):  # "forget about pasta, what about rice?" only changes the subject
            moves_on = asked and content_words(after, language) - words.polite
            if moves_on or not topic:
                continue
        found.append(Request(topic, everything=bool(all_of_it and not topic)))
    return list(dict.fromkeys(found))


def what_is_meant(
    turns: Sequence[Interaction], earlier: Sequence[Interaction], done: frozenset[str], language: str
) -> Meant:
    """Tell which turns the requests in a chat mean.

    Args:
        turns: The user's own turns, in order.
        earlier: Messages that are stored, oldest first.
        done: Requests that were heard before, by event id; they mean nothing beyond their own chat again.
        language: ISO 639-1 code of the user's language.
    """
    asking: dict[str, None] = {}
    gone: dict[str, None] = {}
    everything, vain = False, 0
    here = {turn.event_id for turn in turns}
    stored = [event for event in earlier if event.event_id not in here]
    for place, turn in enumerate(turns):
        for request in requests_in(turn.text or "", language):
            asking[turn.event_id] = None
            new = turn.event_id not in done
            everything |= request.everything and new
            said = [past for past in turns[:place] if past.event_id not in asking]
            found = _meant(request, said, stored if new else [], language)
            vain += not found and not request.everything and new
            gone |= dict.fromkeys(event.event_id for event in found)
    return Meant(frozenset(asking), frozenset(gone), everything, vain)


def _meant(
    request: Request, said: Sequence[Interaction], stored: Sequence[Interaction], language: str
) -> list[Interaction]:
    """Return the turns a request means: all that hold its topic, or the last one before it."""
    if request.everything:
        return []
    if request.topic:
        return [
            event for event in (*stored, *said) if request.topic <= content_words(event.text or "", language)
        ]
    return [*said[-1:]] or [*stored[-1:]]


def _clauses(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the clauses of a turn, and whether a question follows within the sentence."""
    for sentence in _SENTENCE_END.split(fold(own_words(text))):
        asked = sentence.endswith(("?", "？"))  # noqa: RUF001  # questions end so too
        clauses = [plain for clause in _CLAUSE_END.split(sentence) if (plain := " ".join(clause.split()))]
        yield from ((clause, asked and place < len(clauses)) for place, clause in enumerate(clauses, start=1))
