"""No key, no entry: callers are told before anything of what they send is read."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from .gate import Gate
from .problems import Problem, response_of

GUARDED = ("/v1/",)
"""Where every route needs a key, also one that forgets to ask for it."""


class Keyed:
    """ASGI middleware that finds out who asks, and answers for the limits behind it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        state = Request(scope).state
        try:
            if scope["path"].startswith(GUARDED):
                gate: Gate = scope["app"].state.gate
                state.caller = await gate.identify(Headers(scope=scope).get("authorization"))
            await self._app(scope, receive, send)
        except Problem as problem:
            await response_of(problem, getattr(state, "request_id", None))(scope, receive, send)
        return None
