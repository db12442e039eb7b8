"""Memories of assistants and their vectors, as rows.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from ..memories import Memory, Namespace, Putting, Spot, owner_of, user_label, user_of_label
from .sql_tables import memories, memory_vectors, micros, moment_at, users
from .sql_upserts import chunks

_AFTER_DOT = "/"
"""The character behind the dot: what begins with `a.` sorts from `a.` up to `a/`."""

_AT_ONCE = 200
"""Spots in one query."""

_row, _vector = memories.c, memory_vectors.c
_tenant = bindparam("tenant", type_=Text)
_now = bindparam("now", type_=BigInteger)
_low, _high = bindparam("low", type_=Text), bindparam("high", type_=Text)
_alive = or_(_row.expires.is_(None), _row.expires > _now)


def _below(table: Table) -> ColumnElement[bool]:
    return table.c.namespace.between(_low, _high)


_UNDER = (
    select(memories)
    .where(_row.tenant == _tenant, _below(memories), _alive)
    .order_by(func.min(_row.place).over(partition_by=_row.namespace), _row.place, _row.namespace, _row.key)
)
_VECTORS_UNDER = select(memory_vectors).where(
    _vector.tenant == _tenant, _below(memory_vectors), _vector.encoder == bindparam("encoder", type_=Text)
)
_NAMESPACES = select(_row.namespace).where(_row.tenant == _tenant, _alive).distinct()


def _upsert(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    """Replace all but where and when it was first put."""
    changed = ("owner", "value", "paths", "updated", "lifetime", "expires")
    return insert.on_conflict_do_update(
        index_elements=list(memories.primary_key.columns),
        set_={name: insert.excluded[name] for name in changed},
    )


_UPSERTS = {
    "sqlite": _upsert(sqlite.insert(memories)),
    "postgresql": _upsert(postgresql.insert(memories)),
}
_LAST = select(func.coalesce(func.max(_row.place), 0)).where(_row.tenant == _tenant)
_EXPIRED = select(_row.namespace, _row.key).where(_row.tenant == _tenant, _row.expires <= _now)


def at(connection: Connection, tenant: str, spots: Iterable[Spot], now: datetime) -> dict[Spot, Memory]:
    """Return the memories that exist."""
    query = select(memories).where(_row.tenant == tenant, _alive)
    found: dict[Spot, Memory] = {}
    for part in chunks(dict.fromkeys(spots), _AT_ONCE):
        rows = connection.execute(query.where(among(memories, part)), {"now": micros(now)})
        found.update((memory.spot, memory) for memory in map(_read, rows))
    return found


def under(connection: Connection, tenant: str, prefix: Namespace, now: datetime) -> list[Memory]:
    """Return what lies in a namespace and those below it."""
    return [
        _read(row)
        for row in connection.execute(_UNDER, {"tenant": tenant, "now": micros(now), **_range(prefix)})
    ]


def vectors_under(
    connection: Connection, tenant: str, prefix: Namespace, encoder: str
) -> dict[Spot, list[bytes]]:
    """Return one encoder's vectors of what lies in a namespace and those below it."""
    found: dict[Spot, list[bytes]] = defaultdict(list)
    for row in connection.execute(_VECTORS_UNDER, {"tenant": tenant, "encoder": encoder, **_range(prefix)}):
        found[_spot(row.namespace, row.key)].append(bytes(row.vector))
    return dict(found)


def namespaces(connection: Connection, tenant: str, now: datetime) -> list[Namespace]:
    """Return the namespaces that hold something."""
    names = connection.execute(_NAMESPACES, {"tenant": tenant, "now": micros(now)}).scalars()
    return sorted(_labels(name) for name in names)


def put(
    connection: Connection, tenant: str, puttings: Sequence[Putting], encoder: str, now: datetime
) -> None:
    """Write, replace and delete, and delete what has expired."""
    sweep(connection, tenant, now)
    _drop(connection, tenant, [putting.spot for putting in puttings if putting.value is None])
    place, moment = connection.execute(_LAST, {"tenant": tenant}).scalar_one(), micros(now)
    rows = [
        _row_of(connection, tenant, putting, place + number, moment)
        for number, putting in enumerate(puttings, start=1)
        if putting.value is not None
    ]
    if rows:
        # In one order for all writers, who then wait for each other instead of forever.
        connection.execute(
            _UPSERTS[connection.dialect.name], sorted(rows, key=lambda row: (row["namespace"], row["key"]))
        )
    kept = [(putting.spot, putting.vectors) for putting in puttings if putting.value is not None]
    _replace_vectors(connection, tenant, encoder, kept)


def add_vectors(
    connection: Connection,
    tenant: str,
    found: Sequence[tuple[Memory, Mapping[str, bytes]]],
    encoder: str,
) -> None:
    """Keep vectors of memories that are still what they were, in place of those they have."""
    query = select(_row.namespace, _row.key, _row.updated).where(_row.tenant == tenant)
    updated: dict[Spot, int] = {}
    for part in chunks([memory.spot for memory, _ in found], _AT_ONCE):
        updated.update(
            (_spot(row.namespace, row.key), row.updated)
            for row in connection.execute(query.where(among(memories, part)))
        )
    same = [
        (memory.spot, vectors)
        for memory, vectors in found
        if updated.get(memory.spot) == micros(memory.updated_at)
    ]
    _replace_vectors(connection, tenant, encoder, same)


