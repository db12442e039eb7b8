"""Which rating is usual for a user and an item, before a word is read."""

from datetime import datetime

from ...tools.store import Store

_DAMPING = 5.0


async def damped_mean(store: Store, user_id: str, item_id: str, *, as_of: datetime) -> float | None:
    """Return the global mean plus damped user and item deviations, within the scale; `None` without ratings.

    Source:
        Koren 2008, eq. 1, with damping 5.
    """
    scale = await store.rating_scale(as_of=as_of)
    if scale is None:
        return None
    expected = scale.mean
    for side in (
        await store.rating_scale(as_of=as_of, user_id=user_id),
        await store.rating_scale(as_of=as_of, item_id=item_id),
    ):
        if side is not None:
            expected += (side.mean - scale.mean) * side.n / (side.n + _DAMPING)
    return min(max(expected, scale.low), scale.high)
