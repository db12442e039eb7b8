"""Node: rank the first items again by pairs.

Reads `wanted`, `chosen`; writes `chosen`, `spent`, `notes`. Calls as `Limner.rank` does, within the same budget.
"""

from collections.abc import Sequence
from typing import TypedDict

from langgraph.runtime import Runtime

from ...errors import BudgetExceededError, EmptyHistoryError, NoTextError
from ...records import Usage
from .recommend_state import RecommendDeps, RecommendState

_SMOOTH = 10


class Update(TypedDict, total=False):
    """What this node writes."""

    chosen: list[int]
    spent: Usage
    notes: list[str]


async def rerank_items(state: RecommendState, runtime: Runtime[RecommendDeps]) -> Update:
    """Mix the order of the signals with that of the pairs; without budget or text, the order stays, with a note."""
    wanted, index = state["wanted"], runtime.context.index
    first = state["chosen"][: wanted.rerank]
    ids = [index.item_ids[number] for number in first]
    notes = state.get("notes", [])
    if not ids:
        return {}
    budget = runtime.context.deps.budget
    try:
        ranking = await runtime.context.rank(
            wanted.user_id, ids, wanted.as_of, budget, min(wanted.k, len(ids))
        )
    except (BudgetExceededError, EmptyHistoryError, NoTextError) as error:
        return {"notes": [*notes, f"not ranked again by pairs: {error}"]}
    by_pairs = [index.number[ranked.item_id] for ranked in ranking.items]
    share = runtime.context.deps.settings.recommend.reranked
    return {
        "chosen": [*merge(first, by_pairs, share), *state["chosen"][wanted.rerank :]],
        "spent": state.get("spent", Usage()) + ranking.usage,
        "notes": [*notes, *ranking.notes],
    }


def merge(first: Sequence[int], second: Sequence[int], share: float) -> list[int]:
    """Merge two orders of the same items by reciprocal places, the second with a share.

    Source:
        Cormack, Clarke & Büttcher 2009, reciprocal rank fusion, https://doi.org/10.1145/1571941.1572114. Differs:
        10 in place of 60, because few items are merged, and shares.

    Examples:
        >>> merge([1, 2, 3], [3, 2, 1], 1.0), merge([1, 2, 3], [3, 2, 1], 0.2)
        ([3, 2, 1], [1, 2, 3])
    """
    worth = dict.fromkeys(first, 0.0)
    for order, weight in ((first, 1 - share), (second, share)):
        for place, number in enumerate(order):
            worth[number] += weight / (_SMOOTH + place)
    return sorted(worth, key=lambda number: -worth[number])
