"""Node: write the chosen pairs, or take them from the store.

Reads `chosen`; writes `passes`, `tried`, `spent`, `notes`, `exhausted`, `ranking`. Model calls: in `factored` mode one
a batch, and one for each item that a batch left unreadable; in `joint` mode one full drawing a candidate.
"""

import asyncio
from typing import TypedDict

from langgraph.runtime import Runtime

from ...errors import BudgetExceededError, InputError
from ...pairings import Pair, Ranking
from ...records import Usage
from ..pairing.batch_pass import Passed, joined, pass_items
from ..pairing.pair_judge import blank_calls
from ..pairing.pass_price import fewest_calls
from .rank_state import RankDeps, RankState, ranking_of


class Update(TypedDict):
    """The keys this node may change."""

    passes: dict[str, Pair]
    tried: list[str]
    spent: Usage
    notes: list[str]
    exhausted: bool
    ranking: Ranking


async def pair_candidates(state: RankState, runtime: Runtime[RankDeps]) -> Update:
    """Pair the user with the chosen candidates and rank again.

    Raises:
        BudgetExceededError: The budget does not allow a single pass; nothing was sent.
    """
    rank = runtime.context
    write = _batched if state["question"].mode == "factored" else _singly
    passed = await write(rank, state)
    passes = state["passes"] | passed.pairs
    spent = state["spent"] + passed.usage
    if passed.exhausted and not passes and spent.calls == 0:
        rank.budget.check()
    changed = RankState(
        passes=passes,
        tried=[*state["tried"], *state["chosen"]],
        spent=spent,
        notes=[*state["notes"], *passed.notes],
        exhausted=passed.exhausted,
    )
    ranking = ranking_of(rank, RankState(**{**state, **changed}), final=False)
    return {
        "passes": changed["passes"],
        "tried": changed["tried"],
        "spent": spent,
        "notes": changed["notes"],
        "exhausted": passed.exhausted,
        "ranking": ranking,
    }


async def _batched(rank: RankDeps, state: RankState) -> Passed:
    """Write several items a call, several calls at once."""
    question = state["question"]
    return await pass_items(rank.drawing, rank.deps, question.user_id, state["chosen"], as_of=question.as_of)


async def _singly(rank: RankDeps, state: RankState) -> Passed:
    """Draw each pair by the whole graph, as far as the budget allows a whole pass."""
    allowed = await _affordable(rank, state)
    passed = joined(await asyncio.gather(*(_draw(rank, state, item_id) for item_id in allowed)))
    cut = len(allowed) < len(state["chosen"])
    return passed._replace(exhausted=passed.exhausted or cut)


async def _affordable(rank: RankDeps, state: RankState) -> list[str]:
    """Return the chosen candidates, in order, for whose passes enough calls are left.

    Raises:
        BudgetExceededError: Not even the first of the whole ranking.
    """
    question, limit = state["question"], rank.budget.limits.calls
    allowed: list[str] = []
    needed = await blank_calls(rank.deps, await rank.deps.store.rating_scale(as_of=question.as_of))
    for item_id in state["chosen"]:
        price = await fewest_calls(rank.deps, question.user_id, item_id, as_of=question.as_of)
        if limit is not None and price and needed + price > rank.calls_left:
            if not allowed and not state["passes"]:
                raise BudgetExceededError("calls", limit, limit - rank.calls_left, needed + price)
            break
        needed += price
        allowed.append(item_id)
    return allowed


async def _draw(rank: RankDeps, state: RankState, item_id: str) -> Passed:
    question = state["question"]
    before = await rank.deps.store.pair(question.user_id, item_id)
    try:
        pair = await rank.drawing.pair(question.user_id, item_id, as_of=question.as_of, budget=rank.budget)
    except InputError as error:
        return Passed({}, Usage(), [f"{item_id} was not paired: {error}"], False)
    except BudgetExceededError as error:  # less is left than one pass costs
        return Passed({}, Usage(), [str(error)], True)
    if pair == before:
        return Passed({item_id: pair}, Usage(), [], False)
    return Passed({item_id: pair}, pair.usage, [], False)
