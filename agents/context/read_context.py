"""Tell what is known of a user within a number of tokens, from what is stored; no model is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from ...contexts import Context
from ...tools.embedder import Embedder
from ...tools.privacy.screen import Screen
from ...tools.store import Store
from ...tools.tokens import TokenCounter
from .frame import words_of
from .material import Material, read_material, told_of
from .relevance import relevance, texts_of
from .room import CountedOnce
from .stable_part import Part, nothing_known, stable_part
from .volatile_part import Scored, volatile_part


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What reading a context may touch."""

    store: Store
    embedder: Embedder
    """Encodes what is known; caches its vectors."""

    questions: Embedder
    """Encodes questions, of which nothing is kept on disk."""

    counter: TokenCounter

    screen: Screen = field(default_factory=Screen)
    """What may be told of a person."""


async def read_context(
    reading: Reading,
    user_id: str,
    query: str | None,
    shelves: Sequence[str],
    *,
    max_tokens: int,
    as_of: datetime,
    present: bool,
) -> Context:
    """Return what to tell an assistant about a user.

    Args:
        reading: What may be touched.
        user_id: Whom; one who was never recorded is told of as unknown.
        query: What the user asks; without one the newest interactions are told.
        shelves: Where the user's observations are kept.
        max_tokens: Most tokens of both parts, at least 1.
        as_of: Nothing at or after this moment is used.
        present: Whether that is the present.
    """
    asked = bool(query and query.strip())
    material = await read_material(reading.store, user_id, shelves, as_of=as_of, present=present)
    material = told_of(material, reading.screen)
    words, counter = words_of(material.language), CountedOnce(reading.counter)
    stable, volatile = Part("", 0, ()), Part("", 0, ())
    if material.profile:
        stable = stable_part(material.profile, words, counter, max_tokens=max_tokens)
    if material.known:
        scored = await _score(reading, material, query) if asked and query else None
        volatile = volatile_part(material, scored, words, counter, stable=stable.text, max_tokens=max_tokens)
    else:
        stable = nothing_known(words, counter, max_tokens=max_tokens)
    return _context(user_id, material, stable, volatile, counter)


async def _score(reading: Reading, material: Material, query: str) -> Scored:
    """Score observations and interactions for a question; all that is not cached is encoded in one batch."""
    [question] = np.asarray(await reading.questions.embed([query]))
    cues = material.cues.standing
    entries = [[cue.text] for cue in cues]
    entries += [texts_of(event, material.items.get(event.item_id or "")) for event in material.events]
    scores = await relevance(reading.embedder, question, entries)
    return Scored(
        {cue.cue_id: score for cue, score in zip(cues, scores, strict=False)},
        {event.event_id: score for event, score in zip(material.events, scores[len(cues) :], strict=True)},
    )


def _context(
    user_id: str, material: Material, stable: Part, volatile: Part, counter: TokenCounter
) -> Context:
    joined = "\n".join(part.text for part in (stable, volatile) if part.text)
    return Context(
        user_id=user_id,
        stable=stable.text,
        volatile=volatile.text,
        known=material.known,
        language=material.language,
        tokens=counter.count(joined) if joined else 0,
        stable_tokens=stable.tokens,
        version=material.profile.version if material.profile else None,
        evidence=tuple(dict.fromkeys((*stable.evidence, *volatile.evidence))),
    )
