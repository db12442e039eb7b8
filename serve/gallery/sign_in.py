"""The gallery's addresses: signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from .entrance import PageRoute, Visiting
from .pages import BASE, HEADERS, end_session, keep_session, move, show
from .session import HOURS, require_own_form, require_same_origin, session_of, sign_in

sign_in_routes = APIRouter(route_class=PageRoute, include_in_schema=False)

_WRONG = "This key opens nothing. It may be mistyped or revoked."


@sign_in_routes.get("/login")
async def door(request: Request, next: str = "") -> Response:
    """Ask for a key, unless somebody is signed in."""
    if await session_of(request):
        return move(request)
    return show(request, "login", None, wrong="", next=next, hours=HOURS)


@sign_in_routes.post("/login")
async def enter(
    request: Request, key: Annotated[str, Form(max_length=200)], next: Annotated[str, Form()] = ""
) -> Response:
    """Turn a key into a session."""
    require_same_origin(request)
    session = await sign_in(request, key)
    if session is None:
        return show(request, "login", None, status=401, wrong=_WRONG, next=next, hours=HOURS)
    root = request.scope.get("root_path", "")
    inside = next.startswith(f"{root}{BASE}") and next[len(root + BASE) :][:1] in ("", "?", "/")
    answer = RedirectResponse(next if inside else f"{root}{BASE}", 303, HEADERS)
    keep_session(request, answer, session)
    return answer


@sign_in_routes.post("/logout")
async def leave(request: Request, visit: Visiting, token: Annotated[str, Form()]) -> Response:
    """End the session of this browser."""
    require_own_form(request, visit.session, token)
    answer = move(request, "login")
    end_session(request, answer)
    return answer
