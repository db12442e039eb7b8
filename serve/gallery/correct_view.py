"""A claim about to be corrected, with what it rests on."""

from dataclasses import dataclass

from ...errors import InputError
from ...face import Limner
from ..statements import Quote, quote_of
from .deeds import deeds_by_id, items_of
from .portrait_view import Head, head_of

_CHANGED = (
    "The portrait has changed meanwhile and no longer says this. Look at it again before correcting it."
)


@dataclass(frozen=True, kw_only=True)
class CorrectView:
    """One claim and its evidence."""

    head: Head
    place: int
    """Among the claims of the portrait."""

    text: str
    language: str
    quotes: tuple[Quote, ...]
    next_version: int
    """What the correction would be published as."""


async def correct_view(limner: Limner, user_id: str, *, claim: int, version: int) -> CorrectView:
    """Return a claim of the newest portrait, by its place.

    Raises:
        UnknownUserError: The user was never recorded.
        InputError: The newest portrait is another version, or makes no such claim.
    """
    head = await head_of(limner, user_id)
    profile = head.profile
    if profile is None or profile.version != version:
        raise InputError(_CHANGED)
    if not 0 <= claim < len(profile.claims):
        raise InputError(_CHANGED)
    chosen = profile.claims[claim]
    interactions = await deeds_by_id(limner, user_id, set(chosen.evidence))
    items = await items_of(limner, list(interactions.values()))
    versions = await limner.doors.store.profile_versions(user_id)
    return CorrectView(
        head=head,
        place=claim,
        text=chosen.text,
        language=profile.language,
        quotes=tuple(quote_of(event_id, interactions, items) for event_id in chosen.evidence),
        next_version=max(one.version for one in versions) + 1,
    )
