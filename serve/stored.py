"""Portraits that are stored, for whoever is told why there is none."""

from typing import TYPE_CHECKING

from ..errors import NoPortraitError, UnknownUserError

if TYPE_CHECKING:
    from ..face import Limner
    from ..models import Profile


async def stored_portrait(limner: "Limner", user_id: str) -> "Profile":
    """Return the newest stored portrait; nothing is drawn.

    Raises:
        UnknownUserError: The user was never recorded.
        NoPortraitError: No portrait was drawn yet.
    """
    profile = await limner.stored_profile(user_id)
    if profile is None:
        known = await limner.doors.store.has_user(user_id)
        raise NoPortraitError(user_id) if known else UnknownUserError(user_id)
    return profile
