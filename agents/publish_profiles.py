"""Node: keep the chosen draft, its evidence and every draft's rewards.

Reads everything; writes `profile` or `pair`. One transaction in the store; a second run of the same
fingerprint changes nothing.
"""

from datetime import datetime
from typing import TypedDict

import numpy as np
from langgraph.runtime import Runtime

from ..models import Facet, Profile, ProfileSource, RecentEvent
from ..pairings import Pair, Reason
from ..records import Usage
from ..tools.store import Published
from .build_case import case_of
from .case import Case
from .fingerprint import critic_version, prompt_versions
from .rollouts import rollouts_of
from .state import Deps, Draft, State

INCOMPLETE = "incomplete:"
"""Starts the fingerprint of a portrait whose model calls failed or did not fit the budget."""

_DAMPING = 5.0
_TITLE_CHARACTERS = 80


class Update(TypedDict, total=False):
    """The keys this node may change."""

    profile: Profile
    pair: Pair


class _Colophon(TypedDict):
    """What profiles and pairs say alike about how they were made."""

    user_id: str
    as_of: datetime
    language: str
    source: ProfileSource
    notes: tuple[str, ...]
    reward: float | None
    reward_terms: dict[str, float]
    usage: Usage
    model: str | None
    prompt_versions: dict[str, int]
    critic_version: str
    fingerprint: str
    created_at: datetime


async def publish_profiles(state: State, runtime: Runtime[Deps]) -> Update:
    """Write the profile (or the pair) with its rollouts.

    Vectors of the sentences stay in the embedding cache; `Limner.reindex` puts portraits into the catalogue.
    """
    deps = runtime.context
    case = await case_of(deps, state)
    deps.cases.pop(state["run_id"], None)
    if case.item_side:
        pair = await _pair_of(deps, case, state)
        await deps.store.put_pair(pair, rollouts_of(deps, case, state))
        return {"pair": pair}
    published = Published(_profile_of(deps, case, state), tuple(rollouts_of(deps, case, state)))
    return {"profile": await deps.store.publish(published)}


def indexed_facets(profile: Profile) -> list[Facet]:
    """Return what has a vector in the catalogue: each sentence, and the whole."""
    return [*profile.facets, Facet(name="whole", text=profile.text)] if profile.text else []


def _profile_of(deps: Deps, case: Case, state: State) -> Profile:
    best = state["best"]
    return Profile(
        version=1,
        text=best.text,
        likes=tuple(facet.text for facet in best.facets if facet.polarity != "dislike"),
        dislikes=tuple(facet.text for facet in best.facets if facet.polarity == "dislike"),
        facets=best.facets,
        claims=best.claims,
        recent=_recent(deps, case),
        **_colophon(deps, case, state),
    )


def _colophon(deps: Deps, case: Case, state: State) -> _Colophon:
    best = state["best"]
    rewards = best.critique.rewards if best.critique else {}
    return {
        "user_id": state["user_id"],
        "as_of": case.as_of,
        "language": case.language,
        "source": "model" if best.round >= 0 else "extractive",
        "notes": tuple(dict.fromkeys(state["notes"])),
        "reward": rewards.get("total") if case.has_exam else None,
        "reward_terms": {name: value for name, value in rewards.items() if name != "total"},
        "usage": state["spent"],
        "model": best.model if best.round >= 0 else None,
        "prompt_versions": prompt_versions(deps, case),
        "critic_version": critic_version(deps),
        "fingerprint": _fingerprint(deps, state),
        "created_at": deps.clock.now(),
    }


def _fingerprint(deps: Deps, state: State) -> str:
    """Mark what was published for want of the model, so that the next drawing replaces it."""
    written = any(draft.round >= 0 and draft.facets for draft in state["drafts"])
    complete = deps.chat is None or (written and not state["exhausted"])
    return state["fingerprint"] if complete else f"{INCOMPLETE}{state['fingerprint']}"


def _recent(deps: Deps, case: Case) -> tuple[RecentEvent, ...]:
    tail: list[RecentEvent] = []
    for event in case.recent(deps.settings.drafting.recent):
        item = case.items.get(event.item_id) if event.item_id else None
        title = item.title if item else (event.text or event.kind)
        tail.append(
            RecentEvent(
                event_id=event.event_id,
                item_id=event.item_id,
                title=title[:_TITLE_CHARACTERS],
                kind=event.kind,
                at=event.at,
                rating=event.rating,
            )
        )
    return tuple(tail)


async def _pair_of(deps: Deps, case: Case, state: State) -> Pair:
    best = state["best"]
    assert best.pair is not None, "a pair draft that can be read has both sides"
    assert case.item_side is not None, "only a pair is published as one"
    user, item = best.pair
    vectors = await deps.embedder.embed([user.profile, item.profile])
    return Pair(
        item_id=case.item_side.item.item_id,
        user=user,
        item=item,
        affinity=float(np.clip(vectors[0] @ vectors[1], -1.0, 1.0)),
        expected_rating=await _expected_rating(deps, state),
        reasons=await _reasons(deps, best),
        **_colophon(deps, case, state),
    )


async def _expected_rating(deps: Deps, state: State) -> float | None:
    """Global mean plus damped user and item deviations (Koren 2008, eq. 1, damping 5), within the scale."""
    as_of, store = state["as_of"], deps.store
    scale = await store.rating_scale(as_of=as_of)
    if scale is None:
        return None
    expected = scale.mean
    for side in (
        await store.rating_scale(as_of=as_of, user_id=state["user_id"]),
        await store.rating_scale(as_of=as_of, item_id=state["item_id"]),
    ):
        if side is not None:
            expected += (side.mean - scale.mean) * side.n / (side.n + _DAMPING)
    return min(max(expected, scale.low), scale.high)


async def _reasons(deps: Deps, best: Draft) -> tuple[Reason, ...]:
    """Join each liked sentence of the user's profile with the item's sentence nearest to it."""
    liked = [
        claim for claim, facet in zip(best.claims, best.facets, strict=True) if facet.polarity != "dislike"
    ]
    if not liked or not best.item_claims:
        return ()
    texts = [claim.text for claim in (*liked, *best.item_claims)]
    vectors = await deps.embedder.embed(texts)
    nearest = np.argmax(vectors[: len(liked)] @ vectors[len(liked) :].T, axis=1)
    return tuple(
        Reason(
            text=f"{claim.text} {best.item_claims[int(other)].text}",
            user_evidence=claim.evidence,
            item_evidence=best.item_claims[int(other)].evidence,
        )
        for claim, other in zip(liked, nearest, strict=True)
    )
