"""What a ranking knows of a user and the candidates before any model is asked.

The factors are shared: the user's are read once for a whole list, an item's cues and card are kept in the store by
content and serve every pair. Nothing at or after `as_of` is read, and nothing the user did with a candidate.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ...errors import EmptyHistoryError, NoTextError, UnknownItemError, UnknownUserError
from ...records import Interaction, Item
from ...tools.card_scores import card_text
from ...tools.embedder import FloatArray
from ...tools.language import detect_language
from ...tools.pair_features import ItemFactors, UserFactors, Values, pair_features, stacked
from ...tools.store import RatingScale
from ..case import MOST_EVENTS, polarity_of
from ..extract_cues import cues_about, shelf_of
from ..lexicon import item_phrases, review_phrases
from ..state import Deps
from ..vectors import item_vectors

_MOST_SENTENCES = 40
_ITEM_EVENTS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Factors:
    """Both sides of a list of pairs."""

    user: UserFactors
    items: ItemFactors
    mean_share: float
    """Mean of all ratings as a share of the scale; 0 where nothing was rated."""

    def features(self, deps: Deps) -> Values:
        """Describe each candidate in numbers, shape `(N, F)`."""
        learned = deps.space.temperature
        temperature = deps.settings.critic.temperature if learned is None else learned
        return pair_features(self.user, self.items, mean_share=self.mean_share, temperature=temperature)


@dataclass(frozen=True, kw_only=True)
class _Past:
    """A user's history and what it is measured with."""

    events: tuple[Interaction, ...]
    items: dict[str, Item]
    scale: RatingScale | None
    language: str

    def share(self, rating: float) -> float:
        """Return a rating as a share of the scale."""
        assert self.scale is not None, "a rating has a scale"
        width = self.scale.high - self.scale.low
        return min(max((rating - self.scale.low) / width, 0.0), 1.0) if width > 0 else 0.5


async def gather_factors(deps: Deps, user_id: str, item_ids: Sequence[str], *, as_of: datetime) -> Factors:
    """Read both sides from the doors; no model call.

    Args:
        deps: The doors.
        user_id: Whose taste it is.
        item_ids: Candidates, each once.
        as_of: Exclusive bound of everything read.

    Raises:
        UnknownUserError: The user was never recorded.
        EmptyHistoryError: Nothing was recorded before `as_of`.
        UnknownItemError: A candidate is not in the catalogue.
        NoTextError: Neither the publisher nor anybody else says anything about a candidate.
    """
    past = await _read_past(deps, user_id, as_of)
    found = await deps.store.items(item_ids)
    candidates = [found[item_id] for item_id in item_ids if item_id in found]
    if missing := next((item_id for item_id in item_ids if item_id not in found), None):
        raise UnknownItemError(missing)
    await _require_text(deps, past, candidates, user_id, as_of)
    mean = past.share(past.scale.mean) if past.scale else 0.0
    user = await _user_factors(deps, past, user_id, set(item_ids), as_of)
    items = await _item_factors(deps, past, candidates, user_id, as_of)
    return Factors(user=user, items=items, mean_share=mean)


async def _read_past(deps: Deps, user_id: str, as_of: datetime) -> _Past:
    events = await deps.store.history(user_id, as_of=as_of, last=MOST_EVENTS)
    if not events:
        if await deps.store.has_user(user_id):
            raise EmptyHistoryError(user_id, as_of.isoformat())
        raise UnknownUserError(user_id)
    ids = list(dict.fromkeys(event.item_id for event in events if event.item_id))
    items = await deps.store.items(ids)
    words = [event.text for event in events if event.text]
    language = detect_language(words, [item.describe() for item in items.values()])
    scale = await deps.store.rating_scale(as_of=as_of)
    return _Past(events=tuple(events), items=items, scale=scale, language=language)


async def _require_text(
    deps: Deps, past: _Past, candidates: Sequence[Item], user_id: str, as_of: datetime
) -> None:
    for item in candidates:
        if item_phrases(item, past.language):
            continue
        events = await deps.store.item_history(item.item_id, as_of=as_of, exclude_user=user_id)
        if not any(review_phrases(event.text or "", past.language) for event in events):
            raise NoTextError(f"item:{item.item_id}")


async def _user_factors(
    deps: Deps, past: _Past, user_id: str, candidates: Collection[str], as_of: datetime
) -> UserFactors:
    newest = {event.item_id: event for event in past.events if event.item_id in past.items}
    had = sorted(newest.values(), key=lambda event: (event.at, event.event_id))
    matrix = await item_vectors(deps.catalogue, [past.items[event.item_id or ""] for event in had])
    likes, avoids = await _said(deps, past, user_id, candidates, as_of)
    vectors = await deps.embedder.embed([*likes, *avoids])
    said = deps.space.users(vectors) if len(vectors) else stacked([], deps.embedder.dimension)
    shares = [
        np.nan if event.rating is None or past.scale is None else past.share(event.rating) for event in had
    ]
    return UserFactors(
        history=deps.space.users(matrix) if len(had) else stacked([], deps.embedder.dimension),
        items=tuple(event.item_id or "" for event in had),
        shares=np.array(shares, dtype=np.float64),
        liked=np.array([polarity_of(event, past.scale) != "dislike" for event in had], dtype=bool),
        likes=said[: len(likes)],
        avoids=said[len(likes) :],
        events=len(past.events),
    )


