"""How well interactions support a sentence: by meaning, or by the same words."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from ..models import Claim
from ..records import Interaction, Polarity
from ..tools.embedder import Embedder, FloatArray
from ..tools.language import stop_words
from .case import Case, event_text
from .phrasing import OPENINGS, openings

_QUOTE_CHARACTERS = 240


class Citation(NamedTuple):
    """Interactions for a sentence and how well they support it."""

    event_ids: tuple[str, ...]
    support: float


class Evidence:
    """The visible interactions of one history, ready to be cited.

    The support of a sentence by interactions is the larger of two numbers in [-1, 1]: the best cosine of the
    sentence with an interaction's item or with the user's own words, and the share of the sentence's content
    words that the interactions' texts contain.
    """

    def __init__(self, case: Case, quoted: Mapping[str, FloatArray]) -> None:
        self._case, self._quoted = case, quoted
        self._events = {event.event_id: event for event in case.visible}

    def fitting(self, event_ids: Iterable[str], polarity: Polarity) -> tuple[str, ...]:
        """Return the visible ones that do not contradict a polarity: a liked item is no evidence of dislike."""
        against = {"like": "dislike", "dislike": "like"}.get(polarity)
        return tuple(
            event_id
            for event_id in event_ids
            if event_id in self._events and self._case.polarity(self._events[event_id]) != against
        )

    def support(
        self, sentence: str, vector: FloatArray, event_ids: Iterable[str], polarity: Polarity
    ) -> float:
        """Return the support of a sentence (unit vector of shape `(D,)`) by interactions; 0 by none.

        Interactions that contradict the sentence's polarity do not count.
        """
        said = _content(sentence, self._case.language)
        return self._support(said, vector, self.fitting(event_ids, polarity))

    def cite(self, sentence: str, vector: FloatArray, polarity: Polarity, *, most: int) -> Citation:
        """Return the interactions that support a sentence best, each by itself, best first."""
        said = _content(sentence, self._case.language)
        fitting = self.fitting(self._events, polarity)
        single = {event_id: self._support(said, vector, [event_id]) for event_id in fitting}
        best = sorted(single, key=lambda event_id: -single[event_id])[:most]
        return Citation(tuple(best), self._support(said, vector, best))

    def support_by_text(self, sentence: str, vector: FloatArray, text: str, text_vector: FloatArray) -> float:
        """Return the support of a sentence by a text that is no interaction, such as a publisher's."""
        said = _content(sentence, self._case.language)
        coverage = len(said & _content(text, self._case.language)) / len(said) if said else 0.0
        return max(coverage, float(vector @ text_vector))

    def _support(self, said: set[str], vector: FloatArray, known: Sequence[str]) -> float:
        if not known:
            return 0.0
        found = set[str]().union(*(said & self._words_of(event_id) for event_id in known))
        coverage = len(found) / len(said) if said else 0.0
        return max(coverage, *(self._cosine(vector, self._events[event_id]) for event_id in known))

    def _words_of(self, event_id: str) -> set[str]:
        words = self._case.content_words
        if event_id not in words:
            words[event_id] = _content(
                event_text(self._events[event_id], self._case.items), self._case.language
            )
        return words[event_id]

    def _cosine(self, vector: FloatArray, event: Interaction) -> float:
        known = (self._case.vectors.get(event.item_id or ""), self._quoted.get(event.event_id))
        return max((float(vector @ other) for other in known if other is not None), default=0.0)


async def gather_evidence(embedder: Embedder, case: Case, claims: Sequence[Claim]) -> Evidence:
    """Embed the user's own words in the interactions that claims cite, and prepare the rest."""
    cited = {event_id for claim in claims for event_id in claim.evidence}
    spoken = [event for event in case.visible if event.event_id in cited and event.text]
    vectors = await embedder.embed(
        [" ".join((event.text or "").split())[:_QUOTE_CHARACTERS] for event in spoken]
    )
    return Evidence(case, {event.event_id: row for event, row in zip(spoken, vectors, strict=True)})


def _content(text: str, language: str) -> set[str]:
    """Return the words that carry meaning."""
    return set(re.findall(r"\w{3,}", text.casefold())) - _empty_words(language)


@cache
def _empty_words(language: str) -> frozenset[str]:
    """Return stop words and the words of the fixed openings."""
    fixed = {
        word
        for opening in OPENINGS
        for start in openings(language, opening)
        for word in start.casefold().split()
    }
    return stop_words(language) | fixed
