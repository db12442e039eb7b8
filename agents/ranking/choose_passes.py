"""Node: choose the pairs whose pass could change the top of the list, the most promising first.

Reads `prior`, `passes`, `tried`, `spent`, `exhausted`; writes `chosen`, `notes`. No model call.
"""

from math import ceil
from typing import TypedDict

import numpy as np
from langgraph.runtime import Runtime

from ...tools.belief import Values, best_first, promise
from .rank_state import RankDeps, RankState, believe, expected_gauge, lots_of

_JOINT_AT_ONCE = 4


class Update(TypedDict):
    """The keys this node may change."""

    chosen: list[str]
    notes: list[str]


async def choose_passes(state: RankState, runtime: Runtime[RankDeps]) -> Update:
    """Choose the next round; nothing ends the ranking.

    A round has as many calls as the top needs, so that what they find decides about the rest.
    """
    rank, question = runtime.context, state["question"]
    wanted = wanted_passes(rank, state)
    if not wanted:
        return {"chosen": [], "notes": state["notes"]}
    if question.mode == "factored" and rank.deps.chat is None:
        return {"chosen": [], "notes": [*state["notes"], "ranked without a language model"]}
    if state["exhausted"]:
        left = f"the budget left {len(wanted)} candidates unpaired that could change the top"
        return {"chosen": [], "notes": [*state["notes"], left]}
    if question.mode == "joint":
        return {"chosen": wanted[:_JOINT_AT_ONCE], "notes": state["notes"]}
    per_call = rank.deps.settings.pairing.per_call
    calls = max(1, min(ceil(question.top / per_call), rank.calls_left))
    return {"chosen": wanted[: calls * per_call], "notes": state["notes"]}


def wanted_passes(rank: RankDeps, state: RankState) -> list[str]:
    """Return the candidates worth a pass, best first; in `joint` mode that is every one."""
    question, belief = state["question"], believe(rank, state)
    measured = np.array([item_id in state["tried"] for item_id in question.items], dtype=bool)
    lots = lots_of(question.user_id, question.items, rank.deps.settings.drafting.seed)
    if question.mode == "joint":
        order, worth = best_first(state["prior"].mean, lots), ~measured
    else:
        promised: Values = promise(belief, measured, expected_gauge(rank), top=question.top)
        order, worth = best_first(promised, lots), promised >= question.enough
    return [question.items[place] for place in order.tolist() if worth[place]]
