"""Ground cards: what reviews or publisher text support stays, anything else gives way to a fixed sentence."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from ...models import Claim
from ...tools.embedder import FloatArray
from ...tools.language import stop_words
from ..evidence import Evidence
from ..hearsay import repeats
from ..pairing.pair_form import sentences
from ..state import Deps
from .card_form import PARTS, CardDraft, fixed_sentence
from .card_material import CardMaterial

LONGEST_QUOTE = 5
"""Words in a row that a card may share with a review; where no blanks part words, two characters count as one."""

_MOST_EVIDENCE = 4
_QUOTE_CHARACTERS = 240
_PUBLISHER_CHARACTERS = 4000
_MOST_STRAY = 2
_WORD = re.compile(r"\w{4,}")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
"""A character of a script that writes words without blanks between them."""


class Grounded(NamedTuple):
    """A card's words after grounding."""

    draft: CardDraft
    claims: tuple[Claim, ...]
    share: float
    """Of the sentences as they were written, those that anything supports."""

    repaired: tuple[str, ...]
    """Parts that are fixed sentences now."""


class _Checked(NamedTuple):
    """One sentence and what supports it."""

    claim: Claim
    supported: bool


async def ground_cards(
    deps: Deps, written: Sequence[tuple[CardMaterial, CardDraft]], *, fixed: bool
) -> list[Grounded]:
    """Measure each sentence's support as the critic does, and drop or replace what nothing supports.

    Reviews are cited for what their own words support; publisher text may support a sentence, uncited. A sentence
    that repeats more than five words of a review in a row counts as unsupported, and so does one that speaks of
    another item of the batch.

    Args:
        deps: Encoder and threshold.
        written: What was written about which item.
        fixed: Whether the sentences are fixed ones over the item's own phrases: their words alone tell, and
            nothing is embedded.
    """
    told = [_sentences(draft) for _, draft in written]
    spoken = [
        [" ".join((event.text or "").split())[:_QUOTE_CHARACTERS] for event in material.reviews]
        for material, _ in written
    ]
    texts = [
        text for parts, quotes in zip(told, spoken, strict=True) for text in (*(s for _, s in parts), *quotes)
    ]
    dimension = deps.embedder.dimension
    vectors = (
        np.zeros((len(texts), dimension), dtype=np.float32) if fixed else await deps.embedder.embed(texts)
    )
    rows = iter(vectors)
    vocabulary = [_vocabulary(material) for material, _ in written]
    found: list[Grounded] = []
    for place, ((material, draft), parts, quotes) in enumerate(zip(written, told, spoken, strict=True)):
        own, others = list(islice(rows, len(parts))), list(islice(rows, len(quotes)))
        quoted = {event.event_id: row for event, row in zip(material.reviews, others, strict=True)}
        strange = set[str]().union(*vocabulary[:place], *vocabulary[place + 1 :]) - vocabulary[place]
        judge = _Judge(deps, material, quoted, set() if fixed else strange)
        checked = [(name, judge.check(text, row)) for (name, text), row in zip(parts, own, strict=True)]
        found.append(_grounded(judge, material, draft, checked))
    return found


def quotes_review(text: str, reviews: Sequence[str], publisher: str) -> bool:
    """Whether a text repeats more than five words in a row that reviews say and the publisher does not.

    Examples:
        >>> said = ["I bought this for my cousin Ann last week"]
        >>> quotes_review("People who bought this for my cousin Ann", said, "")
        True
        >>> quotes_review("People who bought this for a cousin", said, "")
        False
        >>> quotes_review("我上周在车站旁边买了这个送给表妹", ["我上周在车站旁边买了这个"], "")
        True
    """
    runs = set(_runs(text)) - set(_runs(publisher))
    return any(not runs.isdisjoint(_runs(review)) for review in reviews)


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    for parts, longest in ((words, LONGEST_QUOTE), (_UNSPACED.findall(text), 2 * LONGEST_QUOTE)):
        yield from (tuple(parts[start : start + longest + 1]) for start in range(len(parts) - longest))


def _vocabulary(material: CardMaterial) -> set[str]:
    texts = [material.item.describe(_PUBLISHER_CHARACTERS), *(event.text or "" for event in material.reviews)]
    words = {word for text in texts for word in _WORD.findall(text.casefold())}
    return words - stop_words(material.case.language)


def _sentences(draft: CardDraft) -> list[tuple[str, str]]:
    return [(name, sentence) for name in PARTS for sentence in sentences(getattr(draft, name))]


class _Judge:
    """Tells what supports sentences about one item."""

    def __init__(
        self, deps: Deps, material: CardMaterial, quoted: Mapping[str, FloatArray], strange: set[str]
    ) -> None:
        self._evidence = Evidence(material.case, quoted)
        self._threshold, self._screen = deps.settings.critic.support, deps.screen
        self._publisher = material.item.describe(_PUBLISHER_CHARACTERS)
        self._said = [event.text or "" for event in material.reviews]
        self._hearsay = material.case.hearsay
        self._own, self._strange = _vocabulary(material), strange
        self._vector = material.vector

    def check(self, sentence: str, vector: FloatArray) -> _Checked:
        cited, support = self._evidence.cite(sentence, vector, "neutral", most=_MOST_EVIDENCE)
        by_publisher = self._evidence.support_by_text(sentence, vector, self._publisher, self._vector)
        if support < self._threshold:
            cited = ()
        telling = tuple(one for one in cited if self._alone(sentence, vector, one) >= self._threshold)
        support = max(support, by_publisher)
        confidence = round(float(np.clip(support, 0.0, 1.0)), 4)
        return _Checked(
            Claim(text=sentence, evidence=telling or cited, confidence=confidence),
            support >= self._threshold
            and self._screen.safe(sentence)
            and not repeats(sentence, self._hearsay)
            and not quotes_review(sentence, self._said, self._publisher)
            and not self._strays(sentence),
        )

    def _strays(self, sentence: str) -> bool:
        """Whether a sentence takes two words or more, and a third of what it takes, from other items' texts."""
        words = set(_WORD.findall(sentence.casefold()))
        strange = len(words & self._strange)
        return strange >= _MOST_STRAY and 2 * strange > len(words & self._own)

    def _alone(self, sentence: str, vector: FloatArray, event_id: str) -> float:
        return self._evidence.support(sentence, vector, [event_id], "neutral")


def _grounded(
    judge: _Judge, material: CardMaterial, draft: CardDraft, checked: Sequence[tuple[str, _Checked]]
) -> Grounded:
    """Keep supported sentences; a part that loses all of them becomes a fixed sentence."""
    parts: dict[str, str] = {}
    claims: list[Claim] = []
    repaired: list[str] = []
    for name in PARTS:
        kept = [check.claim for part, check in checked if part == name and check.supported]
        if not kept:
            text = fixed_sentence(material, name)
            kept = [judge.check(text, np.zeros_like(material.vector)).claim]
            repaired.append(name)
        parts[name] = " ".join(claim.text for claim in kept)
        claims += kept
    supported = sum(check.supported for _, check in checked)
    return Grounded(
        CardDraft(**parts), tuple(claims), supported / len(checked) if checked else 0.0, tuple(repaired)
    )
