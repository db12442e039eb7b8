"""The HTTP app, in this process: requests made from its own description, and spoilt."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from starlette.types import ASGIApp, Message

from .odd import Odd
from .watched import Feed, ServerFaultError, Target

_IDS = ("ada", "bo", "user-0", "user-1", "i000", "i001", "e1", "g1", "1")
_SLOW = ("delete", "/jobs", "recommendations", "ranking", "group", "/rollouts", "/export", "/pairs", "/card")
_METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "X" * 40)
_TYPES = (
    "application/json",
    "application/json",
    "text/plain",
    "multipart/form-data",
    "application/json; charset=utf-16",
    "",
)
_LEFT = 0.3
"""Seconds after which the client of a stream leaves."""

_BOUNDARY = "b0undary"


class Route(NamedTuple):
    """One thing that can be asked for."""

    method: str
    path: str
    parameters: Sequence[Mapping[str, Any]] = ()
    """As in OpenAPI."""

    body: Mapping[str, Any] | None = None
    """JSON Schema of the body; absent without one."""

    upload: bool = False
    """Whether the body is a file."""


class Site(NamedTuple):
    """An app that runs."""

    app: ASGIApp
    document: Mapping[str, Any]
    """Its OpenAPI document."""

    pages: Sequence[tuple[str, str]]
    """Method and path of what the document leaves out."""


Opened = Callable[[Path], AbstractAsyncContextManager[Site]]


def web_target(opened: Opened) -> Target:
    """Return the target.

    Args:
        opened: Runs the app on a store in a folder.
    """
    return Target(name="the HTTP API", share=4, open=partial(_fed, opened), refusals=())


def routes_of(site: Site) -> list[Route]:
    """Return what can be asked for; what answers at once, several times."""
    routes = [Route(method, path) for method, path in site.pages]
    for path, methods in site.document["paths"].items():
        for method, told in methods.items():
            content = told.get("requestBody", {}).get("content", {})
            kind = next(iter(content), "")
            route = Route(
                method.upper(),
                path,
                told.get("parameters", ()),
                content.get(kind, {}).get("schema"),
                "form" in kind,
            )
            slow = any(word in f"{method}{path}" for word in _SLOW) and method != "get"
            routes += [route] * (1 if slow else 6)
    return routes


@asynccontextmanager
async def _fed(opened: Opened, folder: Path) -> AsyncGenerator[Feed]:
    async with opened(folder) as site:
        routes, known = routes_of(site), site.document.get("components", {}).get("schemas", {})

        async def feed(odd: Odd) -> bool:
            status = await _ask(site.app, *_request(odd, odd.random.choice(routes), known))
            if status >= 500:
                raise ServerFaultError(f"status {status}")
            return status >= 400

        yield feed


def _request(odd: Odd, route: Route, known: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return the scope and the body of a request."""
    draw = odd.random
    path, query, headers = route.path, list[tuple[str, str]](), [("host", "127.0.0.1")]
    for parameter in route.parameters:
        name, where = parameter["name"], parameter["in"]
        if not parameter.get("required") and not odd.chance(0.4):
            continue
        value = _parameter(odd, parameter, known)
        if where == "path":
            path = path.replace(f"{{{name}}}", quote(value, safe="", errors="replace"))
        elif where == "query":
            query += [(name, value)] * draw.choice((1, 1, 1, 2))
        else:
            headers.append((name, value))
    for name in ("user_id", "item_id", "version", "number"):
        path = path.replace(f"{{{name}}}", quote(_id(odd), safe="", errors="replace"))
    kind, body = _body(odd, route, known)
    if kind:
        headers.append(("content-type", kind))
    if odd.chance(0.05):
        headers.append(
            (
                draw.choice(("authorization", "origin", "range", "accept", "x-request-id", "cookie")),
                odd.text(2),
            )
        )
    raw = path.encode("ascii", "replace")
    if odd.chance(0.05):
        raw = odd.damaged(raw).replace(b"\n", b"").replace(b"\r", b"") or b"/"
    asked = urlencode(query, errors="replace").encode()
    return _scope(
        method=draw.choice(_METHODS) if odd.chance(0.02) else route.method,
        path=raw,
        query=odd.damaged(asked) if odd.chance(0.05) else asked,
        headers=[
            (name.encode("latin-1", "replace"), value.encode("utf-8", "replace")) for name, value in headers
        ],
    ), body


def _scope(*, method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    from urllib.parse import unquote

    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "root_path": "",
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


def _id(odd: Odd) -> str:
    return odd.random.choice(_IDS) if odd.chance(0.8) else odd.text(1)[:600] or "x"


def _parameter(odd: Odd, parameter: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if parameter["in"] == "path" and parameter["name"].endswith("_id"):
        return _id(odd)
    value = odd.filled(parameter.get("schema", {}), known) if odd.chance(0.85) else odd.value(1)
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _body(odd: Odd, route: Route, known: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return the kind of a body, and the body."""
    draw = odd.random
    if route.upload:
        return _upload(odd)
    if route.body is None:
        return ("", b"") if odd.chance(0.9) else (draw.choice(_TYPES), odd.text().encode("utf-8", "replace"))
    value = odd.spoilt(_with_ids(odd, odd.filled(route.body, known)), 0.3)
    text = odd.written(value).encode("utf-8", "surrogatepass")
    kind = _TYPES[0] if odd.chance(0.95) else draw.choice(_TYPES)
    return kind, odd.damaged(text) if odd.chance(0.1) else text


def _with_ids(odd: Odd, value: Any) -> Any:
    """Put ids that are in use where ids stand, so that requests meet."""
    if isinstance(value, dict):
        return {
            name: _id(odd) if str(name).endswith("_id") and isinstance(part, str) else _with_ids(odd, part)
            for name, part in value.items()
        }
    return [_with_ids(odd, part) for part in value] if isinstance(value, list) else value


def _upload(odd: Odd) -> tuple[str, bytes]:
    row = odd.written(
        {"user_id": _id(odd), "item_id": _id(odd), "timestamp": odd.moment(), "text": odd.text(2)}
    )
    name = odd.random.choice(("a.jsonl", "a.csv", "../a.json", odd.text(1)[:40].replace('"', "")))
    parts = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n{row}\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="form"\r\n\r\n{odd.word()}\r\n--{_BOUNDARY}--\r\n'
    )
    sent = parts.encode("utf-8", "replace")
    return f"multipart/form-data; boundary={_BOUNDARY}", odd.damaged(sent) if odd.chance(0.3) else sent


async def _ask(app: ASGIApp, scope: dict[str, Any], body: bytes) -> int:
    """Ask the app; return the status of its answer."""
    status, given, answered = 0, False, asyncio.Event()

    async def receive() -> Message:
        nonlocal given
        if given:
            with suppress(TimeoutError):
                await asyncio.wait_for(answered.wait(), _LEFT)
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif not message.get("more_body"):
            answered.set()

    try:
        await app(scope, receive, send)
    except Exception as error:  # the app answers with a fault, then tells its server why
        raise ServerFaultError(f"{type(error).__name__}: {error}").with_traceback(
            error.__traceback__
        ) from error
    return status
