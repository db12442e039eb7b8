"""Routes of portraits: the stored one, a new one, its versions."""

from typing import Annotated

from fastapi import APIRouter, Path

from ...models import Profile
from ..stored import stored_portrait
from .answers import Versions
from .asked import AsOf, Calls, UserId, budget_for
from .lending import Reading, Writing
from .problems import Problem

router = APIRouter(prefix="/v1", tags=["portraits"])

Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="Counts from 1 for each user.", examples=[1])]


@router.get("/users/{user_id:id}/profile")
async def stored_profile(user_id: UserId, limner: Reading) -> Profile:
    """Return the newest portrait as it is stored. Nothing is drawn; 404 if nothing was."""
    return await stored_portrait(limner, user_id)


@router.post("/users/{user_id:id}/profile")
async def profile(user_id: UserId, limner: Writing, as_of: AsOf = None, calls: Calls = None) -> Profile:
    """Draw a portrait, if anything it rests on has changed; else return the one that is stored."""
    return await limner.profile(user_id, as_of=as_of, budget=budget_for(limner, calls))


@router.get("/users/{user_id:id}/versions")
async def versions(user_id: UserId, limner: Reading) -> Versions:
    """Return every version of a portrait, oldest first; none if nothing was drawn."""
    return Versions(versions=tuple(await limner.doors.store.profile_versions(user_id)))


@router.get("/users/{user_id:id}/versions/{version}")
async def version_of(user_id: UserId, version: Version, limner: Reading) -> Profile:
    """Return one version of a portrait."""
    found = await limner.stored_profile(user_id, version=version)
    if found is None:
        raise Problem(
            404, "no_version", "there is no such version of a portrait; `/versions` names those there are"
        )
    return found
