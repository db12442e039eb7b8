"""Correct a claim of a user's newest portrait: record what the user says, and publish the portrait without it."""

from datetime import datetime, timedelta

from ...errors import NoPortraitError, UnknownClaimError, UnknownUserError
from ...models import Claim, Facet, Profile
from ...records import Interaction, Usage, content_hash
from ...tools.budget import Budget
from ...tools.store import Published
from ..colophon import INCOMPLETE
from ..drawing import Drawing
from ..publish_profiles import indexed_facets
from ..state import State
from .correction import PREFIX, correction_text, stated

NOTE = "corrected by the user"
"""Stands in the notes of a portrait that was."""


async def correct_profile(
    drawing: Drawing,
    user_id: str,
    claim: str | int,
    *,
    replace: str | None,
    reason: str,
    at: datetime,
    budget: Budget,
) -> Profile:
    """Correct one claim; see `Limner.correct`."""
    store = drawing.deps.store
    async with drawing.turn(user_id, None), drawing.concerning(user_id):
        newest = await store.profile(user_id)
        if newest is None:
            raise NoPortraitError(user_id) if await store.has_user(user_id) else UnknownUserError(user_id)
        place = _place(newest, claim)
        as_of = max(at, newest.as_of)
        statement = _statement(newest, place, replace, reason, as_of)
        state = State(user_id=user_id, item_id=None, as_of=as_of, run_id="")
        fresh = newest.fingerprint.removeprefix(INCOMPLETE) == (await drawing.open_case(state, budget))[2]
        await store.record([statement])
        after = (await drawing.open_case(state, budget))[2]
        profile = _corrected(newest, place, replace, statement).model_copy(
            update={
                "as_of": as_of,
                "created_at": at,
                # Whatever else is new is still to be drawn, so such a version equals no drawing's fingerprint.
                "fingerprint": after if fresh else content_hash(after, newest.fingerprint),
            }
        )
        if newest.fingerprint.startswith(INCOMPLETE):
            profile = profile.model_copy(update={"fingerprint": f"{INCOMPLETE}{profile.fingerprint}"})
        published = await store.publish(Published(profile, ()))
    if await drawing.deps.catalogue.forget_user(user_id):
        facets = indexed_facets(published)
        vectors = await drawing.deps.embedder.embed([facet.text for facet in facets])
        await drawing.deps.catalogue.publish_facets(user_id, facets, vectors)
    return published


def _place(profile: Profile, claim: str | int) -> int:
    """Return which claim is meant.

    Raises:
        UnknownClaimError: None, or not exactly one.
    """
    if isinstance(claim, int):
        if not isinstance(claim, bool) and 0 <= claim < len(profile.claims):
            return claim
    else:
        wanted = " ".join(claim.split()).casefold()
        found = [
            place
            for place, each in enumerate(profile.claims)
            if " ".join(each.text.split()).casefold() == wanted
        ]
        if len(found) == 1:
            return found[0]
    raise UnknownClaimError(profile.user_id, repr(claim), len(profile.claims))


def _statement(
    profile: Profile, place: int, replace: str | None, reason: str, as_of: datetime
) -> Interaction:
    wrong = profile.claims[place].text
    return Interaction(
        user_id=profile.user_id,
        kind="message",
        at=as_of - timedelta(microseconds=1),
        text=correction_text(wrong, replace, reason),
        event_id=PREFIX + content_hash(profile.user_id, as_of.isoformat(), wrong, replace, reason),
    )


def _corrected(profile: Profile, place: int, replace: str | None, statement: Interaction) -> Profile:
    """Return the portrait with one claim taken out, or other words in its place."""
    wrong = profile.claims[place].text
    facets: list[Facet] = []
    claims: list[Claim] = [claim for number, claim in enumerate(profile.claims) if number != place]
    for facet in profile.facets:
        if facet.text != wrong:
            facets.append(facet)
        elif replace is not None:
            right, claim = stated(replace, statement.event_id, profile.language, like=facet)
            facets.append(right)
            claims.insert(place, claim)
    return profile.model_copy(
        update={
            "text": " ".join(facet.text for facet in facets),
            "likes": tuple(facet.text for facet in facets if facet.polarity != "dislike"),
            "dislikes": tuple(facet.text for facet in facets if facet.polarity == "dislike"),
            "facets": tuple(facets),
            "claims": tuple(claims),
            "notes": tuple(dict.fromkeys((*profile.notes, NOTE))),
            "reward": None,
            "reward_terms": {},
            "usage": Usage(),
        }
    )
