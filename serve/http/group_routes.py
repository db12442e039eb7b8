"""Routes of groups: a user's own, all of them, and who is in one."""

from fastapi import APIRouter

from ...communities import Community, Group
from .answers import UsersPage
from .asked import AsOf, GroupId, UserId
from .lending import Reading, Ruling
from .paging import PAGE, Cursor, Limit, id_behind, page_of

router = APIRouter(prefix="/v1", tags=["groups"])


@router.get("/users/{user_id:id}/group")
async def group(user_id: UserId, limner: Reading, as_of: AsOf = None) -> Group:
    """Return the group a user belongs to most, what it shares, and what of it is news to the user."""
    return await limner.group(user_id, as_of=as_of)


@router.get("/groups")
async def groups(limner: Reading, as_of: AsOf = None) -> list[Community]:
    """Return the groups of the newest refresh, largest first."""
    return [community async for community in limner.groups(as_of=as_of)]


@router.get("/groups/{group_id:id}/members")
async def members(group_id: GroupId, limner: Ruling, limit: Limit = PAGE, cursor: Cursor = None) -> UsersPage:
    """Return who belongs to a group most, in pages. Never to be shown to users."""
    batches = limner.doors.store.group_members(group_id, limit + 1, after=id_behind(cursor))
    page, more = await page_of(batches, limit, str)
    return UsersPage(users=page, next_cursor=more)
