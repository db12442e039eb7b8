"""Calls and tokens of the default settings: `python -m limner.evals.bench.cost_worker costs '{"…": …}'`."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from itertools import islice
from typing import Any

from ...errors import LimnerError
from ...face import Limner
from ...outcome import Outcome
from ...recommendations import RecommendationOutcome
from ...records import Interaction
from ...tools.budget import Budget
from .worker import fill, settings_of
from .world import invent_histories, user_ids

THOUSAND = 1000
_RERANKED = 10
_FEW = 5
"""Users whose recommendations are ranked again by pairs; each takes dozens of calls."""

_LATER = timedelta(days=30)

Costs = dict[str, float]


async def costs(given: Mapping[str, Any]) -> dict[str, Costs]:
    """Count what a first portrait costs, one of nothing new, one after a new event, and recommendations."""
    await fill(given)
    users = user_ids(given["users"])
    found: dict[str, Costs] = {}
    async with Limner(settings_of(given)) as limner:
        found["a first profile"] = await _drawing(limner, users)
        found["a profile with nothing new"] = await _drawing(limner, users)
        await limner.record_many([_one_more(events) for events in _histories(given)])
        found["a refresh after one event"] = await _drawing(limner, users)
        few = users[:_FEW]
        found["1,000 recommendations"] = await _recommending(limner, users, rerank=None)
        found[f"1,000 recommendations, {_RERANKED} items ranked again by pairs"] = await _recommending(
            limner, few, rerank=_RERANKED
        )
    return found


def _histories(given: Mapping[str, Any]) -> list[list[Interaction]]:
    return list(islice(invent_histories(given["users"], given["seed"]), given["users"]))


def _one_more(events: Sequence[Interaction]) -> Interaction:
    """Return the user's first event again, a month after the last."""
    first, last = events[0], events[-1]
    return Interaction(
        user_id=first.user_id,
        item_id=first.item_id,
        kind=first.kind,
        at=last.at + _LATER,
        rating=first.rating,
        text=first.text,
    )


async def _drawing(limner: Limner, users: Sequence[str]) -> Costs:
    budget = Budget()
    return await _spent(limner.profiles(users, budget=budget), budget, len(users), per=1)


async def _recommending(limner: Limner, users: Sequence[str], *, rerank: int | None) -> Costs:
    budget = Budget()
    outcomes = limner.recommend_many(users, rerank=rerank, budget=budget)
    return await _spent(outcomes, budget, len(users), per=THOUSAND)


async def _spent(
    outcomes: AsyncGenerator[Outcome] | AsyncGenerator[RecommendationOutcome],
    budget: Budget,
    users: int,
    *,
    per: int,
) -> Costs:
    """Run a batch and return what so many of its users cost.

    Raises:
        LimnerError: One of them failed.
    """
    async with aclosing(outcomes):
        async for outcome in outcomes:
            error: LimnerError | None = outcome.error
            if error is not None:
                raise error
    spent, share = budget.spent, per / users
    return {"calls": spent.calls * share, "tokens": spent.tokens * share, "n": users}


def main() -> None:
    """Run the one step with the JSON object of the second argument."""
    _, given = sys.argv[1:]
    print(json.dumps(asyncio.run(costs(json.loads(given)))), flush=True)


if __name__ == "__main__":
    main()
