"""The gate: who asks, for which tenant, and whether that is allowed.

Over HTTP a key comes as `Authorization: Bearer KEY`. A server without keys lets everybody in for the tenant of its
settings, which is why it only starts on loopback and only answers to the machine's own names.
"""

import ipaddress
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import Request

from ...errors import SettingsError
from ...settings import Settings
from ...tools.keys import ROLES, Key, KeyRing, Role
from .buckets import Buckets
from .problems import Problem

if TYPE_CHECKING:
    from ...tools.clock import Clock
    from .rooms import Rooms

__all__ = ["Caller", "Gate", "Role", "allow", "caller_of", "gate_of", "is_loopback", "no_key", "open_gate"]

_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks."""

    tenant: str
    """Whose data is read and written."""

    role: Role
    """What is allowed."""

    key_id: str | None = None
    """The key that was shown; absent where none is needed."""

    def may(self, role: Role) -> bool:
        """Whether what this role allows is allowed."""
        return ROLES.index(self.role) >= ROLES.index(role)


class Gate:
    """Tells callers by their keys, and lets each ask only so often.

    Args:
        settings: The tenant without keys, limits and names.
        ring: The keys.
        clock: Source of time for the limits.
        open_to_all: Whether no key is needed: on loopback, where none was made.
    """

    def __init__(self, settings: Settings, ring: KeyRing, clock: "Clock", *, open_to_all: bool) -> None:
        self.ring = ring
        self.open_to_all = open_to_all
        self.process_secret = secrets.token_bytes(32)
        """For whatever this process alone must be able to recognise; another process has another."""
        self._settings = settings
        self._buckets = Buckets(settings.serve.rate, settings.serve.burst, clock)
        self._hosts = frozenset({*_MACHINE, *(host.lower() for host in settings.serve.hosts)})

    async def caller(self, words: str | None) -> Caller | None:
        """Return who shows this key; without keys everybody is the administrator of the settings' tenant."""
        if self.open_to_all:
            return Caller(tenant=self._settings.tenant, role="admin")
        key = await self.ring.open(words) if words else None
        return None if key is None else caller_of(key)

    async def identify(self, authorization: str | None) -> Caller:
        """Return who asks, by the header `Authorization`, and count the request.

        Raises:
            Problem: 401 without a valid key, 429 if it asks too often.
        """
        caller = await self.caller(_bearer(authorization))
        if caller is None:
            raise no_key()
        self.admit(caller)
        return caller

    async def still_admits(self, caller: Caller) -> bool:
        """Whether the key that began a long answer was not revoked meanwhile."""
        return caller.key_id is None or await self.ring.get(caller.key_id) is not None

    def admit(self, caller: Caller) -> None:
        """Count a request.

        Raises:
            Problem: 429, the caller asks too often.
        """
        wait = self._buckets.take(caller.key_id) if caller.key_id else 0.0
        if wait > 0:
            raise Problem(
                429,
                "rate_limited",
                f"this key may send {self._settings.serve.rate:g} requests a second; wait {wait:.1f} s",
                headers={"Retry-After": str(max(1, math.ceil(wait)))},
            )

    def refuses_host(self, host: str, origin: str | None) -> str | None:
        """Say why a request under this name is refused; nothing if it is not.

        A page of another site can have a browser send requests here under a name that it made lead here (DNS
        rebinding). Where no key protects the server, only the names of the machine count.
        """
        name = _name_of(f"//{host}")
        if (self.open_to_all or self._settings.serve.hosts) and name not in self._hosts:
            return f"this server is not called {host!r}; add the name to `serve.hosts`"
        if not self.open_to_all or origin is None or origin in self._settings.serve.origins:
            return None
        if _name_of(origin) != name or urlsplit(origin).netloc.lower() != host.lower():
            return f"pages of {origin!r} may not ask this server; add the origin to `serve.origins`"
        return None


async def open_gate(settings: Settings, rooms: "Rooms") -> Gate:
    """Return the gate of a server: open to all on loopback while no key was ever made, revoked ones included.

    Raises:
        SettingsError: It could be reached from other machines, and there is no key.
    """
    ring = KeyRing(rooms.shared.store.engine, rooms.clock)
    if not await ring.any() and not is_loopback(settings.serve.host):
        raise SettingsError(
            "serve.host",
            f"{settings.serve.host!r} can be reached from other machines and there is no key; make one with "
            "`limner keys add`, or serve on 127.0.0.1",
        )
    return Gate(settings, ring, rooms.clock, open_to_all=not await ring.listed())


def caller_of(key: Key) -> Caller:
    """Return who holds a key."""
    return Caller(tenant=key.tenant, role=key.role, key_id=key.key_id)


def gate_of(request: Request) -> Gate:
    """Return the gate of the app that got a request."""
    gate: Gate = request.app.state.gate
    return gate


def allow(role: Role) -> Callable[[Request], Awaitable[Caller]]:
    """Return a dependency that gives the caller, if the caller's role allows what `role` does.

    Raises:
        Problem: 401 without a valid key, 403 with one that allows less, 429 if it asks too often.
    """

    async def admit(request: Request) -> Caller:
        known: Caller | None = getattr(request.state, "caller", None)
        caller = known or await gate_of(request).identify(request.headers.get("authorization"))
        if not caller.may(role):
            raise Problem(
                403, "role", f"this takes a key with the role {role!r}; this key has {caller.role!r}"
            )
        return caller

    return admit


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    Examples:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost")
        (True, True, True)
        >>> is_loopback("0.0.0.0"), is_loopback("example.org"), is_loopback("")
        (False, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def no_key() -> Problem:
    """Return what somebody is told who shows no valid key."""
    return Problem(
        401,
        "no_key",
        "send a valid key as `Authorization: Bearer KEY`; `limner keys add` makes one",
        headers={"WWW-Authenticate": 'Bearer realm="limner"'},
    )


def _bearer(header: str | None) -> str | None:
    scheme, _, words = (header or "").partition(" ")
    return words.strip() if scheme.lower() == "bearer" else None


def _name_of(url: str) -> str:
    """Return the name of a host without its port, in small letters; empty if there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
