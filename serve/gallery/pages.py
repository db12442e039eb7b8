"""How a page of the gallery leaves the server: rendered, encoded, and with headers that let nothing else in."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from jinja2 import Environment

from ...records import LONGEST_ID
from ..templates import encode_page, open_templates
from .session import COOKIE, HOURS, Session

FOLDER = Path(__file__).parent
ASSETS: Mapping[str, str] = {
    "gallery.css": "text/css; charset=utf-8",
    "gallery.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
}
"""Files that pages load, with their media types."""

BASE = "/gallery"

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",  # with `no-referrer` browsers hide the origin of our own forms too
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""What every page carries."""


def link_to(root: str, path: str = "", **words: object) -> str:
    """Return the address of a page; ids travel as parameters, so that they may hold any character.

    Examples:
        >>> link_to("", "user", id="a/b?&é")
        '/gallery/user?id=a%2Fb%3F%26%C3%A9'
    """
    query = urlencode(
        {name: word for name, word in words.items() if word not in ("", None)}, errors="replace"
    )
    address = f"{root}{BASE}/{quote(path)}" if path else f"{root}{BASE}"
    return f"{address}?{query}" if query else address


def show(
    request: Request, name: str, session: Session | None, *, status: int = 200, **values: Any
) -> Response:
    """Answer with a page.

    Args:
        request: What is answered.
        name: The template, without its endings.
        session: Who looks; absent before the sign-in.
        status: HTTP status.
        values: What the template needs.
    """
    root: str = request.scope.get("root_path", "")

    def link(path: str = "", **words: object) -> str:
        return link_to(root, path, **words)

    def asset(file: str) -> str:
        return link_to(root, f"static/{file}", v=fingerprint_of(file))

    template = _templates().get_template(f"{name}.html.jinja")
    page = template.render(session=session, link=link, asset=asset, longest_id=LONGEST_ID, **values)
    answer = Response(encode_page(page), status, HEADERS, "text/html; charset=utf-8")
    if session is not None and session.fresh:
        keep_session(request, answer, session)
    return answer


def move(request: Request, path: str = "", **words: object) -> Response:
    """Answer with another page to go to."""
    return RedirectResponse(link_to(request.scope.get("root_path", ""), path, **words), 303, HEADERS)


def keep_session(request: Request, answer: Response, session: Session) -> None:
    """Have the browser keep a session."""
    answer.set_cookie(
        COOKIE,
        session.cookie,
        max_age=HOURS * 3600,
        path=f"{request.scope.get('root_path', '')}{BASE}",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def end_session(request: Request, answer: Response) -> None:
    """Have the browser drop its session."""
    answer.delete_cookie(COOKIE, path=f"{request.scope.get('root_path', '')}{BASE}")


@cache
def asset_bytes(name: str) -> bytes:
    """Return a file that pages load."""
    return (FOLDER / name).read_bytes()


@cache
def fingerprint_of(name: str) -> str:
    """Return a hash of a file, so that browsers may keep it for good."""
    return hashlib.sha256(asset_bytes(name)).hexdigest()[:12]


@cache
def _templates() -> Environment:
    return open_templates(FOLDER)
