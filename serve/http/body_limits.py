"""Limits on what a request may bring: bytes, and levels of JSON."""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...sections import ServeSettings
from .problems import Problem

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_OPENING = (b"[", b"{")


class BodyLimits:
    """ASGI middleware that refuses bodies which are too large or too deep before anything parses them.

    A body of JSON is read whole; an upload streams through and is cut off where it passes its limit.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the body of one request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        upload = headers.get("content-type", "").lower().startswith("multipart/form-data")
        most = self._settings.max_upload if upload else self._settings.max_body
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > most:
            raise _too_large(most)
        limited = _counted(receive, most)
        if upload:
            return await self._app(scope, limited, send)
        body = await _whole(limited)
        if body is None:
            return None  # the client left
        if depth_of(body, self._settings.max_depth) > self._settings.max_depth:
            raise Problem(
                422,
                "too_deep",
                f"lists and objects may lie {self._settings.max_depth} deep; this lies deeper",
            )
        await self._app(scope, _again(body, receive), send)
        return None


def depth_of(body: bytes, enough: int) -> int:
    r"""Return how deep lists and objects lie in a text of JSON, valid or not, counting no further than past `enough`.

    Examples:
        >>> depth_of(b'{"a": [1, {"b": "[[["}]}', 9)
        3
        >>> depth_of(b"[" * 100, 9), depth_of(b'"\\"[[[', 9), depth_of(b"7", 9)
        (10, 0, 0)
    """
    depth = deepest = 0
    for token in _TOKENS.finditer(body):
        sign = token[0]
        if sign in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
            if depth > enough:
                break
        elif sign in (b"]", b"}"):
            depth -= 1
    return deepest


def _counted(receive: Receive, most: int) -> Receive:
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise _too_large(most)
        return message

    return counted


async def _whole(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand out a body that was read already, then whatever comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large(most: int) -> Problem:
    return Problem(413, "too_large", f"a body may have {most:,} bytes", headers={"Connection": "close"})
