"""Routes about users and items: pairs, rankings, recommendations, cards."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from ...cards import ItemCard
from ...pairings import Pair, Ranking
from ...recommendations import RecommendationOutcome, Recommendations
from .asked import (
    AsOf,
    Calls,
    ItemId,
    ManyRecommendationsWanted,
    RankingWanted,
    RecommendationsWanted,
    UserId,
    budget_for,
)
from .lending import Reading, Writing
from .lines import described, in_lines, told
from .problems import Problem, problem_of

router = APIRouter(prefix="/v1", tags=["pairs, rankings, recommendations"])


@router.get("/users/{user_id:id}/pairs/{item_id:id}")
async def stored_pair(user_id: UserId, item_id: ItemId, limner: Reading) -> Pair:
    """Return the newest pair as it is stored; 404 if none was written."""
    found = await limner.doors.store.pair(user_id, item_id)
    if found is None:
        raise Problem(404, "no_pair", "this pair was never written; POST to the same address writes it")
    return found


@router.post("/users/{user_id:id}/pairs/{item_id:id}")
async def pair(
    user_id: UserId, item_id: ItemId, limner: Writing, as_of: AsOf = None, calls: Calls = None
) -> Pair:
    """Write a user profile and an item profile for each other, if anything they rest on has changed."""
    return await limner.pair(user_id, item_id, as_of=as_of, budget=budget_for(limner, calls))


@router.post("/users/{user_id:id}/ranking")
async def rank(user_id: UserId, body: RankingWanted, limner: Writing) -> Ranking:
    """Rank candidates for a user."""
    return await limner.rank(
        user_id,
        body.items,
        as_of=body.as_of,
        budget=budget_for(limner, body.calls),
        top=body.top,
        mode=body.mode,
    )


@router.post(
    "/users/{user_id:id}/ranking/stream", response_class=StreamingResponse, responses=described("One ranking")
)
async def rank_stream(
    user_id: UserId, body: RankingWanted, request: Request, limner: Writing
) -> StreamingResponse:
    """Rank candidates for a user: the scorer's ranking at once, then better and better ones, the last `final`."""
    rankings = limner.rank_stream(
        user_id,
        body.items,
        as_of=body.as_of,
        budget=budget_for(limner, body.calls),
        top=body.top,
        mode=body.mode,
    )
    return await in_lines(request, (ranking.model_dump_json() async for ranking in rankings))


@router.get("/users/{user_id:id}/recommendations")
async def recommend(
    user_id: UserId,
    limner: Reading,
    k: Annotated[int, Query(ge=1, le=1_000, description="How many items.")] = 10,
    as_of: AsOf = None,
) -> Recommendations:
    """Return what a user may choose next, best first. No model is asked."""
    return await limner.recommend(user_id, k=k, as_of=as_of)


@router.post("/users/{user_id:id}/recommendations")
async def recommend_as_wanted(
    user_id: UserId, body: RecommendationsWanted, limner: Writing
) -> Recommendations:
    """Recommend with filters, diversity, a ranking of the first by pairs, or items that the model describes."""
    return await limner.recommend(
        user_id,
        k=body.k,
        as_of=body.as_of,
        filters=body.filters.filters(),
        diversity=body.diversity,
        explain=body.explain,
        rerank=body.rerank,
        generate=body.generate,
        budget=budget_for(limner, body.calls),
    )


@router.post("/recommendations", response_class=StreamingResponse, responses=described("One user"))
async def recommend_to_many(
    body: ManyRecommendationsWanted, request: Request, limner: Writing
) -> StreamingResponse:
    """Recommend to many users, or to everybody: a line for each as it is found, in no order.

    A line is `{"user_id": ..., "recommendations": {...}}`, or with an `error` instead, `{"code": ..., "message": ...}`.
    """
    outcomes = limner.recommend_many(
        body.user_ids,
        k=body.k,
        as_of=body.as_of,
        filters=body.filters.filters(),
        diversity=body.diversity,
        explain=body.explain,
        rerank=body.rerank,
        generate=body.generate,
        budget=budget_for(limner, body.calls),
    )
    return await in_lines(request, _told(outcomes))


async def _told(outcomes: AsyncGenerator[RecommendationOutcome]) -> AsyncGenerator[str]:
    async with aclosing(outcomes):
        async for outcome in outcomes:
            document: dict[str, Any] = {"user_id": outcome.user_id}
            if outcome.error:
                document["error"] = told(problem_of(outcome.error))
            if outcome.recommendations:
                document["recommendations"] = outcome.recommendations.model_dump(mode="json")
            yield json.dumps(document, ensure_ascii=False)


@router.get("/items/{item_id:id}/card")
async def stored_card(item_id: ItemId, limner: Reading, as_of: AsOf = None) -> ItemCard:
    """Return an item's newest card as it is stored; 404 if none was written."""
    moment = as_of or limner.now()
    found = (await limner.doors.store.item_cards([item_id], as_of=moment)).get(item_id)
    if found is None:
        raise Problem(404, "no_card", "this item has no card; POST to the same address writes one")
    return found


@router.post("/items/{item_id:id}/card")
async def card(item_id: ItemId, limner: Writing, as_of: AsOf = None, calls: Calls = None) -> ItemCard:
    """Describe an item by whom it suits and whom not, if anything that rests on has changed."""
    budget = budget_for(limner, calls)
    async with aclosing(limner.cards([item_id], as_of=as_of, budget=budget, at_once=1)) as outcomes:
        outcome = await anext(outcomes)
    if outcome.error:
        raise outcome.error
    assert outcome.card is not None, "an outcome without an error has a card"
    return outcome.card
