"""Node: drop or repair claims without evidence, then settle which draft is published.

Reads `drafts`; writes `best`, `drafts`, `notes`. No model call; embeddings only.
"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from langgraph.runtime import Runtime

from ..models import Claim, PairSide
from ..tools.embedder import FloatArray
from .build_case import case_of
from .case import Case
from .choosing import best_draft
from .critic import criticise, read_drafts
from .evidence import Evidence, gather_evidence
from .state import Deps, Draft, State

_MOST_EVIDENCE = 4
_CANDIDATES = 3


class Update(TypedDict):
    """The keys this node may change."""

    best: Draft
    drafts: list[Draft]
    notes: list[str]


async def ground_claims(state: State, runtime: Runtime[Deps]) -> Update:
    """Ground the best drafts, grade them again, and keep the best that is not below the extractive floor."""
    deps = runtime.context
    case = await case_of(deps, state)
    floor = await _ground(deps, case, state["drafts"][0])
    grounded: list[Draft] = []
    left = list(state["drafts"])
    while len(grounded) < _CANDIDATES and (candidate := best_draft(left, written_by_model=True)):
        left.remove(candidate)
        repaired = await _ground(deps, case, candidate)
        if repaired.facets:
            grounded.append(repaired)
    winner = best_draft(grounded, written_by_model=True)
    best = winner if winner and (winner.total or 0.0) >= (floor.total or 0.0) else floor
    final = {(draft.round, draft.draft_ix): draft for draft in [*grounded, floor] if draft.facets}
    return {
        "best": best,
        "drafts": [final.get((draft.round, draft.draft_ix), draft) for draft in state["drafts"]],
        "notes": [*state["notes"], *_why_extractive(deps, best, winner)],
    }


def _why_extractive(deps: Deps, best: Draft, winner: Draft | None) -> list[str]:
    if best.round >= 0:
        return []
    if deps.chat is None:
        return ["drawn without a language model"]
    if winner is None:
        return ["no model draft was usable; the extractive portrait is published"]
    return ["the critic grades the extractive portrait above every model draft; it is published"]


async def _ground(deps: Deps, case: Case, draft: Draft) -> Draft:
    """Repair or drop each claim; a draft that changed is graded again."""
    if not draft.facets:
        return draft
    [read] = await read_drafts(deps, [draft])
    evidence = await gather_evidence(deps.embedder, case, draft.claims)
    threshold = deps.settings.critic.support
    claims = _repair(evidence, draft.claims, read.sentences, threshold)
    kept = [(facet, claim) for facet, claim in zip(draft.facets, claims, strict=True) if claim]
    item_claims = draft.item_claims
    if case.item_side:
        item_case = case.for_item()
        item_evidence = await gather_evidence(deps.embedder, item_case, draft.item_claims)
        item_claims = _ground_item(
            item_case, item_evidence, draft.item_claims, read.item_side, case.item_side.vector
        )
    changed = draft.model_copy(
        update={
            "pair": _retell(draft, [facet.text for facet, _ in kept]),
            "facets": tuple(facet for facet, _ in kept),
            "claims": tuple(claim for _, claim in kept),
            "item_claims": item_claims,
        }
    )
    if len(kept) == len(draft.facets) or not kept:
        return changed
    review = await criticise(deps, case, [changed])
    return review.drafts[0]


def _retell(draft: Draft, kept: Sequence[str]) -> tuple[PairSide, PairSide] | None:
    """Leave dropped sentences out of a pair's user profile."""
    if draft.pair is None:
        return None
    user, item = draft.pair
    return user.model_copy(update={"profile": " ".join(kept)}), item


def _repair(
    evidence: Evidence, claims: Sequence[Claim], vectors: FloatArray, threshold: float
) -> list[Claim | None]:
    """Keep supported claims, cite better evidence for the others, and drop what nothing supports."""
    repaired: list[Claim | None] = []
    for claim, vector in zip(claims, vectors, strict=True):
        support = evidence.support(claim.text, vector, claim.evidence)
        cited = claim.evidence
        if support < threshold:
            cited, support = evidence.cite(claim.text, vector, most=_MOST_EVIDENCE)
        supported = support >= threshold and cited
        repaired.append(_with(claim, cited, support) if supported else None)
    return repaired


def _ground_item(
    item_case: Case, evidence: Evidence, claims: Sequence[Claim], vectors: FloatArray, item: FloatArray
) -> tuple[Claim, ...]:
    """Cite others' interactions for the item's sentences; publisher text alone may support one, uncited."""
    grounded: list[Claim] = []
    for claim, vector in zip(claims, vectors, strict=True):
        cited, support = evidence.cite(claim.text, vector, most=_MOST_EVIDENCE)
        by_publisher = float(np.clip(vector @ item, 0.0, 1.0))
        grounded.append(_with(claim, cited if item_case.visible else (), max(support, by_publisher)))
    return tuple(grounded)


def _with(claim: Claim, evidence: tuple[str, ...], support: float) -> Claim:
    confidence = float(np.clip(support, 0.0, 1.0))
    return claim.model_copy(update={"evidence": evidence, "confidence": round(confidence, 4)})
