"""The gallery's addresses: what changes something. Each takes a token of our own form, and says what it did."""

from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import Response

from ...receipts import Receipt
from .correct_view import correct_view
from .entrance import Id, PageRoute, Visit, Visiting, require_change
from .forget_view import forget_event_view, forget_item_view, forget_view
from .forms import correct_page, forget_page, forget_part_page
from .pages import link_to, move
from .portrait_view import head_of
from .roles import FORGET_PART_ROLE, FORGET_USER_ROLE, WRITE_ROLE
from .version_view import version_view

changes = APIRouter(route_class=PageRoute, include_in_schema=False)

Token = Annotated[str, Form(max_length=200)]
Line = Annotated[str, Form(max_length=500)]

_MISTYPED = "What was typed is not this user's id; nothing was changed."
_UNSURE = "Tick the box to confirm; nothing was changed."


@changes.post("/draw")
async def draw(visit: Visiting, id: Id, token: Token) -> Response:
    """Draw a portrait."""
    require_change(visit, WRITE_ROLE, token)
    await visit.limner.profile(id)
    return move(visit.request, "user", id=id)


@changes.post("/pair")
async def draw_pair(visit: Visiting, id: Id, item: Id, token: Token) -> Response:
    """Draw a pair."""
    require_change(visit, WRITE_ROLE, token)
    await visit.limner.pair(id, item)
    return move(visit.request, "pair", id=id, item=item)


@changes.post("/correct")
async def correct(
    visit: Visiting,
    id: Id,
    version: Annotated[int, Query()],
    claim: Annotated[int, Query()],
    token: Token,
    how: Line = "remove",
    words: Line = "",
    reason: Line = "",
    sure: Line = "",
) -> Response:
    """Publish a correction, and show what it changed."""
    require_change(visit, WRITE_ROLE, token)
    view = await correct_view(visit.limner, id, claim=claim, version=version)
    words, reason = words.strip(), reason.strip()
    wrong = "" if sure else _UNSURE
    if how == "replace" and not words:
        wrong = "Write the sentence that is right, or choose to leave the claim out; nothing was changed."
    if wrong:
        return correct_page(visit, view, wrong=wrong, how=how, words=words, reason=reason)
    replacing = how == "replace"
    after = await visit.limner.correct(
        id, view.text, remove=not replacing, replace=words if replacing else None, reason=reason
    )
    return await _corrected(visit, id, version, after.version)


async def _corrected(visit: Visit, user_id: str, old: int, new: int) -> Response:
    head = await head_of(visit.limner, user_id)
    change = (await version_view(visit.limner, user_id, old=old, new=new)).difference if new != old else None
    return visit.page("corrected", head=head, change=change, tab="user", heading="Corrected")


@changes.post("/forget-item")
async def forget_item(visit: Visiting, id: Id, item: Id, token: Token, sure: Line = "") -> Response:
    """Forget what a user did with an item, and show the receipt."""
    require_change(visit, FORGET_PART_ROLE, token)
    view = await forget_item_view(visit.limner, id, item)
    if not sure:
        return forget_part_page(visit, view, wrong=_UNSURE)
    receipt = await visit.limner.forget(id, item_id=item)
    return await _receipt(visit, id, receipt, "The item is forgotten")


@changes.post("/forget-event")
async def forget_event(visit: Visiting, id: Id, event: Id, token: Token, sure: Line = "") -> Response:
    """Forget one thing that a user did, and show the receipt."""
    require_change(visit, FORGET_PART_ROLE, token)
    view = await forget_event_view(visit.limner, id, event)
    if not sure:
        return forget_part_page(visit, view, wrong=_UNSURE)
    receipt = await visit.limner.forget(id, event_id=event)
    return await _receipt(visit, id, receipt, "The event is forgotten")


async def _receipt(visit: Visit, user_id: str, receipt: Receipt, heading: str) -> Response:
    left = await visit.limner.doors.store.has_user(user_id)
    root: str = visit.request.scope.get("root_path", "")
    return visit.page(
        "receipt",
        heading=heading,
        receipt=receipt,
        back=link_to(root, "user", id=user_id) if left else link_to(root),
        back_name="Back to the user" if left else "Back to the gallery",
    )


@changes.post("/forget-user")
async def forget_user(
    visit: Visiting, id: Id, token: Token, typed: Annotated[str, Form(max_length=600)] = ""
) -> Response:
    """Forget a user, and show the receipt."""
    require_change(visit, FORGET_USER_ROLE, token)
    if typed.split() != id.split():
        return forget_page(visit, await forget_view(visit.limner, id), wrong=_MISTYPED)
    return await _receipt(visit, id, await visit.limner.forget(id), "The user is forgotten")