def touch(connection: Connection, tenant: str, spots: Iterable[Spot], now: datetime) -> None:
    """Begin lifetimes anew."""
    for part in chunks(spots, _AT_ONCE):
        connection.execute(
            update(memories)
            .where(_row.tenant == tenant, _row.lifetime.is_not(None), among(memories, part))
            .values(expires=_row.lifetime + micros(now))
        )


def sweep(connection: Connection, tenant: str, now: datetime) -> int:
    """Delete what has expired; return how much."""
    gone = [
        _spot(row.namespace, row.key)
        for row in connection.execute(_EXPIRED, {"tenant": tenant, "now": micros(now)})
    ]
    _drop(connection, tenant, gone)
    return len(gone)


def about(user_id: str) -> ColumnElement[bool]:
    """Return the condition that a memory is about a user.

    One whose owner is known is the owner's alone; of the others, those that name the user anywhere.
    """
    label, dotted = user_label(user_id), literal(".") + _row.namespace
    # Not `LIKE`, which takes `Ada` for `ada` in SQLite.
    named = func.replace(dotted, f".{label}.", "") != dotted
    return or_(_row.owner == user_id, and_(_row.owner.is_(None), or_(_row.key.in_([user_id, label]), named)))


def spots_about(connection: Connection, tenant: str, user_id: str) -> list[Spot]:
    """Return where the memories about a user lie."""
    rows = connection.execute(select(_row.namespace, _row.key).where(_row.tenant == tenant, about(user_id)))
    return [_spot(row.namespace, row.key) for row in rows]


def among(table: Table, spots: Iterable[Spot]) -> ColumnElement[bool]:
    """Return the condition that a row lies at one of these spots."""
    return tuple_(table.c.namespace, table.c.key).in_([(_text(spot.namespace), spot.key) for spot in spots])


def _owner(connection: Connection, tenant: str, putting: Putting) -> str | None:
    """Return whom a memory is about: by its spot, else the one recorded user that the spot names."""
    if owner := owner_of(putting.spot, putting.user_id):
        return owner
    names = {*putting.spot.namespace, putting.spot.key}
    known = connection.execute(
        select(users.c.user_id).where(
            users.c.tenant == tenant,
            users.c.user_id.in_({*names, *map(user_of_label, names)}),
        )
    ).scalars()
    found = list(known)
    return found[0] if len(found) == 1 else None


def _row_of(connection: Connection, tenant: str, putting: Putting, place: int, moment: int) -> dict[str, Any]:
    lifetime = None if putting.lifetime is None else putting.lifetime // timedelta(microseconds=1)
    return {
        "tenant": tenant,
        "namespace": _text(putting.spot.namespace),
        "key": putting.spot.key,
        "owner": _owner(connection, tenant, putting),
        "value": json.dumps(putting.value),
        "paths": json.dumps(putting.paths),
        "place": place,
        "created": moment,
        "updated": moment,
        "lifetime": lifetime,
        "expires": None if lifetime is None else moment + lifetime,
    }


def _drop(connection: Connection, tenant: str, spots: Sequence[Spot]) -> None:
    for part in chunks(spots, _AT_ONCE):
        connection.execute(delete(memories).where(_row.tenant == tenant, among(memories, part)))
        connection.execute(
            delete(memory_vectors).where(_vector.tenant == tenant, among(memory_vectors, part))
        )


def _replace_vectors(
    connection: Connection, tenant: str, encoder: str, found: Sequence[tuple[Spot, Mapping[str, bytes]]]
) -> None:
    """Keep these vectors and no others; whoever writes one memory at the same time waits for its row."""
    for part in chunks([spot for spot, _ in found], _AT_ONCE):
        connection.execute(
            delete(memory_vectors).where(_vector.tenant == tenant, among(memory_vectors, part))
        )
    rows = [
        {
            "tenant": tenant,
            "namespace": _text(spot.namespace),
            "key": spot.key,
            "encoder": encoder,
            "path": path,
            "vector": vector,
        }
        for spot, vectors in found
        for path, vector in sorted(vectors.items())
    ]
    if rows:
        connection.execute(memory_vectors.insert(), rows)


def _range(prefix: Namespace) -> dict[str, str]:
    """Return the first text that begins like a namespace and one behind all of them."""
    low = _text(prefix)
    return {"low": low, "high": low[:-1] + _AFTER_DOT if low else "\U0010ffff"}


def _text(namespace: Namespace) -> str:
    """Write a namespace with a dot behind each label, so that no label is the beginning of another."""
    return "".join(f"{label}." for label in namespace)


def _labels(text: str) -> Namespace:
    return tuple(text.split(".")[:-1])


def _spot(namespace: str, key: str) -> Spot:
    return Spot(_labels(namespace), key)


def _read(row: Row[Any]) -> Memory:
    return Memory(
        spot=_spot(row.namespace, row.key),
        value=json.loads(row.value),
        paths=tuple(json.loads(row.paths)),
        created_at=moment_at(row.created),
        updated_at=moment_at(row.updated),
        lifetime=None if row.lifetime is None else timedelta(microseconds=row.lifetime),
    )
