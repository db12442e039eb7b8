"""Who looks at the gallery: a key typed once becomes a signed cookie, and every form carries a token of it."""

import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request

from ..http.gate import Caller, Gate, caller_of, gate_of
from ..http.problems import Problem
from ..http.rooms import Rooms

COOKIE = "limner_session"
HOURS = 12
"""How long a sign-in lasts."""

_NONCE_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Session:
    """Somebody who may look."""

    caller: Caller
    token: str
    """What every form must send back; another site cannot know it."""

    cookie: str
    """What the browser keeps."""

    fresh: bool = False
    """Whether the browser is still to be given the cookie."""


async def session_of(request: Request) -> Session | None:
    """Return who looks; `None` if nobody is signed in.

    A server without keys lets everybody in, and gives each browser a cookie for its forms.
    """
    gate, cookie = gate_of(request), request.cookies.get(COOKIE, "")
    if gate.open_to_all:
        caller = await gate.caller(None)
        assert caller is not None, "an open gate lets everybody in"
        fresh = not cookie.startswith("open.")
        cookie = f"open.{secrets.token_urlsafe(_NONCE_BYTES)}" if fresh else cookie
        return Session(caller=caller, token=_token(cookie.encode(), cookie), cookie=cookie, fresh=fresh)
    return await _signed(gate, cookie, _now(request))


async def sign_in(request: Request, words: str) -> Session | None:
    """Return a session of the key that these words are; `None` if there is no such key."""
    gate = gate_of(request)
    key = await gate.ring.open(words.strip())
    seal = await gate.ring.seal_of(key.key_id) if key else None
    if key is None or seal is None:
        return None
    body = f"{key.key_id}.{_now(request) + HOURS * 3600}.{secrets.token_urlsafe(_NONCE_BYTES)}"
    cookie = f"{body}.{_token(seal, body)}"
    return Session(caller=caller_of(key), token=_token(seal, cookie), cookie=cookie, fresh=True)


async def _signed(gate: Gate, cookie: str, now: int) -> Session | None:
    body, _, signature = cookie.rpartition(".")
    key_id, _, rest = body.partition(".")
    expires = rest.partition(".")[0]
    seal = await gate.ring.seal_of(key_id) if key_id else None
    if seal is None or not hmac.compare_digest(signature.encode(), _token(seal, body).encode()):
        return None
    key = await gate.ring.get(key_id) if int(expires) > now else None
    if key is None:
        return None
    return Session(caller=caller_of(key), token=_token(seal, cookie), cookie=cookie)


def _now(request: Request) -> int:
    """Return seconds since 1970."""
    rooms: Rooms = request.app.state.rooms
    return int(rooms.clock.now().timestamp())


def require_own_form(request: Request, session: Session, token: str) -> None:
    """Refuse a form that no page of this gallery sent.

    Raises:
        Problem: 403.
    """
    require_same_origin(request)
    if not hmac.compare_digest(token.encode(), session.token.encode()):
        raise Problem(
            403, "form", "This form is no longer valid. Go back, reload the page and send it again."
        )


def require_same_origin(request: Request) -> None:
    """Refuse a form that a page of another origin sent.

    Raises:
        Problem: 403.
    """
    origin = request.headers.get("origin")
    foreign = (
        origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    )
    if foreign or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "origin", "This form was sent by another site, so nothing was done.")


def _token(seal: bytes, words: str) -> str:
    return hmac.digest(seal, b"gallery " + words.encode("utf-8", "replace"), "sha256").hex()
