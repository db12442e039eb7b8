"""Keys of the HTTP API, as rows.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, select, update

from ..keys import Key
from .sql_tables import keys, micros, moment_at


class Found(NamedTuple):
    """A key and the hash of its secret."""

    key: Key
    digest: str


def add(connection: Connection, key: Key, digest: str) -> None:
    """Keep a new key."""
    connection.execute(
        insert(keys).values(
            tenant=key.tenant,
            key_id=key.key_id,
            role=key.role,
            name=key.name,
            digest=digest,
            created=micros(key.created_at),
        )
    )


def find(connection: Connection, key_id: str) -> Found | None:
    """Return a key by its id, revoked or not."""
    row = connection.execute(select(keys).where(keys.c.key_id == key_id)).one_or_none()
    return None if row is None else Found(_read(row), row.digest)


def list_keys(connection: Connection, tenant: str | None) -> list[Key]:
    """Return keys, oldest first."""
    query = select(keys).order_by(keys.c.created, keys.c.key_id)
    if tenant is not None:
        query = query.where(keys.c.tenant == tenant)
    return [_read(row) for row in connection.execute(query)]


def revoke(connection: Connection, key_id: str, at: datetime) -> Key | None:
    """Mark a key as revoked, once; return it, or nothing if there is none."""
    connection.execute(
        update(keys).where(keys.c.key_id == key_id, keys.c.revoked.is_(None)).values(revoked=micros(at))
    )
    found = find(connection, key_id)
    return found.key if found else None


def _read(row: "Row[Any]") -> Key:
    return Key(
        key_id=row.key_id,
        tenant=row.tenant,
        role=row.role,
        name=row.name,
        created_at=moment_at(row.created),
        revoked_at=None if row.revoked is None else moment_at(row.revoked),
    )
