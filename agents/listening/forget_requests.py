"""Requests to forget something that was said, and which turns they mean.

To forget cannot be undone, so whoever only turns to something else ("forget that, how do I …") is not taken to ask.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ...records import Interaction
from ..phrase_tables import fold
from ..quotations import own_words, unveiled
from ..stances import content_words
from .chat_words import ChatWords, chat_words
from .gate import telling

_SENTENCE_END = re.compile(r"(?<=[.!?…。！？\n])")  # noqa: RUF001  # these end sentences too
_CLAUSE_END = re.compile(r"[.!?,;:…。、，！？\n]+|\s[-–—]\s")  # noqa: RUF001  # these end and divide sentences too

_FEWEST_WORDS = 2
"""Words that carry meaning from which a turn goes on with something else."""


class Request(NamedTuple):
    """One request to forget."""

    topic: frozenset[str]
    """Words that what is to be forgotten holds; empty for what was said last."""

    everything: bool
    """Whether all there is is meant."""

    here: bool = False
    """Whether what the same turn said just before is meant."""

    sure: bool = True
    """Whether it can only be a request; one that may as well change the subject is not carried out."""


class _Clause(NamedTuple):
    """A part of a sentence."""

    text: str
    asked: bool
    """Whether it belongs to a question."""

    before_question: bool
    """Whether more of the question follows."""


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

    unsure: int = 0
    """Turns that may ask or only change the subject; they are kept, and nothing is forgotten for them."""


def requests_in(text: str, language: str) -> list[Request]:
    """Return the requests to forget in one turn.

    Examples:
        >>> requests_in("Please forget what I said about fish.", "en")
        [Request(topic=frozenset({'fish'}), everything=False, here=False, sure=True)]
        >>> requests_in("Don't forget that I like fish!", "en")
        []
    """
    words = chat_words().get(language)
    if words is None:
        return []
    found: list[Request] = []
    said = own_words(text, language)
    clauses = [*_clauses(said), _Clause("", asked=False, before_question=False)]
    for place, (clause, after) in enumerate(pairwise(clauses)):
        request = _request(clause, after, words, language)
        if request and not request.topic and not request.everything:
            rest = clauses[place + 1 :]
            sure = bool(words.polite_request.search(clause.text)) or not _goes_on(rest, words, language)
            before = fold(said).partition(clause.text)[0]
            request = request._replace(sure=sure, here=bool(telling(before, language)))
        if request:
            found.append(request)
    return list(dict.fromkeys(found))


def _request(clause: _Clause, after: _Clause, words: ChatWords, language: str) -> Request | None:
    """Return what a clause asks to forget, if it does."""
    text = clause.text
    all_of_it = words.forget_all.match(text)
    opening = all_of_it or words.forget.match(text)
    if opening is None:  # some languages put a comma within it
        text = f"{text} {after.text}"
        opening = words.forget.match(text)
    if opening is None:
        return None
    rest = text[opening.end() :]
    if words.keep & set(rest.split()):
        return None
    topic = frozenset(content_words(unveiled(rest), language) - words.polite - words.said)
    if opening.group().endswith("about"):  # "forget about pasta, what about rice?" only changes the subject
        moves_on = clause.before_question and content_words(after.text, language) - words.polite
        if moves_on or not topic:
            return None
    return Request(topic, everything=bool(all_of_it and not topic))


def _goes_on(rest: Sequence[_Clause], words: ChatWords, language: str) -> bool:
    """Whether a turn goes on with something else: a question, or more than a word of thanks."""
    for clause in rest:
        more = content_words(unveiled(clause.text), language) - words.polite
        if words.forget.match(clause.text) or words.forget_all.match(clause.text):
            continue
        if len(more) >= _FEWEST_WORDS or (more and clause.asked):
            return True
    return any(clause.asked for clause in rest)


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
    everything, vain, unsure = False, 0, 0
    here = {turn.event_id for turn in turns}
    stored = [event for event in earlier if event.event_id not in here]
    for place, turn in enumerate(turns):
        requests = requests_in(turn.text or "", language)
        new = turn.event_id not in done
        unsure += new and any(not request.sure for request in requests)
        for request in (each for each in requests if each.sure):
            asking[turn.event_id] = None
            everything |= request.everything and new
            said = [past for past in turns[:place] if past.event_id not in asking]
            found = _meant(request, said, stored if new else [], language)
            vain += not found and not request.everything and not request.here and new
            gone |= dict.fromkeys(event.event_id for event in found)
    return Meant(frozenset(asking), frozenset(gone), everything, vain, unsure)


def _meant(
    request: Request, said: Sequence[Interaction], stored: Sequence[Interaction], language: str
) -> list[Interaction]:
    """Return the turns a request means: all that hold its topic, or the last one before it."""
    if request.everything or request.here:
        return []
    if request.topic:
        return [
            event for event in (*stored, *said) if request.topic <= content_words(event.text or "", language)
        ]
    return [*said[-1:]] or [*stored[-1:]]


def _clauses(said: str) -> Iterator[_Clause]:
    """Yield the clauses of a turn."""
    for sentence in _SENTENCE_END.split(fold(said)):
        asked = sentence.rstrip().endswith(("?", "？"))  # noqa: RUF001  # questions end so too
        clauses = [plain for clause in _CLAUSE_END.split(sentence) if (plain := " ".join(clause.split()))]
        yield from (
            _Clause(clause, asked, asked and place < len(clauses))
            for place, clause in enumerate(clauses, start=1)
        )
