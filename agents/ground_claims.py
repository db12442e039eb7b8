"""Node: drop or repair claims without evidence, then settle which draft is published.

Reads `drafts`; writes `best`, `spent`, `notes`, `exhausted`. No model call unless the text reward has a weight;
embeddings only.
"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from langgraph.runtime import Runtime

from ..models import Claim
from ..pairings import PairSide
from ..records import Usage
from ..tools.embedder import FloatArray
from ..tools.privacy.screened_records import NOTE as WITHHELD
from ..tools.privacy.screened_records import screened_side
from .build_case import case_of
from .case import Case
from .choosing import best_draft
from .critic import Review, criticise, read_drafts
from .evidence import Evidence, gather_evidence
from .hearsay import repeats
from .profile_form import only_spoken
from .stances import standing_stances
from .state import Deps, Draft, State

_MOST_EVIDENCE = 4
_CANDIDATES = 3
_QUOTED = "what was said in a chat is quoted; this model would only list its phrases"


class Update(TypedDict):
    """The keys this node may change."""

    best: Draft
    spent: Usage
    notes: list[str]
    exhausted: bool


async def ground_claims(state: State, runtime: Runtime[Deps]) -> Update:
    """Ground the best drafts, grade them again, and keep the best that is not below the extractive floor.

    The drafts themselves stay as the model wrote them, so that the log pays for what was written.
    """
    deps = runtime.context
    case = await case_of(deps, state)
    reviews = [await _ground(deps, case, state["drafts"][0])]
    left = list(state["drafts"])
    while len(reviews) <= _CANDIDATES and (candidate := best_draft(left, written_by_model=True)):
        left.remove(candidate)
        reviews.append(await _ground(deps, case, candidate))
    floor, *grounded = (draft for review in reviews for draft in review.drafts)
    winner = best_draft(grounded, written_by_model=True)
    best = winner if winner and (winner.total or 0.0) >= (floor.total or 0.0) else floor
    quoted = _quotes_better(deps, case)
    if quoted:
        best = floor
    return {
        "best": best,
        "spent": Usage.total([state["spent"], *(review.usage for review in reviews)]),
        "notes": [
            *state["notes"],
            *(note for review in reviews for note in review.notes),
            *([_QUOTED] if quoted and winner else _why_extractive(deps, best, winner)),
        ],
        "exhausted": state["exhausted"] or any(review.exhausted for review in reviews),
    }


def _quotes_better(deps: Deps, case: Case) -> bool:
    """Whether a chat is better quoted: a small model lists its phrases and loses what was said of them.

    No reward tells, since a history without items holds nothing back.
    """
    return deps.style == "lexicon" and only_spoken(case) and bool(standing_stances(case, most=1))


def _why_extractive(deps: Deps, best: Draft, winner: Draft | None) -> list[str]:
    if best.round >= 0:
        return []
    if deps.chat is None:
        return ["drawn without a language model"]
    if winner is None:
        return ["no model draft was usable; the extractive portrait is published"]
    return ["the critic grades the extractive portrait above every model draft; it is published"]


async def _ground(deps: Deps, case: Case, draft: Draft) -> Review:
    """Repair or drop each claim; a draft that this changed is graded again."""
    draft, withheld = _screened(deps, case, draft)
    if not draft.facets:
        return Review([draft], Usage(), [WITHHELD] if withheld else [], False)
    [read] = await read_drafts(deps, [draft])
    evidence = await gather_evidence(deps.embedder, case, draft.claims)
    threshold = deps.settings.critic.support
    claims = _repair(evidence, draft, read.sentences, threshold)
    kept = [(facet, claim) for facet, claim in zip(draft.facets, claims, strict=True) if claim]
    item_claims = await _ground_item(deps, case, draft, read.item_side)
    changed = draft.model_copy(
        update={
            "pair": _retell(draft, [facet.text for facet, _ in kept], [claim.text for claim in item_claims]),
            "facets": tuple(facet for facet, _ in kept),
            "claims": tuple(claim for _, claim in kept),
            "item_claims": item_claims,
        }
    )
    mended = withheld or [claim.evidence for _, claim in kept] != [claim.evidence for claim in draft.claims]
    if not kept or not (mended or len(item_claims) < len(draft.item_claims)):
        return Review([changed], Usage(), [], False)
    return await criticise(deps, case, [changed])


def _screened(deps: Deps, case: Case, draft: Draft) -> tuple[Draft, bool]:
    """Leave out what must not be told, whatever supports it: orders, people's traits and numbers, hearsay.

    A pair of which one side says nothing else cannot be read.
    """

    def of_user(sentence: str) -> bool:
        return deps.screen.allows(sentence) and not repeats(sentence, case.hearsay)

    def of_item(sentence: str) -> bool:
        return deps.screen.safe(sentence) and not repeats(sentence, about_item)

    about_item = case.for_item().hearsay if case.item_side else frozenset[str]()
    kept = [
        (facet, claim)
        for facet, claim in zip(draft.facets, draft.claims, strict=True)
        if of_user(claim.text) and of_user(facet.text) and of_user(facet.name)
    ]
    item_claims = tuple(claim for claim in draft.item_claims if of_item(claim.text))
    sides = draft.pair and (screened_side(draft.pair[0], of_user), screened_side(draft.pair[1], of_item))
    if (len(kept), len(item_claims), sides) == (len(draft.facets), len(draft.item_claims), draft.pair):
        return draft, False
    if draft.item_claims and not item_claims:
        kept = []
    return draft.model_copy(
        update={
            "facets": tuple(facet for facet, _ in kept),
            "claims": tuple(claim for _, claim in kept),
            "item_claims": item_claims,
            "pair": sides,
        }
    ), True


def _retell(draft: Draft, user: Sequence[str], item: Sequence[str]) -> tuple[PairSide, PairSide] | None:
    """Leave dropped sentences out of a pair's profiles."""
    if draft.pair is None:
        return None
    of_user, of_item = draft.pair
    return (
        of_user.model_copy(update={"profile": " ".join(user)}),
        of_item.model_copy(update={"profile": " ".join(item)}),
    )