async def _said(
    deps: Deps, past: _Past, user_id: str, candidates: Collection[str], as_of: datetime
) -> tuple[list[str], list[str]]:
    """Return what cues and the newest portrait say for and against, without what rests on a candidate."""
    own = {event.event_id for event in past.events if event.item_id in candidates}
    known = await cues_about(deps, f"user:{user_id}", past.events)
    spoken = [(cue.text, cue.polarity, cue.evidence) for cue in known.cues[-_MOST_SENTENCES:]]
    portrait = await deps.store.profile(user_id, as_of=as_of)
    if portrait:
        spoken += [
            (facet.text, facet.polarity, claim.evidence)
            for facet, claim in zip(portrait.facets, portrait.claims, strict=False)
        ]
    kept = [(text, polarity) for text, polarity, evidence in spoken if own.isdisjoint(evidence)]
    likes = dict.fromkeys(text for text, polarity in kept if polarity != "dislike")
    avoids = dict.fromkeys(text for text, polarity in kept if polarity == "dislike")
    return list(likes), list(avoids)


async def _item_factors(
    deps: Deps, past: _Past, candidates: Sequence[Item], user_id: str, as_of: datetime
) -> ItemFactors:
    ids = [item.item_id for item in candidates]
    statistics = await deps.store.item_statistics(ids, as_of=as_of, exclude_user=user_id)
    own = {event.event_id for event in past.events}
    recent = [event.item_id for event in past.events if event.item_id and event.item_id not in ids]
    beside = list(dict.fromkeys(reversed(recent)))[: deps.settings.drafting.recent]
    company = await deps.store.company(ids, beside, as_of=as_of, exclude_user=user_id)
    width = past.scale.high - past.scale.low if past.scale else 0.0
    rows = [statistics.get(item_id) for item_id in ids]
    return ItemFactors(
        items=tuple(ids),
        vectors=deps.space.items(await item_vectors(deps.catalogue, candidates)),
        words=await _item_words(deps, own, ids, user_id, as_of),
        overlap=_overlap(deps, past, candidates),
        events=np.array([row.events if row else 0 for row in rows], dtype=np.float64),
        company=np.array([company.get(item_id, 0) for item_id in ids], dtype=np.float64),
        ratings=np.array([row.ratings if row else 0 for row in rows], dtype=np.float64),
        means=np.array([past.share(row.mean) if row and row.ratings else 0.0 for row in rows]),
        spreads=np.array([row.spread / width if row and width > 0 else 0.0 for row in rows]),
    )


async def _item_words(
    deps: Deps, own: set[str], item_ids: Sequence[str], user_id: str, as_of: datetime
) -> tuple[FloatArray, ...]:
    """Embed what cues and a card say about each item, written before `as_of` from what others did alone.

    Args:
        deps: The doors.
        own: The user's own interactions: a card that rests on one of them is left out.
        item_ids: Candidates.
        user_id: Whose taste it is.
        as_of: Exclusive bound.
    """
    cards = await deps.store.item_cards(item_ids, as_of=as_of)
    texts = [
        [
            *await _item_cues(deps, item_id, user_id, as_of),
            *(
                [card_text(cards[item_id])]
                if item_id in cards and own.isdisjoint(cards[item_id].evidence)
                else []
            ),
        ]
        for item_id in item_ids
    ]
    flat = [text for some in texts for text in some]
    if not flat:
        return tuple(stacked([], deps.embedder.dimension) for _ in item_ids)
    vectors = deps.space.items(await deps.embedder.embed(flat))
    ends = np.cumsum([len(some) for some in texts])
    return tuple(np.split(vectors, ends[:-1]))


async def _item_cues(deps: Deps, item_id: str, user_id: str, as_of: datetime) -> list[str]:
    if not await deps.store.cued_events(shelf_of(deps, f"item:{item_id}")):
        return []
    events = await deps.store.item_history(item_id, as_of=as_of, exclude_user=user_id, last=_ITEM_EVENTS)
    known = await cues_about(deps, f"item:{item_id}", events)
    return list(dict.fromkeys(cue.text for cue in known.cues))


def _overlap(deps: Deps, past: _Past, candidates: Sequence[Item]) -> Values:
    """Weigh the phrases of each candidate that the rest of the history says too by how much they tell."""
    sources: dict[str, set[str]] = {}
    for event in past.events:
        item = past.items.get(event.item_id or "")
        labels = item_phrases(item, past.language) if item else []
        for phrase in (*labels, *review_phrases(event.text or "", past.language)):
            sources.setdefault(phrase, set()).add(event.item_id or "")
    shares: list[float] = []
    for candidate in candidates:
        worth = {phrase: deps.lexicon.value(phrase) for phrase in item_phrases(candidate, past.language)}
        told = sum(
            value for phrase, value in worth.items() if sources.get(phrase, set()) - {candidate.item_id}
        )
        total = sum(worth.values())
        shares.append(told / total if total > 0 else 0.0)
    return np.array(shares, dtype=np.float64)
