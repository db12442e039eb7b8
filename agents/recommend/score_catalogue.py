"""Node: score the whole catalogue for one user.

Reads `wanted`; writes `history`, `profile`, `language`, `parts`, `total`, `notes`. No model is asked.
"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from langgraph.runtime import Runtime

from ...errors import UnknownUserError
from ...models import Profile
from ...tools.embedder import FloatArray
from ...tools.grouping.stored_groups import Choice
from ...tools.language import detect_language
from ...tools.recommender.recommender_index import RecommenderIndex
from ...tools.spans import IntArray
from .recommend_keeping import portrayed
from .recommend_state import RecommendDeps, RecommendState

NOTHING_KNOWN = "nothing the user had is in the catalogue; these are items that many chose lately"

NOBODY_CHOSE = "nobody had chosen anything by then, so the order means nothing"

_LAST = 200


class Update(TypedDict):
    """What this node writes."""

    history: list[Choice]
    profile: Profile | None
    language: str
    parts: dict[str, FloatArray]
    total: FloatArray
    notes: list[str]


async def score_catalogue(state: RecommendState, runtime: Runtime[RecommendDeps]) -> Update:
    """Fuse what every signal says; where nothing is known of the user, what is chosen lately.

    Raises:
        UnknownUserError: The user was never recorded.
    """
    deps, index, wanted = runtime.context.deps, runtime.context.index, state["wanted"]
    if not await deps.store.has_user(wanted.user_id):
        raise UnknownUserError(wanted.user_id)
    chosen = await deps.store.choices([wanted.user_id], as_of=wanted.as_of)
    history = chosen.get(wanted.user_id, [])[-_LAST:]
    profile = await deps.store.profile(wanted.user_id, as_of=wanted.as_of)
    items = numbers_of(history, index)
    starts = np.array([0, len(items)], dtype=np.int64)
    told = await portrayed(deps, profile)
    signals = index.scores(items, starts, [told])
    parts = {
        name: part[0] for name, part in index.calibration.parts(signals, items, starts, index.counts).items()
    }
    total = index.calibration.score(signals, items, starts, index.counts)[0]
    notes: list[str] = []
    if not len(items) and not len(told.likes):
        trend = index.signals.trend
        total = index.counts if trend is None else trend
        parts, notes = {"trend": total}, [NOTHING_KNOWN if index.counts.any() else NOBODY_CHOSE]
    return Update(
        history=history,
        profile=profile,
        language=profile.language if profile else await _language(state, runtime.context, history),
        parts=parts,
        total=total,
        notes=notes,
    )


def numbers_of(history: Sequence[Choice], index: RecommenderIndex) -> IntArray:
    """Return the numbers of the items of a history that are in the catalogue, oldest first."""
    found = [index.number[choice.item_id] for choice in history if choice.item_id in index.number]
    return np.array(found, dtype=np.int64)


async def _language(state: RecommendState, context: RecommendDeps, history: Sequence[Choice]) -> str:
    """Return the language of the user's words, or of the texts of what the user had."""
    wanted, store = state["wanted"], context.deps.store
    ids = [choice.item_id for choice in history[-10:]] or list(context.index.item_ids[:10])
    items = await store.items(ids)
    events = await store.history(wanted.user_id, as_of=wanted.as_of, last=_LAST)
    words = [event.text for event in events if event.text]
    return detect_language(words, [item.describe() for item in items.values()])
