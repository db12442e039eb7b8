"""What every page of the gallery goes through: the sign-in, the tenant's Limner, and errors as pages."""

import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute

from ...errors import LimnerError
from ...face import Limner
from ...records import LONGEST_ID
from ..http.asked import NO_NUL
from ..http.gate import Role, gate_of
from ..http.problems import Problem, problem_of
from ..http.rooms import Rooms
from .pages import link_to, move, show
from .session import Session, require_own_form, session_of

_log = logging.getLogger("limner.serve")

Id = Annotated[str, Query(min_length=1, max_length=LONGEST_ID, pattern=NO_NUL)]
"""An id: in the address and not in a form, where browsers change how lines end."""

_HEADINGS = {
    402: "The budget is spent",
    403: "Not allowed",
    404: "Not found",
    409: "Not yet",
    422: "That cannot be",
    429: "Too fast",
    503: "Not at the moment",
}


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Somebody who looks, and at what."""

    request: Request
    session: Session
    limner: Limner

    def page(self, name: str, *, status: int = 200, **values: Any) -> Response:
        """Answer with a page."""
        return show(self.request, name, self.session, status=status, **values)


class NoSessionError(Exception):
    """Nobody is signed in."""


class PageRoute(APIRoute):
    """A route whose errors are pages, and that leads to the sign-in where nobody is signed in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except NoSessionError:
                wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return move(request, "login", next=wanted if request.method == "GET" else "")
            except Problem as problem:
                return await _sorry(request, problem)
            except LimnerError as error:
                told = problem_of(error)
                if told.status >= 500:  # the page names only the kind of it
                    _log.error("request %s: %s: %s", request.state.request_id, error.code, error)
                return await _sorry(request, told)
            except RequestValidationError:
                detail = "Part of the address or the form is missing or malformed."
                return await _sorry(request, Problem(422, "invalid", detail))

        return answer


async def _sorry(request: Request, problem: Problem) -> Response:
    answer = show(
        request,
        "message",
        await session_of(request),
        status=problem.status,
        heading=_HEADINGS.get(problem.status, "Something went wrong"),
        message=problem.detail,
        back=link_to(request.scope.get("root_path", "")),
        back_name="Back to the gallery",
    )
    answer.headers.update({name: value for name, value in problem.headers.items() if name == "Retry-After"})
    return answer


async def visit(request: Request) -> AsyncGenerator[Visit]:
    """Let somebody in who may read.

    Raises:
        NoSessionError: Nobody is signed in.
        Problem: 429, the caller asks too often.
    """
    session = await session_of(request)
    if session is None:
        raise NoSessionError
    request.state.caller = session.caller
    gate_of(request).admit(session.caller)
    rooms: Rooms = request.app.state.rooms
    async with rooms.limner(session.caller.tenant) as limner:
        yield Visit(request=request, session=session, limner=limner)


Visiting = Annotated[Visit, Depends(visit)]


def require_change(visit: Visit, role: Role, token: str) -> None:
    """Refuse a change that the caller may not make, or that no page of ours asked for.

    Raises:
        Problem: 403.
    """
    require_own_form(visit.request, visit.session, token)
    if not visit.session.caller.may(role):
        raise Problem(403, "role", f"This takes a key with the role {role!r}.")
