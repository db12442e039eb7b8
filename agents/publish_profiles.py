"""Node: keep the chosen draft, its evidence and every draft's rewards.

Reads everything; writes `profile` or `pair`. One transaction in the store; a second run of the same
fingerprint changes nothing.
"""

from typing import TypedDict

from langgraph.runtime import Runtime

from ..models import Facet, Profile, RecentEvent
from ..pairings import Pair
from ..tools.store import Published
from .build_case import case_of
from .case import Case
from .colophon import INCOMPLETE, colophon
from .corrections.correction import correction_of, heed
from .pairing.make_pair import pair_of
from .rollouts import rollouts_of
from .settle import settle
from .state import Deps, State
from .uphold import uphold

_TITLE_CHARACTERS = 80


class Update(TypedDict, total=False):
    """The keys this node may change."""

    profile: Profile
    pair: Pair


async def publish_profiles(state: State, runtime: Runtime[Deps]) -> Update:
    """Write the profile (or the pair) with its rollouts.

    Vectors of the sentences stay in the embedding cache; `Limner.reindex` puts portraits into the catalogue.
    """
    deps = runtime.context
    case = await case_of(deps, state)
    deps.cases.pop(state["run_id"], None)
    if case.item_side:
        return {"pair": await _publish_pair(deps, case, state)}
    published = Published(_profile_of(deps, case, state), tuple(rollouts_of(deps, case, state)))
    return {"profile": await deps.store.publish(published)}


async def _publish_pair(deps: Deps, case: Case, state: State) -> Pair:
    """Keep a pair; one that was written to learn from is only logged, and only if no call is missing."""
    pair, rollouts = await pair_of(deps, case, state), rollouts_of(deps, case, state)
    if state.get("outcome") is None:
        await deps.store.put_pair(pair, rollouts)
    elif not pair.fingerprint.startswith(INCOMPLETE):
        await deps.store.log(rollouts)
    return pair


def indexed_facets(profile: Profile) -> list[Facet]:
    """Return what has a vector in the catalogue: each sentence, and the whole."""
    return [*profile.facets, Facet(name="whole", text=profile.text)] if profile.text else []


def _profile_of(deps: Deps, case: Case, state: State) -> Profile:
    best = state["best"]
    facets, claims, replaced = settle(case, best.facets, best.claims, state["cues"])
    told = colophon(deps, case, state)
    if replaced:
        told["notes"] += (f"{replaced} of the sentences gave way to what the user said later",)
    facets, claims = uphold(case, facets, claims)
    facets, claims = heed(facets, claims, (*case.visible, *case.held), case.language)
    return Profile(
        version=1,
        text=" ".join(facet.text for facet in facets),
        likes=tuple(facet.text for facet in facets if facet.polarity == "like"),
        dislikes=tuple(facet.text for facet in facets if facet.polarity == "dislike"),
        facets=facets,
        claims=claims,
        recent=_recent(deps, case),
        **told,
    )


def _recent(deps: Deps, case: Case) -> tuple[RecentEvent, ...]:
    tail: list[RecentEvent] = []
    for event in case.recent(deps.settings.drafting.recent):
        if correction_of(event):
            continue
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
