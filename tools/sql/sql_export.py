"""Everything that is held about one user, as rows, for whoever asks what is known."""

import json
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Select, Table, select, tuple_

from .sql_forget_users import subject_is
from .sql_memories import about
from .sql_tables import (
    completions,
    cued_events,
    cues,
    group_members,
    group_users,
    interactions,
    memories,
    moment_at,
    pairs,
    profiles,
    rollouts,
    users,
    vector_owners,
)

_PAGE = 200
_MOMENTS = {"at", "as_of", "first_at", "created", "updated", "expires"}
_JSON = {"data", "themes", "value", "paths", "answer"}


class Query(NamedTuple):
    """Where something about a user lies."""

    place: str
    """Name of the table."""

    rows: Select[Any]

    key: tuple[Column[Any], ...]
    """What orders the rows of a tenant, each place once."""


class Page(NamedTuple):
    """Part of the rows."""

    rows: list[dict[str, Any]]
    """With moments and documents spelled out; numbers made of texts are left out."""

    last: tuple[Any, ...]
    """Key of the last row, behind which the next page begins."""


def queries(tenant: str, user_id: str) -> list[Query]:
    """Return a query for each table that holds something about a user, in a fixed order."""
    by_user = (users, interactions, profiles, pairs, rollouts, group_users, group_members)
    by_subject = (cues, cued_events)
    subject = f"user:{user_id}"
    found = [_query(table, table.c.user_id == user_id, tenant) for table in by_user]
    found += [_query(table, subject_is(table, subject), tenant) for table in by_subject]
    found += [_query(table, table.c.subject == subject, tenant) for table in (completions, vector_owners)]
    return [*found, _query(memories, about(user_id), tenant)]


def page(connection: Connection, query: Query, after: tuple[Any, ...] | None) -> Page | None:
    """Return the rows behind a key, the first ones without; nothing where there are none left."""
    rows = query.rows if after is None else query.rows.where(tuple_(*query.key) > tuple_(*after))
    found = connection.execute(rows.limit(_PAGE)).mappings().all()
    if not found:
        return None
    shown = [{name: _value(name, value) for name, value in row.items()} for row in found]
    return Page(shown, tuple(found[-1][column.name] for column in query.key))


def _query(table: Table, mine: Any, tenant: str) -> Query:
    columns = [column for column in table.c if column.name not in ("tenant", "vector")]
    key = tuple(column for column in table.primary_key.columns if column.name != "tenant")
    return Query(table.name, select(*columns).where(table.c.tenant == tenant, mine).order_by(*key), key)


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _MOMENTS:
        return moment_at(value).isoformat()
    return json.loads(value) if name in _JSON else value
