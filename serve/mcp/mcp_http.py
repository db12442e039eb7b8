"""The MCP server over streamable HTTP: for assistants on other machines, or several at once."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ...errors import InputError
from ...settings import Settings
from ..http.gate import Caller, Gate, Role, open_gate
from ..http.problems import Problem
from ..http.rooms import Rooms
from ..http.serving import answer, listen, url_of
from .mcp_server import Asked, build_server

if TYPE_CHECKING:
    from ...face import Limner

DEFAULT_PORT = 8322
PATH = "/mcp"
_CALLER = "limner.caller"
_UNUSED = "unused"


class RoleError(InputError):
    """A key allows less than a tool needs."""

    code = "role"

    def __init__(self, needed: str, held: str) -> None:
        self.needed, self.held = needed, held
        super().__init__(needed, held)

    def __str__(self) -> str:
        return f"this takes a key with the role {self.needed!r}; the key of this connection has {self.held!r}"


class Porter:
    """Lets requests through to the app behind it that come under a right name and with a valid key.

    A connection belongs to the key it was opened with: the SDK refuses a session to every other, and each message
    is answered for the tenant of the key that came with it.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "http":
            refusal = await self._admit(scope)
            if refusal is not None:
                return await refusal(scope, receive, send)
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> Response | None:
        """Note who asks; return what to say to somebody who may not."""
        headers = Headers(scope=scope)
        reason = self._gate.refuses_host(headers.get("host", ""), headers.get("origin"))
        if reason is not None:
            return _refuse(403, "host", reason)
        try:
            caller = await self._gate.identify(headers.get("authorization"))
        except Problem as problem:
            return _refuse(problem.status, problem.code, problem.detail, problem.headers)
        scope[_CALLER] = caller
        if caller.key_id is not None:
            token = AccessToken(token=_UNUSED, client_id=caller.key_id, scopes=[], subject=caller.tenant)
            scope["user"] = AuthenticatedUser(token)
        return None


def _refuse(status: int, code: str, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"code": code, "message": reason}}, status, headers)


def mcp_app(settings: Settings, *, rooms: Rooms | None = None) -> Starlette:
    """Return the app that serves MCP at `/mcp`; it opens what it needs when it starts and closes it when it stops.

    Args:
        settings: What is configured.
        rooms: Tenants that are open already, which stay the caller's to close; absent to open them.

    Raises:
        SettingsError: From the app's start: it could be reached from other machines, and there is no key.
    """
    opened: list[Rooms] = []

    @asynccontextmanager
    async def desk(asked: Asked, role: Role) -> AsyncGenerator["Limner"]:
        assert asked.request is not None, "HTTP always has one"
        caller: Caller = asked.request.scope[_CALLER]
        if not caller.may(role):
            raise RoleError(role, caller.role)
        async with opened[0].limner(caller.tenant) as limner:
            yield limner

    server = build_server(desk, frank=False)
    # The porter has looked at names and origins before, and knows which are configured.
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    inner = server.streamable_http_app(
        streamable_http_path=PATH, transport_security=unchecked, max_request_body_size=settings.serve.max_body
    )

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncGenerator[None]:
        async with _opened(settings, rooms) as own:
            opened.append(own)
            app.mount("/", Porter(inner, await open_gate(settings, own)))
            async with inner.router.lifespan_context(inner):
                yield

    return Starlette(lifespan=running)


@asynccontextmanager
async def _opened(settings: Settings, rooms: Rooms | None) -> AsyncGenerator[Rooms]:
    if rooms is not None:
        yield rooms
        return
    async with Rooms(settings) as own:
        yield own


async def serve_http(
    settings: Settings, *, host: str | None, port: int | None, notice: Callable[[str], None]
) -> None:
    """Serve until interrupted.

    Args:
        settings: What is configured.
        host: Address in place of `serve.host`.
        port: Port, 0 for any.
        notice: Called with lines for whoever started it.

    Raises:
        SettingsError: It could be reached from other machines and there is no key, or the port is taken.
    """
    changed = {"port": DEFAULT_PORT if port is None else port, **({"host": host} if host else {})}
    serving = settings.model_copy(update={"serve": settings.serve.model_copy(update=changed)})
    async with Rooms(serving) as rooms:
        gate = await open_gate(serving, rooms)
        taken = listen(serving.serve.host, serving.serve.port)
        url = url_of(taken) + PATH
        notice(f"Limner speaks MCP at {url}. Configure your assistant with")
        notice(json.dumps(http_entry(url, keyed=not gate.open_to_all), indent=2))
        await answer(mcp_app(serving, rooms=rooms), serving, taken)


def http_entry(url: str, *, keyed: bool) -> dict[str, Any]:
    """Return what a client's configuration needs to reach this server."""
    entry: dict[str, Any] = {"type": "http", "url": url}
    if keyed:
        entry["headers"] = {"Authorization": "Bearer YOUR_KEY"}
    return {"mcpServers": {"limner": entry}}
