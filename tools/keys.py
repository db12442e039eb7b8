"""Keys of the HTTP API: who may do what for which tenant. Only their hashes are kept."""

import hashlib
import hmac
import re
import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Literal, get_args

from ..errors import InputError
from ..records import Moment, Record
from .clock import Clock

if TYPE_CHECKING:
    from .sql.sql_engine import Engine

Role = Literal["read", "write", "admin"]
"""Each may do what those before it may."""

ROLES: tuple[Role, ...] = get_args(Role)

_ID_BYTES, _SECRET_BYTES = 6, 32
_FORM = re.compile(r"limner_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_TENANT = re.compile(r"[a-z0-9_-]{1,40}", re.ASCII)
_NOBODY = hashlib.sha256(b"").hexdigest()


class Key(Record):
    """A key without its secret."""

    key_id: str
    """Names the key, also in logs; not secret."""

    tenant: str
    """Whose data it opens."""

    role: Role
    """What it allows."""

    name: str = ""
    """What it is for, in the words of whoever made it."""

    created_at: Moment
    """When it was made."""

    revoked_at: Moment | None = None
    """Since when it opens nothing; absent while it does."""


class KeyRing:
    """The keys of one database, of all tenants."""

    def __init__(self, engine: "Engine", clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    async def add(self, tenant: str, role: str, *, name: str = "") -> tuple[Key, str]:
        """Make a key; returns it with the words to present, which can never be read again.

        Raises:
            InputError: There is no such role, or a tenant cannot be called so.
        """
        from .sql import sql_keys

        if role not in ROLES:
            raise InputError(f"`role` must be one of {', '.join(ROLES)}, got {role!r}")
        if not _TENANT.fullmatch(tenant):
            raise InputError(f"`tenant` must be 1 to 40 of a-z, 0-9, `_` and `-`, got {tenant!r}")
        key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
        key = Key(key_id=key_id, tenant=tenant, role=role, name=name[:200], created_at=self._now())
        await self._engine.write(lambda db: sql_keys.add(db, key, _digest(secret)))
        return key, f"limner_{key_id}_{secret}"

    async def open(self, words: str) -> Key | None:
        """Return the key that these words are, if it is there and not revoked.

        How long it takes does not tell how much of the secret was right.
        """
        from .sql import sql_keys

        form = _FORM.fullmatch(words)
        if form is None:
            return None
        key_id, secret = form.groups()
        found = await self._engine.read(lambda db: sql_keys.find(db, key_id))
        kept = found.digest if found else _NOBODY
        right = hmac.compare_digest(kept.encode(), _digest(secret).encode())
        return found.key if found and right and found.key.revoked_at is None else None

    async def get(self, key_id: str) -> Key | None:
        """Return a key by its id, if it is there and not revoked."""
        from .sql import sql_keys

        found = await self._engine.read(lambda db: sql_keys.find(db, key_id))
        return found.key if found and found.key.revoked_at is None else None

    async def seal_of(self, key_id: str) -> bytes | None:
        """Return bytes to sign with on behalf of a key; nothing once it is revoked.

        They are derived from the kept hash: whatever they signed is worthless with the key, on any server.
        """
        from .sql import sql_keys

        found = await self._engine.read(lambda db: sql_keys.find(db, key_id))
        if found is None or found.key.revoked_at is not None:
            return None
        return hmac.digest(found.digest.encode(), b"limner session", "sha256")

    async def listed(self, tenant: str | None = None) -> list[Key]:
        """Return keys, oldest first, revoked ones included; of one tenant if it is given."""
        from .sql import sql_keys

        return await self._engine.read(lambda db: sql_keys.list_keys(db, tenant))

    async def any(self) -> bool:
        """Whether a key is there that opens something."""
        return any(key.revoked_at is None for key in await self.listed())

    async def revoke(self, key_id: str) -> Key:
        """Make a key open nothing, from the next request on; again changes nothing.

        Raises:
            InputError: There is no such key.
        """
        from .sql import sql_keys

        now = self._now()
        key = await self._engine.write(lambda db: sql_keys.revoke(db, key_id, now))
        if key is None:
            raise InputError(f"there is no key {key_id!r}; `limner keys list` names them")
        return key

    def _now(self) -> datetime:
        return self._clock.now()


def _digest(secret: str) -> str:
    """Hash a secret. It has 256 random bits, which nobody can try through, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()
