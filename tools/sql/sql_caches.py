"""Items, cached answers, cached vectors and counts, as rows.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Integer, Select, Table, Text, bindparam, func, select

from ...records import Item
from ..behalf import Behalf
from ..store import Counts
from .sql_tables import (
    completions,
    cues,
    interactions,
    items,
    profiles,
    rollouts,
    users,
    vector_owners,
    vectors,
)
from .sql_tombstones import is_stale
from .sql_upserts import Insert, chunks

_tenant = bindparam("tenant", type_=Text)
_keys = bindparam("keys", type_=Text, expanding=True)

_ITEMS = select(items.c.item_id, items.c.data).where(items.c.tenant == _tenant, items.c.item_id.in_(_keys))
_ITEM_PAGE = (
    select(items.c.data)
    .where(items.c.tenant == _tenant, items.c.item_id > bindparam("after", type_=Text))
    .order_by(items.c.item_id)
    .limit(bindparam("limit", type_=Integer))
)
_COMPLETIONS = (
    select(completions.c.key, completions.c.answer)
    .where(completions.c.tenant == _tenant, completions.c.key.in_(_keys))
    .order_by(completions.c.key, completions.c.subject)
)
_VECTORS = select(vectors.c.key, vectors.c.vector).where(
    vectors.c.tenant == _tenant,
    vectors.c.encoder == bindparam("encoder", type_=Text),
    vectors.c.key.in_(_keys),
)
_REPLACE_ITEMS = Insert(items, "replace", "data")
_REPLACE_COMPLETIONS = Insert(completions, "replace", "answer")
_KEEP_VECTORS = Insert(vectors, "replace", "vector")
_KEEP_OWNERS = Insert(vector_owners)


def _count(table: Table) -> Select[int]:
    return select(func.count()).select_from(table).where(table.c.tenant == _tenant)


_COUNTS = select(
    *(
        _count(table).scalar_subquery().label(table.name)
        for table in (users, items, interactions, cues, profiles, rollouts)
    )
)


def put_items(connection: Connection, tenant: str, entries: Sequence[Item]) -> int:
    """Insert or replace items; return how many were new or changed."""
    last_wins = {item.item_id: item for item in entries}
    rows = [
        {"tenant": tenant, "item_id": item_id, "data": item.model_dump_json()}
        for item_id, item in sorted(last_wins.items())
    ]
    return _REPLACE_ITEMS.run(connection, rows)


def items_of(connection: Connection, tenant: str, item_ids: Sequence[str]) -> dict[str, Item]:
    """Return the items that exist."""
    return {
        item_id: Item.model_validate_json(data)
        for part in chunks(item_ids)
        for item_id, data in connection.execute(_ITEMS, {"tenant": tenant, "keys": part})
    }


def item_page(connection: Connection, tenant: str, after: str, limit: int) -> list[Item]:
    """Return the next items in id order."""
    rows = connection.execute(_ITEM_PAGE, {"tenant": tenant, "after": after, "limit": limit}).scalars()
    return [Item.model_validate_json(data) for data in rows]


def cached_completions(connection: Connection, tenant: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the answers that exist."""
    return {
        key: answer
        for part in chunks(keys)
        for key, answer in connection.execute(_COMPLETIONS, {"tenant": tenant, "keys": part})
    }


def cache_completions(connection: Connection, tenant: str, entries: Mapping[str, str], subject: str) -> None:
    """Keep answers."""
    rows = [
        {"tenant": tenant, "key": key, "subject": subject, "answer": answer}
        for key, answer in sorted(entries.items())
    ]
    _REPLACE_COMPLETIONS.run(connection, rows)


def cached_vectors(
    connection: Connection, tenant: str, encoder: str, keys: Sequence[str]
) -> dict[str, bytes]:
    """Return the vectors that exist."""
    return {
        key: bytes(vector)
        for part in chunks(keys)
        for key, vector in connection.execute(_VECTORS, {"tenant": tenant, "encoder": encoder, "keys": part})
    }


def cache_vectors(
    connection: Connection, tenant: str, encoder: str, entries: Mapping[str, bytes], work: Behalf
) -> None:
    """Keep vectors and on whose behalf they were made; none of work that began before a forget of whom it is about."""
    if is_stale(connection, tenant, work):
        return
    owners = [
        {"tenant": tenant, "key": key, "subject": subject}
        for key in sorted(entries)
        for subject in sorted(work.subjects)
    ]
    _KEEP_OWNERS.run(connection, owners)
    rows = [
        {"tenant": tenant, "encoder": encoder, "key": key, "vector": vector}
        for key, vector in sorted(entries.items())
    ]
    _KEEP_VECTORS.run(connection, rows)


def counts(connection: Connection, tenant: str) -> Counts:
    """Return how much the tenant holds."""
    return Counts(*connection.execute(_COUNTS, {"tenant": tenant}).one())
