"""Node: leave out what must not be recommended, and choose the first items with as much diversity as asked for.

Reads `wanted`, `total`; writes `chosen`, `notes`. No model is asked.
"""

from functools import lru_cache
from typing import TypedDict

import numpy as np
from langgraph.runtime import Runtime
from numpy.typing import NDArray

from ...recommendations import Filters
from ...tools.embedder import FloatArray
from .recommend_state import RecommendDeps, RecommendState

_PAGE = 200
_SPARE = 20


class Update(TypedDict):
    """What this node writes."""

    chosen: list[int]
    notes: list[str]


async def choose_items(state: RecommendState, runtime: Runtime[RecommendDeps]) -> Update:
    """Walk down the ranking until enough items pass the filters, then trade nearness for variety."""
    wanted, settings = state["wanted"], runtime.context.deps.settings.recommend
    enough = max(wanted.k, wanted.rerank)
    pool = await _allowed(state, runtime.context, max(enough, settings.pool) if wanted.diversity else enough)
    notes = list(state.get("notes", []))
    if len(pool) < wanted.k:
        rest = "once what the user had is left out" if wanted.filters == Filters() else "behind the filters"
        notes.append(f"{len(pool)} of the catalogue's {len(state['total'])} items are left {rest}")
    if wanted.diversity > 0:
        words = runtime.context.index.signals.words
        assert words is not None, "an index of a store has texts"
        pool = spread(state["total"], words.had, pool, count=enough, diversity=wanted.diversity)
    return Update(chosen=pool[:enough], notes=notes)


async def _allowed(state: RecommendState, context: RecommendDeps, count: int) -> list[int]:
    """Return the first items that pass the filters, best first."""
    wanted, index, store = state["wanted"], context.index, context.deps.store
    had = set(await store.had_items(wanted.user_id, as_of=wanted.as_of)) if wanted.filters.had else set[str]()
    order = order_of(state["total"])
    found: list[int] = []
    first, size = 0, min(_PAGE, count + _SPARE)  # few filters leave out much
    while first < len(order) and len(found) < count:
        page = [
            number for number in order[first : first + size].tolist() if index.item_ids[number] not in had
        ]
        first, size = first + size, _PAGE
        items = await store.items([index.item_ids[number] for number in page])
        found += [
            number
            for number in page
            if (item := items.get(index.item_ids[number])) is not None and wanted.filters.allow(item)
        ]
    return found[:count]


def order_of(scores: FloatArray) -> NDArray[np.intp]:
    """Return places in order of falling scores; equal ones by a fixed shuffle, so that no id is favoured."""
    return np.lexsort((_shuffle(len(scores)), -scores))


@lru_cache(maxsize=4)
def _shuffle(size: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).permutation(size)


def spread(
    scores: FloatArray, vectors: FloatArray, pool: list[int], *, count: int, diversity: float
) -> list[int]:
    """Choose items one after the other, each good and unlike those before it.

    An item is worth `(1 - diversity) * relevance - diversity * nearness`: relevance is its score between the worst
    (0) and the best (1) of the pool, nearness its highest cosine with what was chosen. With 0 the order stays; with 1
    only the first is chosen by score.

    Args:
        scores: Of the catalogue, shape `(N,)`.
        vectors: Unit-norm, of the catalogue, shape `(N, D)`.
        pool: Numbers of items, best first.
        count: How many to choose.
        diversity: From 0 to 1.

    Source:
        Carbonell & Goldstein 1998, maximal marginal relevance, https://doi.org/10.1145/290941.291025; lambda is
        `1 - diversity`. Differs: relevance is brought to 0 … 1.
    """
    if not pool:
        return []
    mine = scores[pool]
    span = float(mine.max() - mine.min())
    relevance = (mine - mine.min()) / span if span > 0 else np.zeros(len(pool), dtype=np.float32)
    near = np.full(len(pool), -1.0, dtype=np.float32)
    left = np.ones(len(pool), dtype=np.bool_)
    chosen: list[int] = []
    for number in range(min(count, len(pool))):
        worth = relevance if number == 0 else (1 - diversity) * relevance - diversity * near
        best = int(np.argmax(np.where(left, worth, -np.inf)))
        chosen.append(pool[best])
        left[best] = False
        near = np.maximum(near, vectors[pool] @ vectors[pool[best]])
    return chosen
