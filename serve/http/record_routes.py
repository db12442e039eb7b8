"""Routes that take in what happened, and give it back: events, items, users, counts."""

from fastapi import APIRouter

from ...errors import UnknownItemError, UnknownUserError
from ...records import Item
from .answers import AddedItems, HistoryPage, ItemsPage, RecordedEvents, StoreCounts, UsersPage
from .asked import AsOf, DrawToo, Events, ItemId, NewItems, UserEvents, UserId
from .lending import Reading, Writing
from .paging import NEWEST, PAGE, Cursor, Limit, Place, cursor_of, id_behind, page_of, place_behind

router = APIRouter(prefix="/v1", tags=["events and items"])


@router.post("/users/{user_id:id}/events")
async def record(user_id: UserId, body: Events, limner: Writing, draw: DrawToo = False) -> RecordedEvents:
    """Keep what a user did. Sent again, an event changes nothing."""
    done = await limner.record(user_id, [event.interaction(user_id) for event in body.events], draw=draw)
    return RecordedEvents(**done._asdict())


@router.post("/events")
async def record_many(body: UserEvents, limner: Writing, draw: DrawToo = False) -> RecordedEvents:
    """Keep what several users did, in one durable write."""
    done = await limner.record_many([event.interaction(event.user_id) for event in body.events], draw=draw)
    return RecordedEvents(**done._asdict())


@router.get("/users/{user_id:id}/events")
async def history(
    user_id: UserId, limner: Reading, as_of: AsOf = None, limit: Limit = PAGE, cursor: Cursor = None
) -> HistoryPage:
    """Return what a user did, newest first, in pages. Events recorded meanwhile move no page."""
    store = limner.doors.store
    if not await store.has_user(user_id):
        raise UnknownUserError(user_id)
    first = Place(as_of, "") if as_of else NEWEST
    before = min(place_behind(cursor) or first, first)
    found = await store.history_page(user_id, before=before, limit=limit + 1)
    page = found[:limit]
    more = cursor_of(page[-1].at.isoformat(), page[-1].event_id) if len(found) > limit else None
    return HistoryPage(events=tuple(page), next_cursor=more)


@router.get("/users")
async def users(limner: Reading, limit: Limit = PAGE, cursor: Cursor = None) -> UsersPage:
    """Return the ids of users, in pages."""
    batches = limner.doors.store.users(after=id_behind(cursor), batch=limit + 1)
    page, more = await page_of(batches, limit, str)
    return UsersPage(users=page, next_cursor=more)


@router.post("/items")
async def add_items(body: NewItems, limner: Writing) -> AddedItems:
    """Insert or replace items of the catalogue, and index them."""
    return AddedItems(changed=await limner.add_items([item.item() for item in body.items]))


@router.get("/items")
async def items(limner: Reading, limit: Limit = PAGE, cursor: Cursor = None) -> ItemsPage:
    """Return the catalogue, in pages."""
    batches = limner.doors.recorded.all_items(limit + 1, after=id_behind(cursor))
    page, more = await page_of(batches, limit, lambda item: item.item_id)
    return ItemsPage(items=page, next_cursor=more)


@router.get("/items/{item_id:id}")
async def item(item_id: ItemId, limner: Reading) -> Item:
    """Return one item."""
    found = (await limner.items([item_id])).get(item_id)
    if found is None:
        raise UnknownItemError(item_id)
    return found


@router.get("/counts")
async def counts(limner: Reading) -> StoreCounts:
    """Return how much the tenant has."""
    return StoreCounts(**(await limner.counts())._asdict())
