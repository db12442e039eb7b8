"""What a known outcome says of the drafts of a pair, and the items that were not chosen."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from ...pairings import PairOutcome
from ...records import content_hash
from ...tools.late_interaction import score_items
from ...tools.negatives import Negatives, sample_negatives
from ...tools.rating_levels import shown_scale
from ...tools.reward import rank_reward, rating_reward, with_outcome
from ...tools.store import RatingScale
from ..case import Case
from ..critic import critic_settings, read_drafts
from ..state import Deps, Draft
from ..vectors import item_vectors

_INSTANT = timedelta(microseconds=1)
_MIDDLE = 0.5


async def line_up(deps: Deps, user_id: str, outcome: PairOutcome, *, as_of: datetime) -> Negatives:
    """Draw what the chosen item stands against: hard, popular and random items in the critic's shares.

    Nothing the user had before or at that moment is among them; what came later is unknown.
    """
    before = await deps.store.history(user_id, as_of=as_of, last=deps.settings.drafting.recent)
    newest = list(dict.fromkeys(event.item_id for event in before if event.item_id))
    had = await deps.store.had_items(user_id, as_of=as_of + _INSTANT)
    return await sample_negatives(
        store=deps.store,
        catalogue=deps.catalogue,
        history_items=[*(item for item in had if item not in set(newest)), *newest],
        positives=[outcome.item_id],
        as_of=as_of,
        settings=deps.settings.critic,
        seed=int(content_hash("line-up", deps.settings.drafting.seed, user_id, outcome.event_id)[:8], 16),
    )


async def known_terms(
    deps: Deps, case: Case, outcome: PairOutcome, drafts: Sequence[Draft], *, rated: bool
) -> list[Draft]:
    """Add `rating` and `pair_rank` to the rewards of the drafts that can be read.

    `rating` is there if the judge was asked and the rating is known; in a store without ratings a chosen item
    counts as the best one and another as the worst. A judge that named no rating counts as the middle of the
    scale. `pair_rank` asks the user's profile, whichever item it was written for, to put the chosen item first:
    one written for another item must not talk it up.

    Args:
        deps: What the graph may touch.
        case: The pair's material.
        outcome: What came of it.
        drafts: Judged drafts.
        rated: Whether the judge answered for all of them; totals compare only if all have the same terms.
    """
    known = known_share(outcome, case.scale) if rated else None
    places = await _places(deps, case, outcome, drafts)
    return [
        draft if draft.critique is None else _graded(deps, draft, known, place)
        for draft, place in zip(drafts, places, strict=True)
    ]


def known_share(outcome: PairOutcome, scale: RatingScale | None) -> float | None:
    """Return the known rating as a share of the scale; `None` if it is unknown.

    Examples:
        >>> chosen = PairOutcome(event_id="e", item_id="i", chosen=True, rating=4.0)
        >>> known_share(chosen, RatingScale(1.0, 5.0, 4.0, 9)), known_share(chosen, None)
        (0.75, 1.0)
        >>> known_share(chosen.model_copy(update={"rating": None}), RatingScale(1.0, 5.0, 4.0, 9))
    """
    if scale is None:
        return float(outcome.chosen)
    if outcome.rating is None:
        return None
    # Where all ratings so far are alike, the known one may be the first to tell the scale's other end.
    wider = scale._replace(low=min(scale.low, outcome.rating), high=max(scale.high, outcome.rating))
    shown = shown_scale(scale) or shown_scale(wider)
    if shown is None:
        return None
    return (outcome.rating - shown.low) / (shown.high - shown.low)


def _graded(deps: Deps, draft: Draft, known: float | None, place: float | None) -> Draft:
    assert draft.critique is not None, "drafts without a critique are not graded"
    terms: dict[str, float] = {}
    if known is not None:
        terms["rating"] = rating_reward(draft.judgement.fit if draft.judgement else _MIDDLE, known)
    if place is not None:
        terms["pair_rank"] = place
    rewards = with_outcome(draft.critique.rewards, terms, deps.settings.reward)
    return draft.model_copy(update={"critique": draft.critique.model_copy(update={"rewards": rewards})})


async def _places(
    deps: Deps, case: Case, outcome: PairOutcome, drafts: Sequence[Draft]
) -> list[float | None]:
    """Return each user profile's NDCG of the chosen item; nothing for one that turned out not to be liked."""
    places: list[float | None] = [None] * len(drafts)
    readable = [place for place, draft in enumerate(drafts) if draft.facets]
    if deps.settings.reward.pair_rank == 0 or not readable or disliked(outcome, case.scale):
        return places
    user_id = case.subject.removeprefix("user:")
    against = (await line_up(deps, user_id, outcome, as_of=case.as_of)).item_ids
    chosen = await deps.store.items([outcome.item_id])
    if not against or not chosen:
        return places
    positive = deps.space.items(await item_vectors(deps.catalogue, list(chosen.values())))
    negatives = deps.space.items(await deps.catalogue.vectors(against))
    temperature = critic_settings(deps).temperature
    for place, read in zip(readable, await read_drafts(deps, [drafts[p] for p in readable]), strict=True):
        places[place] = rank_reward(
            score_items(read.liked, positive, temperature=temperature),
            score_items(read.liked, negatives, temperature=temperature),
        )
    return places


def disliked(outcome: PairOutcome, scale: RatingScale | None) -> bool:
    """Whether the chosen item was rated in the lower half of the scale, so that nothing should rank it first."""
    known = known_share(outcome, scale) if outcome.rating is not None and scale is not None else None
    return known is not None and known < _MIDDLE
