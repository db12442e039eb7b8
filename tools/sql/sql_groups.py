"""Groups, who belongs to them, and what they rest on, as rows.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import BigInteger, Connection, Integer, Text, bindparam, delete, func, select

from ...communities import Belonging, Community
from ..grouping.stored_groups import Choice, Grouping, GroupingFacts, MarkedUser, Placed, StoredGroup
from .sql_tables import group_members, group_users, groupings, groups, interactions, micros
from .sql_upserts import Insert, chunks

KEPT = 8
"""Refreshes whose groups are kept, so that an earlier moment still finds its own."""

_tenant = bindparam("tenant", type_=Text)
_keys = bindparam("keys", type_=Text, expanding=True)
_event = interactions.c

_CHOICES = (
    select(_event.user_id, _event.item_id, _event.at, _event.rating, _event.event_id)
    .where(
        _event.tenant == _tenant,
        _event.user_id.in_(_keys),
        _event.item_id.is_not(None),
        _event.at < bindparam("as_of", type_=BigInteger),
    )
    .order_by(_event.user_id, _event.at, _event.event_id)
)
_COUNT_CHOICES = (
    select(func.count())
    .select_from(interactions)
    .where(
        _event.tenant == _tenant,
        _event.item_id.is_not(None),
        _event.at < bindparam("as_of", type_=BigInteger),
    )
)
_NEWEST = (
    select(groupings.c.version, groupings.c.data)
    .where(groupings.c.tenant == _tenant, groupings.c.as_of <= bindparam("as_of", type_=BigInteger))
    .order_by(groupings.c.as_of.desc(), groupings.c.version.desc())
    .limit(1)
)
_GROUPS = (
    select(groups.c.data, groups.c["items"], groups.c.vector)
    .where(groups.c.tenant == _tenant, groups.c.version == bindparam("version", type_=Integer))
    .order_by(groups.c.group_id)
)
_LAST = select(func.coalesce(func.max(groupings.c.version), 0)).where(groupings.c.tenant == _tenant)
_LATEST = (
    select(groupings.c.version)
    .where(groupings.c.tenant == _tenant)
    .order_by(groupings.c.as_of.desc(), groupings.c.version.desc())
    .limit(1)
)
_USERS = select(group_users.c.user_id, group_users.c.mark, group_users.c.vector, group_users.c.themes).where(
    group_users.c.tenant == _tenant, group_users.c.user_id.in_(_keys)
)
_MEMBERS = (
    select(group_members.c.user_id)
    .where(
        group_members.c.tenant == _tenant,
        group_members.c.group_id == bindparam("group_id", type_=Text),
        group_members.c.user_id > bindparam("after", type_=Text),
    )
    .order_by(group_members.c.user_id)
    .limit(bindparam("limit", type_=Integer))
)
_BELONGINGS = select(group_members.c.data).where(
    group_members.c.tenant == _tenant, group_members.c.user_id == bindparam("user_id", type_=Text)
)
_KNOWN = select(group_users.c.user_id).where(group_users.c.tenant == _tenant)
_DROP_USERS = delete(group_users).where(group_users.c.tenant == _tenant, group_users.c.user_id.in_(_keys))
_ADD_USERS = Insert(group_users)
_ADD_MEMBERS = Insert(group_members)


def choices(
    connection: Connection, tenant: str, user_ids: Sequence[str], as_of: int
) -> dict[str, list[Choice]]:
    """Return what users had before a moment in microseconds, oldest first; users without anything are left out."""
    found: dict[str, list[Choice]] = defaultdict(list)
    for part in chunks(user_ids):
        values = {"tenant": tenant, "keys": part, "as_of": as_of}
        for user_id, *choice in connection.execute(_CHOICES, values):
            found[user_id].append(Choice(*choice))
    return dict(found)


def count_choices(connection: Connection, tenant: str, as_of: int) -> int:
    """Return how many interactions before a moment in microseconds name an item."""
    return connection.execute(_COUNT_CHOICES, {"tenant": tenant, "as_of": as_of}).scalar_one()


def grouping(connection: Connection, tenant: str, as_of: int) -> Grouping | None:
    """Return the newest groups up to a moment in microseconds."""
    row = connection.execute(_NEWEST, {"tenant": tenant, "as_of": as_of}).one_or_none()
    if row is None:
        return None
    found = connection.execute(_GROUPS, {"tenant": tenant, "version": row.version})
    return Grouping(
        GroupingFacts.model_validate_json(row.data),
        [
            StoredGroup(Community.model_validate_json(data), json.loads(items), vector)
            for data, items, vector in found
        ],
    )


def marked_users(connection: Connection, tenant: str, user_ids: Sequence[str]) -> dict[str, MarkedUser]:
    """Return what the last refresh made of users, by id."""
    return {
        user_id: MarkedUser(mark, vector, tuple(json.loads(themes)))
        for part in chunks(user_ids)
        for user_id, mark, vector, themes in connection.execute(_USERS, {"tenant": tenant, "keys": part})
    }


def members(connection: Connection, tenant: str, group_id: str, after: str, limit: int) -> list[str]:
    """Return the next users who belong to a group more than to any other, in id order."""
    values = {"tenant": tenant, "group_id": group_id, "after": after, "limit": limit}
    return list(connection.execute(_MEMBERS, values).scalars())


def belongings(connection: Connection, tenant: str, user_id: str) -> list[Belonging]:
    """Return where the refresh of the newest moment put a user, most first."""
    data = connection.execute(_BELONGINGS, {"tenant": tenant, "user_id": user_id}).scalar_one_or_none()
    return [] if data is None else [Belonging.model_validate(each) for each in json.loads(data)]


def put(connection: Connection, tenant: str, placed: Placed) -> int:
    """Write one refresh and drop what it replaces; return its version.

    Who belongs where is told of the newest moment only: refreshes of earlier ones leave it, and its groups, as they
    are.
    """
    version = int(connection.execute(_LAST, {"tenant": tenant}).scalar_one()) + 1
    facts = placed.grouping.facts
    connection.execute(
        groupings.insert(),
        {
            "tenant": tenant,
            "version": version,
            "as_of": micros(facts.as_of),
            "data": facts.model_dump_json(),
        },
    )
    rows = [
        {
            "tenant": tenant,
            "version": version,
            "group_id": group.community.group_id,
            "data": group.community.model_dump_json(),
            "items": json.dumps(dict(group.items)),
            "vector": group.vector,
        }
        for group in placed.grouping.groups
    ]
    if rows:
        connection.execute(groups.insert(), rows)
    latest: int = connection.execute(_LATEST, {"tenant": tenant}).scalar_one()
    for table in (groups, groupings):
        old = table.c.version <= version - KEPT, table.c.version != latest
        connection.execute(delete(table).where(table.c.tenant == tenant, *old))
    _put_users(connection, tenant, placed)
    if latest == version:
        _put_members(connection, tenant, placed)
    return version


def _put_users(connection: Connection, tenant: str, placed: Placed) -> None:
    """Replace recomputed users, and drop those without a history."""
    known: Iterable[str] = connection.execute(_KNOWN, {"tenant": tenant}).scalars()
    everybody = frozenset(placed.everybody)
    gone = [user_id for user_id in known if user_id not in everybody]
    for part in chunks(sorted({*placed.users, *gone})):
        connection.execute(_DROP_USERS, {"tenant": tenant, "keys": part})
    for users in chunks(sorted(placed.users.items())):
        _ADD_USERS.run(
            connection,
            [
                {
                    "tenant": tenant,
                    "user_id": user_id,
                    "mark": user.mark,
                    "themes": json.dumps(user.themes),
                    "vector": user.vector,
                }
                for user_id, user in users
            ],
        )


def _put_members(connection: Connection, tenant: str, placed: Placed) -> None:
    """Replace where everybody belongs."""
    connection.execute(delete(group_members).where(group_members.c.tenant == tenant))
    for placings in chunks(sorted(placed.belongings.items())):
        _ADD_MEMBERS.run(
            connection,
            [
                {
                    "tenant": tenant,
                    "user_id": user_id,
                    "group_id": places[0].group_id,
                    "data": json.dumps([place.model_dump() for place in places]),
                }
                for user_id, places in placings
            ],
        )