def _repair(evidence: Evidence, draft: Draft, vectors: FloatArray, threshold: float) -> list[Claim | None]:
    """Keep supported claims, cite better evidence for the others, and drop what nothing supports."""
    repaired: list[Claim | None] = []
    for claim, facet, vector in zip(draft.claims, draft.facets, vectors, strict=True):
        support = evidence.support(claim.text, vector, claim.evidence, facet.polarity)
        cited = evidence.fitting(claim.evidence, facet.polarity)
        if support < threshold:
            cited, support = evidence.cite(claim.text, vector, facet.polarity, most=_MOST_EVIDENCE)
        supported = support >= threshold and cited
        repaired.append(_with(claim, cited, support) if supported else None)
    return repaired


async def _ground_item(deps: Deps, case: Case, draft: Draft, vectors: FloatArray) -> tuple[Claim, ...]:
    """Cite others' interactions for the item's sentences; publisher text alone may support one, uncited.

    Sentences that neither supports are dropped, unless that would leave none.
    """
    if case.item_side is None:
        return ()
    item_case, threshold = case.for_item(), deps.settings.critic.support
    evidence = await gather_evidence(deps.embedder, item_case, draft.item_claims)
    publisher = case.item_side.item.describe()
    grounded: list[Claim] = []
    for claim, vector in zip(draft.item_claims, vectors, strict=True):
        cited, support = evidence.cite(claim.text, vector, "neutral", most=_MOST_EVIDENCE)
        by_publisher = evidence.support_by_text(claim.text, vector, publisher, case.item_side.vector)
        cited = cited if support >= threshold else ()
        grounded.append(_with(claim, cited, max(support, by_publisher)))
    supported = tuple(claim for claim in grounded if claim.confidence >= threshold)
    return supported or tuple(grounded)


def _with(claim: Claim, evidence: tuple[str, ...], support: float) -> Claim:
    confidence = float(np.clip(support, 0.0, 1.0))
    return claim.model_copy(update={"evidence": evidence, "confidence": round(confidence, 4)})
