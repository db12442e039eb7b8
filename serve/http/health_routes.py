"""Routes for whoever runs the server: alive, ready, numbers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from ...errors import LimnerError
from ...records import Record
from ...settings import EMBEDDED, Settings
from .gate import Caller, allow
from .lending import rooms_of
from .rooms import Rooms

router = APIRouter(tags=["operation"])

KEPT = 5.0
"""Seconds for which one look at what is needed serves everybody who asks."""

PATIENCE = 3.0
"""Seconds that one look may take."""


class Alive(Record):
    """The process answers."""

    status: Literal["ok"] = "ok"
    """Always."""


class Ready(Record):
    """Whether requests can be answered."""

    ready: bool
    """Whether all that is needed can be used."""

    checks: dict[str, bool]
    """`store`, `index` and `model`; an unpaid look at each. The server's log says what is wrong with one."""


@router.get("/livez")
async def livez() -> Alive:
    """Say that the process answers."""
    return Alive()


@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
async def readyz(request: Request) -> Response:
    """Say whether store, index and model can be used. No model call is paid for."""
    look: Readiness = request.app.state.readiness
    found = await look.now()
    return JSONResponse(found.model_dump(), 200 if found.ready else 503)


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, caller: Annotated[Caller, Depends(allow("admin"))]) -> Response:
    """Return this process's numbers in Prometheus' text form; they name no tenant and no user."""
    return Response(rooms_of(request).metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")


class Readiness:
    """Looks at what requests need, now and then."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._turn = asyncio.Lock()
        self._last: tuple[float, Ready] | None = None

    async def now(self) -> Ready:
        """Return what was found, at most a few seconds ago."""
        async with self._turn:
            if self._last is None or time.monotonic() - self._last[0] > KEPT:
                self._last = time.monotonic(), await self._look()
            return self._last[1]

    async def _look(self) -> Ready:
        looks: dict[str, Callable[[], Awaitable[bool]]] = {
            "store": self._store,
            "index": self._index,
            "model": self._model,
        }
        found = await asyncio.gather(*(_works(look) for look in looks.values()))
        checks = dict(zip(looks, found, strict=True))
        return Ready(ready=all(found), checks=checks)

    async def _store(self) -> bool:
        await self._rooms.shared.store.has_user("")
        return True

    async def _index(self) -> bool:
        async with self._rooms.limner(self._rooms.settings.tenant) as limner:
            await limner.doors.catalogue.vectors([])
        return True

    async def _model(self) -> bool:
        return self._rooms.brings_model or await model_answers(self._rooms.settings)


async def model_answers(settings: Settings) -> bool:
    """Whether the model can be reached, as far as that shows without a call that costs something.

    Of an embedded model the weights are looked for, a server is asked for its models, of a hosted one nothing is
    asked.
    """
    import httpx

    if settings.model.startswith(EMBEDDED):
        from ...tools.profilers import base_of
        from ...tools.weights import weights_path

        name = base_of(settings.model.removeprefix(EMBEDDED), settings.models_dir)
        return weights_path(name, settings.models_dir).exists()
    if settings.chat.api_base is None:
        return True
    key = settings.chat.api_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        answer = await client.get(f"{settings.chat.api_base.rstrip('/')}/models", headers=headers)
    return answer.status_code < 500


async def _works(look: Callable[[], Awaitable[bool]]) -> bool:
    import httpx

    try:
        async with asyncio.timeout(PATIENCE):
            return await look()
    except (LimnerError, TimeoutError, httpx.HTTPError, OSError):
        return False
