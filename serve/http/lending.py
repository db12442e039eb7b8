"""Dependencies of routes: the caller's open Limner."""

from collections.abc import AsyncGenerator, Callable
from typing import Annotated

from fastapi import Depends, Request

from ...face import Limner
from ...tools.keys import Role
from .gate import Caller, allow
from .rooms import Rooms


def rooms_of(request: Request) -> Rooms:
    """Return the open tenants of the app that got a request."""
    rooms: Rooms = request.app.state.rooms
    return rooms


def lend(role: Role) -> Callable[..., AsyncGenerator[Limner]]:
    """Return a dependency that lends the caller's Limner until the answer is sent, if the role allows it."""

    async def lent(
        request: Request, caller: Annotated[Caller, Depends(allow(role))]
    ) -> AsyncGenerator[Limner]:
        async with rooms_of(request).limner(caller.tenant) as limner:
            yield limner

    return lent


Reading = Annotated[Limner, Depends(lend("read"))]
Writing = Annotated[Limner, Depends(lend("write"))]
Ruling = Annotated[Limner, Depends(lend("admin"))]
