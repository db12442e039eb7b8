"""The user side: what somebody likes, what somebody refuses, and the core of it, from what is drawn already.

No model is asked: a portrait has likes and dislikes, and cues, which are extracted from new interactions only, speak
where there is no portrait or where it says nothing about a side.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from ...cards import Interests
from ...models import Cue, Profile
from ...records import Polarity
from ...tools.card_scores import CardVectors, InterestVectors
from ...tools.embedder import Embedder, FloatArray
from ..extract_cues import cues_about
from ..phrasing import Opening, compose
from ..state import Deps

MOST_CORE_WORDS = 50
"""Words of a core preference at most."""

_SENTENCES = 3
_PHRASES = 3


def interests_of(
    user_id: str, profile: Profile | None, cues: Sequence[Cue], *, language: str = "en"
) -> Interests:
    """Return what a user likes and refuses, from the portrait, and from cues where the portrait is silent.

    Args:
        user_id: Whose interests.
        profile: The user's portrait, if one was drawn.
        cues: What is noted about the user, oldest first.
        language: ISO 639-1 code for sentences made of cues; the portrait's own if there is one.
    """
    written = profile.language if profile else language
    likes = profile.likes if profile and profile.likes else _said(cues, "like", written)
    dislikes = profile.dislikes if profile and profile.dislikes else _said(cues, "dislike", written)
    return Interests(user_id=user_id, likes=likes, dislikes=dislikes, core=core_of(likes, dislikes))


async def read_interests(deps: Deps, user_id: str, *, as_of: datetime) -> Interests:
    """Return what a user likes and refuses as far as it was drawn and noted before `as_of`; no model call.

    The newest portrait of that moment speaks; cues are read only where it says nothing about a side, and only those
    whose writer had seen nothing at or after `as_of`.
    """
    profile = await deps.store.profile(user_id, as_of=as_of)
    if profile and profile.likes and profile.dislikes:
        return interests_of(user_id, profile, ())
    before = await deps.store.history(user_id, as_of=as_of)
    cues = (await cues_about(deps, f"user:{user_id}", before)).cues
    return interests_of(user_id, profile, cues)


def core_of(likes: Sequence[str], dislikes: Sequence[str]) -> str:
    """Return whole sentences of at most 50 words: the first like, the first dislike, then likes as they fit.

    Examples:
        >>> core_of(["Enjoys maps.", "Collects tea."], ["Avoids noise."])
        'Enjoys maps. Collects tea. Avoids noise.'
        >>> core_of(["Enjoys " + "very " * 60 + "long sentences."], []).split()[:2]
        ['Enjoys', 'very']
    """
    ordered = list(dict.fromkeys([*likes[:1], *dislikes[:1], *likes[1:]]))
    taken: list[str] = []
    for sentence in ordered:
        if sum(len(one.split()) for one in (*taken, sentence)) <= MOST_CORE_WORDS:
            taken.append(sentence)
    if not taken and ordered:
        return " ".join(ordered[0].split()[:MOST_CORE_WORDS])
    return " ".join(dict.fromkeys(sentence for sentence in (*likes, *dislikes) if sentence in taken))


def _said(cues: Sequence[Cue], polarity: Polarity, language: str) -> tuple[str, ...]:
    """Write fixed sentences about the heaviest themes of one polarity, of equal ones the newest."""
    weights: dict[str, float] = {}
    for cue in reversed(cues):
        if cue.polarity == polarity:
            weights[cue.facet] = weights.get(cue.facet, 0.0) + cue.weight
    themes = sorted(weights, key=lambda theme: -weights[theme])[: _SENTENCES * _PHRASES]
    opening: Opening = "dislike" if polarity == "dislike" else "like"
    return tuple(
        compose(themes[start : start + _PHRASES], language, opening, place=start // _PHRASES)
        for start in range(0, len(themes), _PHRASES)
    )


async def interest_vectors(embedder: Embedder, interests: Sequence[Interests]) -> list[InterestVectors]:
    """Embed the sentences of several users in one call, each sentence by itself."""
    texts = [text for one in interests for text in (*one.likes, *one.dislikes)]
    vectors = await embedder.embed(texts)
    found: list[InterestVectors] = []
    start = 0
    for one in interests:
        middle = start + len(one.likes)
        end = middle + len(one.dislikes)
        found.append(InterestVectors(vectors[start:middle], vectors[middle:end]))
        start = end
    return found


class Reasoning(NamedTuple):
    """What speaks for an item for a user, and what against it."""

    draws: str | None
    """The user's like that the card's `liked_by` or feature names best; absent without likes."""

    attraction: float
    """Cosine of the two; 0 without likes."""

    refuses: str | None
    """The user's dislike that the card names best; absent where none lies nearer than any like does."""

    refusal: float
    """Cosine of the two; 0 without dislikes."""


def reason_about(interests: Interests, vectors: InterestVectors, cards: CardVectors, card: int) -> Reasoning:
    """Reason in both directions about one user and one card: who is it for, and what would this user refuse.

    Args:
        interests: The user's sentences.
        vectors: Their vectors, row by row.
        cards: Vectors of N cards.
        card: Which one.
    """
    speaks_for = np.stack([cards.liked_by[card], cards.feature[card]])
    against = np.stack([cards.disliked_by[card], cards.feature[card]])
    like, attraction = _nearest(interests.likes, vectors.likes @ speaks_for.T)
    dislike, refusal = _nearest(interests.dislikes, vectors.dislikes @ against.T)
    return Reasoning(like, attraction, dislike if refusal > attraction else None, refusal)


def _nearest(sentences: Sequence[str], cosines: FloatArray) -> tuple[str | None, float]:
    """Return the sentence of the highest cosine with any of the columns."""
    if not sentences:
        return None, 0.0
    best = cosines.max(axis=1)
    place = int(best.argmax())
    return sentences[place], float(best[place])
