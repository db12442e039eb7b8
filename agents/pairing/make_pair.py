"""Put a pair together: profiles, affinity, expected rating, reasons, and the sentence that explains it."""

import numpy as np

from ...pairings import Pair
from ..case import Case
from ..colophon import colophon
from ..state import Deps, State
from .pair_reasons import matches_of, tell
from .rating_prior import damped_mean

_STRANGERS = 0.2
"""Cosine of two profiles below which nobody would recommend the one to the other."""

_MIDDLE = 0.5


async def pair_of(deps: Deps, case: Case, state: State) -> Pair:
    """Return the pair of the best draft."""
    best = state["best"]
    assert best.pair is not None, "a pair draft that can be read has both sides"
    assert case.item_side is not None, "only a pair is published as one"
    user, item = best.pair
    vectors = await deps.embedder.embed([user.profile, item.profile])
    affinity = float(np.clip(vectors[0] @ vectors[1], -1.0, 1.0))
    judged = best.judgement
    fit = judged.fit if judged else (1.0 + affinity) / 2.0
    fits = fit >= _MIDDLE if judged else affinity >= _STRANGERS
    told = tell(case, await matches_of(deps, best), fits=fits)
    return Pair(
        item_id=case.item_side.item.item_id,
        user=user,
        item=item,
        affinity=affinity,
        fit=fit,
        judged=judged is not None,
        expected_rating=judged.expected if judged else await _usual(deps, state),
        rating_interval=judged.interval if judged else None,
        because=told.because,
        reasons=told.reasons,
        **colophon(deps, case, state),
    )


async def _usual(deps: Deps, state: State) -> float | None:
    return await damped_mean(deps.store, state["user_id"], state["item_id"] or "", as_of=state["as_of"])
