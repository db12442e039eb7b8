"""The gallery's addresses: what is looked at."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from ...records import LONGEST_ID
from ..http.asked import NO_NUL
from ..http.problems import Problem
from .changes import changes
from .correct_view import correct_view
from .entrance import Id, PageRoute, Visiting
from .forget_view import forget_event_view, forget_item_view, forget_view
from .forms import correct_page, forget_page, forget_part_page
from .group_view import group_view
from .map_view import map_view
from .pages import ASSETS, HEADERS, asset_bytes
from .pair_view import pair_view
from .people_view import find_people
from .portrait_view import portrait_cost, portrait_view
from .reward_view import reward_view
from .roles import FORGET_PART_ROLE
from .sign_in import sign_in_routes
from .version_view import version_view

router = APIRouter(route_class=PageRoute, include_in_schema=False)
"""Everything below `/gallery`."""

Words = Annotated[str, Query(max_length=LONGEST_ID, pattern=NO_NUL)]
"""Words to look for, or an id that may be left out."""

Place = Annotated[str, Query(max_length=2_000)]

KINDS = {
    "had": "had",
    "recommended": "recommended, place",
    "like": "a like",
    "dislike": "a dislike",
    "whole": "the portrait",
}
"""Marks of the map in words."""


@router.get("")
@router.get("/")
async def people(visit: Visiting, q: Words = "", after: Words = "") -> Response:
    """Find users."""
    return visit.page("people", view=await find_people(visit.limner, prefix=q.strip(), after=after))


@router.get("/user")
async def portrait(visit: Visiting, id: Id) -> Response:
    """Show the newest portrait with its evidence."""
    view = await portrait_view(visit.limner, id)
    cost = "" if view.head.profile else await portrait_cost(visit.limner, id)
    return visit.page(
        "portrait",
        view=view,
        head=view.head,
        cost=cost,
        tab="user",
        heading="Portrait",
        part_role=FORGET_PART_ROLE,
    )


@router.get("/rewards")
async def rewards(visit: Visiting, id: Id) -> Response:
    """Show how reward rose over drafts and revisions."""
    view = await reward_view(visit.limner, id)
    return visit.page("rewards", view=view, head=view.head, tab="rewards", heading="Rewards")


@router.get("/map")
async def catalogue_map(visit: Visiting, id: Id) -> Response:
    """Show the catalogue with the user in it."""
    view = await map_view(visit.limner, id)
    return visit.page("map", view=view, head=view.head, tab="map", heading="Map", kinds=KINDS)


@router.get("/group")
async def group(visit: Visiting, id: Id) -> Response:
    """Show the user's group and what it adds."""
    view = await group_view(visit.limner, id)
    return visit.page("group", view=view, head=view.head, tab="group", heading="Group")


@router.get("/pair")
async def pair(visit: Visiting, id: Id, item: Words = "", q: Words = "") -> Response:
    """Choose an item, or show it with the user."""
    view = await pair_view(visit.limner, id, item_id=item, query=q.strip())
    return visit.page("pair", view=view, head=view.head, tab="pair", heading="Pairs")


@router.get("/versions")
async def versions(visit: Visiting, id: Id, old: int | None = None, new: int | None = None) -> Response:
    """Show all versions and what changed between two."""
    view = await version_view(visit.limner, id, old=old, new=new)
    return visit.page("versions", view=view, head=view.head, tab="versions", heading="Versions")


@router.get("/correct")
async def correct(visit: Visiting, id: Id, claim: int, version: int) -> Response:
    """Show a claim about to be corrected."""
    return correct_page(visit, await correct_view(visit.limner, id, claim=claim, version=version))


@router.get("/forget")
async def forget(
    visit: Visiting, id: Id, item: Words = "", event: Words = "", before: Place = ""
) -> Response:
    """Show what can be forgotten, or one item or interaction about to be."""
    if item:
        return forget_part_page(visit, await forget_item_view(visit.limner, id, item))
    if event:
        return forget_part_page(visit, await forget_event_view(visit.limner, id, event))
    return forget_page(visit, await forget_view(visit.limner, id, before=before))


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """Send a file that pages load."""
    if name not in ASSETS:
        raise Problem(404, "not_found", "There is no such file.")
    kept = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(asset_bytes(name), headers=kept, media_type=ASSETS[name])


router.include_router(sign_in_routes)
router.include_router(changes)


@router.get("/{rest:path}")
async def nothing(rest: str) -> Response:
    """Say on a page that there is none."""
    raise Problem(404, "not_found", "There is no such page.")
