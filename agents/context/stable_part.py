"""The stable part of a context: a portrait, told within a share of the room."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...models import Profile
from ...tools.tokens import TokenCounter
from ..urgency import Urgency, quoted_urgency
from .frame import PROFILE, Block, Words, framed, mark_of, tame
from .room import Room

STABLE_SHARE = 0.7
"""Part of the room that the stable part may take."""

_VOLATILE_ROOM = 60
"""Tokens that it leaves, down to half of the room: a frame, a heading, and a few lines for the question."""

_URGENT: Mapping[Urgency, int] = {"limit": 0, "wish": 1}
"""Headings of what comes before all else."""

_OWN_WORDS = 2
"""Heading of the portrait's own words; likes and dislikes follow."""

_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+|\n+")  # noqa: RUF001  # these end sentences too


class Part(NamedTuple):
    """One part of a context."""

    text: str
    tokens: int
    evidence: tuple[str, ...]


class _Sentence(NamedTuple):
    """A sentence of a portrait."""

    place: int
    """Where it stands among all of them."""

    block: int
    """Which heading it stands under: see `_headings`."""

    text: str
    evidence: tuple[str, ...]


def stable_part(profile: Profile, words: Words, counter: TokenCounter, *, max_tokens: int) -> Part:
    """Tell a portrait in at most `STABLE_SHARE` of the room, half of a small one; it depends on these arguments alone.

    Sentences are left out whole. What the user cannot or never does comes first, then wishes about treatment, then the
    first like and the first dislike, then the others in the portrait's order, which is that of importance. Where not even one sentence fits, the line that says what this is is left out,
    and then the whole room is used.
    """
    ranked = _ranked(profile)
    share = min(int(max_tokens * STABLE_SHARE), max(max_tokens // 2, max_tokens - _VOLATILE_ROOM))
    for about, room in (
        (mark_of(words, counter, max_tokens=max_tokens), share),
        ("", share),
        ("", max_tokens),
    ):
        kept = _fitting(ranked, words, counter, about=about, room=room)
        if kept:
            text = _told(kept, words, about)
            evidence = dict.fromkeys(event for sentence in kept for event in sentence.evidence)
            return Part(text, counter.count(text), tuple(evidence))
    return Part("", 0, ())


def nothing_known(words: Words, counter: TokenCounter, *, max_tokens: int) -> Part:
    """Say that nothing is known, briefly in a small room; nothing at all in one that is too small for that."""
    for line in (words.nothing, words.unknown):
        text = framed(PROFILE, [Block("", [line])])
        tokens = counter.count(text)
        if tokens <= max_tokens:
            return Part(text, tokens, ())
    return Part("", 0, ())


def _ranked(profile: Profile) -> list[_Sentence]:
    """Return the portrait's sentences, each once, the most important first."""
    evidence = {claim.text: claim.evidence for claim in profile.claims}
    told: dict[str, _Sentence] = {}
    for block, texts in enumerate((_own_words(profile), profile.likes, profile.dislikes), start=_OWN_WORDS):
        for text in texts:
            line = tame(text)
            if line:
                urgent = _URGENT.get(quoted_urgency(text, profile.language), block)
                told.setdefault(line.casefold(), _Sentence(len(told), urgent, line, evidence.get(text, ())))
    sentences = list(told.values())
    urgent_ones = [
        sentence for block in _URGENT.values() for sentence in sentences if sentence.block == block
    ]
    firsts = [_first(sentences, block) for block in range(_OWN_WORDS, _OWN_WORDS + 3)]
    return list(dict.fromkeys([*urgent_ones, *(sentence for sentence in firsts if sentence), *sentences]))


def _own_words(profile: Profile) -> list[str]:
    """Return the sentences of a portrait that stand neither among its likes nor among its dislikes."""
    sided = {*profile.likes, *profile.dislikes}
    apart = [facet.text for facet in profile.facets if facet.text not in sided and facet.text in profile.text]
    left = profile.text
    for sentence in sorted({*sided, *apart}, key=len, reverse=True):
        left = left.replace(sentence, "\n")
    parts = [part for part in _SENTENCE_END.split(left) if any(character.isalnum() for character in part)]
    return [*apart, *parts]


def _first(sentences: Sequence[_Sentence], block: int) -> _Sentence | None:
    return next((sentence for sentence in sentences if sentence.block == block), None)


def _fitting(
    ranked: Sequence[_Sentence], words: Words, counter: TokenCounter, *, about: str, room: int
) -> list[_Sentence]:
    """Keep, in the order of importance, what fits beside what was kept; returned in the portrait's order."""
    space = Room(counter, room)
    if not space.take(*framed(PROFILE, [Block("", [""])], about=about).splitlines()):
        return []
    headings = _headings(words)
    kept = [one for one in ranked if space.take_listed(one.text, headings[one.block])]
    while kept and counter.count(_told(sorted(kept), words, about)) > room:
        kept.pop()
    return sorted(kept)


def _told(sentences: Sequence[_Sentence], words: Words, about: str) -> str:
    headings = _headings(words)
    lines: list[list[str]] = [[] for _ in headings]
    for sentence in sentences:
        lines[sentence.block].append(sentence.text)
    blocks = [Block(heading, block) for heading, block in zip(headings, lines, strict=True)]
    return framed(PROFILE, blocks, about=about)


def _headings(words: Words) -> tuple[str, ...]:
    return words.limits, words.wishes, "", words.likes, words.dislikes
