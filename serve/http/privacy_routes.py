"""Routes by which people take back or put right what is known: forget, correct, export."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from ...models import Profile
from ...receipts import Receipt
from ...records import Moment
from .answers import FinishedForgets
from .asked import Correction, EventId, ItemId, UserId
from .gate import Caller, allow
from .lending import Reading, Ruling, Writing
from .lines import described, in_lines
from .problems import Problem

router = APIRouter(prefix="/v1", tags=["privacy"])

Held = tuple[str, dict[str, Any]]
"""Name of a table, and one of its rows."""

DryRun = Annotated[bool, Query(description="Only say what would be removed.")]
Scrub = Annotated[
    bool,
    Query(
        description="Whether to rewrite the files too, which takes as long as copying them; else the next one does."
    ),
]


@router.delete("/users/{user_id:id}")
async def forget_user(
    user_id: UserId, limner: Ruling, dry_run: DryRun = False, scrub: Scrub = True
) -> Receipt:
    """Forget a user everywhere; the receipt says what that removed, place by place."""
    return await limner.forget(user_id, dry_run=dry_run, scrub=scrub)


@router.delete("/users/{user_id:id}/items/{item_id:id}")
async def forget_user_item(
    user_id: UserId, item_id: ItemId, limner: Writing, dry_run: DryRun = False, scrub: Scrub = True
) -> Receipt:
    """Forget what a user did with one item."""
    return await limner.forget(user_id, item_id=item_id, dry_run=dry_run, scrub=scrub)


@router.delete("/users/{user_id:id}/events/{event_id:id}")
async def forget_event(
    user_id: UserId, event_id: EventId, limner: Writing, dry_run: DryRun = False, scrub: Scrub = True
) -> Receipt:
    """Forget one thing that a user did."""
    return await limner.forget(user_id, event_id=event_id, dry_run=dry_run, scrub=scrub)


@router.delete("/items/{item_id:id}")
async def forget_item(
    item_id: ItemId, limner: Ruling, dry_run: DryRun = False, scrub: Scrub = True
) -> Receipt:
    """Forget an item, and everything that anybody did with it."""
    return await limner.forget_item(item_id, dry_run=dry_run, scrub=scrub)


@router.delete("/events")
async def forget_older(
    limner: Ruling,
    before: Annotated[
        Moment, Query(description="Everything before it goes; ISO 8601.", examples=["2020-01-01T00:00:00Z"])
    ],
    dry_run: DryRun = False,
    scrub: Scrub = True,
) -> Receipt:
    """Forget everything that happened before a moment."""
    return await limner.forget_older(before, dry_run=dry_run, scrub=scrub)


@router.delete("/tenant")
async def forget_tenant(
    limner: Ruling,
    caller: Annotated[Caller, Depends(allow("admin"))],
    confirm: Annotated[str, Query(max_length=40, description="The tenant's own name.", examples=["shop"])],
    dry_run: DryRun = False,
    scrub: Scrub = True,
) -> Receipt:
    """Forget everything of this tenant but its keys."""
    if confirm != caller.tenant:
        raise Problem(422, "confirm", "`confirm` must be the name of this key's tenant")
    return await limner.forget_tenant(dry_run=dry_run, scrub=scrub)


@router.post("/users/{user_id:id}/corrections")
async def correct(user_id: UserId, body: Correction, limner: Writing) -> Profile:
    """Take a claim out of a portrait or replace it; returns the new version, which later drawings respect."""
    return await limner.correct(
        user_id, body.claim, remove=body.remove, replace=body.replace, reason=body.reason
    )


@router.get(
    "/users/{user_id:id}/export",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/json": {"schema": {"type": "object"}}},
            "description": "Table name to rows.",
        }
    },
)
async def export_user(user_id: UserId, limner: Reading) -> StreamingResponse:
    """Stream everything that is kept about a user, as one object."""
    rows = limner.stream_user(user_id)
    first = await anext(rows)  # raises if nothing is kept, while there can still be another status
    head = {"user_id": user_id, "tenant": limner.settings.tenant, "at": limner.now().isoformat()}
    return StreamingResponse(_as_object(head, first, rows), media_type="application/json")


async def _as_object(
    head: Mapping[str, str], first: Held, rest: AsyncIterator[Held]
) -> AsyncGenerator[bytes]:
    """Spell rows out as one object of lists; those of a table come together."""
    place, row = first
    yield f"{json.dumps(head)[:-1]}, {json.dumps(place)}: [\n{json.dumps(row)}".encode()
    async for table, row in rest:
        between = ",\n" if table == place else f"\n], {json.dumps(table)}: [\n"
        place = table
        yield f"{between}{json.dumps(row)}".encode()
    yield b"\n]}"


@router.post("/forgets/resume")
async def resume_forgets(limner: Ruling) -> FinishedForgets:
    """Finish forgets that were interrupted, or whose files are not rewritten."""
    return FinishedForgets(finished=await limner.resume_forgets())


@router.get("/rollouts", response_class=StreamingResponse, responses=described("One draft"))
async def rollouts(request: Request, limner: Ruling) -> StreamingResponse:
    """Stream the log of all drafts of the tenant, one JSON object a line, oldest first."""
    return await in_lines(request, (rollout.model_dump_json() async for rollout in limner.rollouts()))
