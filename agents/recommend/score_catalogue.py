"""Node: score the whole catalogue for one user.

Reads `wanted`; writes `history`, `profile`, `language`, `parts`, `total`, `notes`. No model is asked.
"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from langgraph.runtime import Runtime

from ...errors import UnknownUserError
from ...models import Profile
from ...records import Interaction
from ...tools.embedder import FloatArray
from ...tools.language import detect_language
from ...tools.recommender.recommender_index import RecommenderIndex
from ...tools.spans import IntArray
from .recommend_keeping import portrayed
from .recommend_state import RecommendDeps, RecommendState

NOTHING_KNOWN = "nothing the user had is in the catalogue; these are items that many chose lately"

_LAST = 200


class Update(TypedDict):
    """What this node writes."""

    history: list[Interaction]
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
    history = await deps.store.history(wanted.user_id, as_of=wanted.as_of, last=_LAST)
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
        parts, notes = {"trend": total}, [NOTHING_KNOWN]
    return Update(
        history=history,
        profile=profile,
        language=profile.language if profile else await _language(state, runtime.context, history),
        parts=parts,
        total=total,
        notes=notes,
    )


def numbers_of(history: Sequence[Interaction], index: RecommenderIndex) -> IntArray:
    """Return the numbers of the items of a history that are in the catalogue, oldest first."""
    ids = (event.item_id for event in history)
    found = [index.number[item_id] for item_id in ids if item_id is not None and item_id in index.number]
    return np.array(found, dtype=np.int64)


async def _language(state: RecommendState, context: RecommendDeps, history: Sequence[Interaction]) -> str:
    """Return the language of the user's words, or of the texts of what the user had."""
    del state
    ids = [event.item_id for event in history[-10:] if event.item_id]
    ids = ids or list(context.index.item_ids[:10])
    items = await context.deps.store.items(ids)
    words = [event.text for event in history if event.text]
    return detect_language(words, [item.describe() for item in items.values()])
