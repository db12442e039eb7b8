"""What surrounds every request: an id, the names it may come in under, headers, numbers, and a last resort."""

import json
import logging
import secrets
import time
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...tools.tracing import request_span
from .gate import Gate
from .metrics import Metrics
from .problems import Problem, response_of

_log = logging.getLogger("limner.serve")
_access = logging.getLogger("limner.access")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Set unless the answer brings its own."""

GALLERY = "/gallery"
"""Where the page lies."""

_ENCODED = b"/v1/"
"""Below it ids may hold any character, also a slash, so the path stays percent-encoded until a route matched."""


class Frame:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, sent = time.perf_counter(), _Sent(scope, send)
        raw: bytes = scope.get("raw_path") or b""
        if raw.startswith(_ENCODED):
            scope["path"] = raw.decode("latin-1")
        with request_span(scope["method"], Headers(scope=scope)) as span:
            try:
                await self._answer(scope, receive, sent)
            finally:
                route = route_of(scope)
                seconds = time.perf_counter() - started
                metrics: Metrics = scope["app"].state.rooms.metrics
                metrics.answered(scope["method"], route, sent.status, seconds)
                span.finish(route, sent.status)
                _access.info(
                    json.dumps(
                        {
                            "request_id": sent.request_id,
                            "method": scope["method"],
                            "route": route,
                            "status": sent.status,
                            "seconds": round(seconds, 4),
                        }
                    )
                )
        return None

    async def _answer(self, scope: Scope, receive: Receive, sent: "_Sent") -> None:
        headers = Headers(scope=scope)
        gate: Gate = scope["app"].state.gate
        refusal = gate.refuses_host(headers.get("host", ""), headers.get("origin"))
        if refusal:
            return await response_of(Problem(403, "host", refusal), sent.request_id)(scope, receive, sent)
        try:
            await self._app(scope, receive, sent)
        except Exception:
            _log.exception("request %s failed", sent.request_id)
            if sent.status is not None:
                raise  # the answer has begun; all that is left is to break the connection
            problem = Problem(500, "internal", "this should not happen; the server's log says more")
            await response_of(problem, sent.request_id)(scope, receive, sent)


class _Sent:
    """The way back to the client: adds headers, and remembers the status."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        self.request_id = secrets.token_hex(8)
        Request(scope).state.request_id = self.request_id

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.request_id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def route_of(scope: Scope) -> str:
    """Return the template of the route that matched, which names no user; `none` if none did."""
    route: Any = scope.get("route")
    template: str = getattr(route, "path_format", None) or getattr(route, "path", None) or ""
    if scope["path"].startswith(GALLERY) and not template.startswith(GALLERY):
        return f"{GALLERY}{template}"  # a route does not know what it is included under
    return template or "none"
