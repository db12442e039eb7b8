"""What was forgotten and is there again: after a restore, or where somebody put old files in place of newer ones.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, insert, select, update

from ...receipts import Scope
from ...records import Moment
from .sql_forget import forget_now
from .sql_tables import (
    forgets,
    interactions,
    items,
    memories,
    moment_at,
    profiles,
    tenants,
    tombstones,
    users,
)
from .sql_tombstones import Row, mark_of, marks_of

_PAGE = 5000


class Stones(NamedTuple):
    """What a tenant was asked to forget."""

    salt: str
    forgets: int
    """How many forgets there were."""

    stones: Sequence[Mapping[str, Any]]
    """Tombstones, as rows."""

    done: Sequence[Mapping[str, Any]]
    """Forgets, as rows."""

    def until(self) -> dict[str, int]:
        """Return the moments up to which each mark refuses events."""
        return {stone["mark"]: stone["until"] for stone in self.stones if stone["until"] is not None}

    def since(self, forgets: int) -> "Stones":
        """Return what came after so many forgets."""
        stones = [stone for stone in self.stones if stone["seq"] > forgets]
        return self._replace(stones=stones, done=[row for row in self.done if row["seq"] > forgets])


class Again(NamedTuple):
    """What forgetting again did."""

    removed: Counter[str]
    """Entries that went, by table."""

    dropped: int
    """Tombstones that cannot be kept beside those of the restored rows, because they were made with another salt."""


def stones_of(connection: Connection) -> dict[str, Stones]:
    """Return what every tenant was asked to forget."""
    found: dict[str, Stones] = {}
    for row in connection.execute(select(tenants).where(tenants.c.salt.is_not(None))).all():
        read = [
            connection.execute(select(table).where(table.c.tenant == row.tenant)).mappings().all()
            for table in (tombstones, forgets)
        ]
        found[row.tenant] = Stones(row.salt, row.forgets, *([dict(each) for each in rows] for rows in read))
    return found


def forget_again(connection: Connection, tenant: str, known: Stones, at: Moment) -> Again:
    """Take out of restored rows what was forgotten since they were saved, and keep on refusing it.

    Args:
        connection: Where the rows are.
        tenant: Whose.
        known: What the tenant was asked to forget before the rows were put there.
        at: The present moment.
    """
    mine = tenants.c.tenant == tenant
    now = connection.execute(select(tenants.c.salt, tenants.c.forgets).where(mine)).one_or_none()
    same = now is None or now.salt is None or now.salt == known.salt
    newer = known.since(now.forgets) if now is not None and now.salt == known.salt else known
    removed = Counter[str]()
    for scope in revived(connection, tenant, newer, at, whole=True):
        removed += forget_now(connection, tenant, scope)
    if not same:
        return Again(removed, len(newer.stones))
    if now is None:
        row = {"tenant": tenant, "generation": 0, "newest": 0, "salt": known.salt, "forgets": known.forgets}
        connection.execute(insert(tenants), row)
    else:
        counted = {"salt": known.salt, "forgets": max(now.forgets, known.forgets)}
        connection.execute(update(tenants).where(mine).values(counted))
    for table, key, rows in ((tombstones, "mark", newer.stones), (forgets, "seq", newer.done)):
        for entry in rows:
            connection.execute(table.delete().where(table.c.tenant == tenant, table.c[key] == entry[key]))
            connection.execute(insert(table), dict(entry))
    return Again(removed, 0)


def revived(connection: Connection, tenant: str, known: Stones, at: Moment, *, whole: bool) -> list[Scope]:
    """Return what has to be forgotten again.

    Args:
        connection: Where.
        tenant: Whose.
        known: What was asked for.
        at: The present moment.
        whole: Whether everything is older than the tombstones, so that whole users and items are meant; otherwise
            only their old events, since both may have come again.
    """
    until = known.until()
    if not until:
        return []
    if whole and mark_of(known.salt, "all") in until:
        return [Scope(kind="tenant", at=at)]
    found: list[Scope] = []
    users_gone, items_gone = set[str](), set[str]()
    if whole:
        users_gone = {
            name for name in _users(connection, tenant) if mark_of(known.salt, "user", name) in until
        }
        items_gone = {
            name for name in _items(connection, tenant) if mark_of(known.salt, "item", name) in until
        }
        found += [Scope(kind="user", user_id=name, at=at) for name in sorted(users_gone)]
        found += [Scope(kind="item", item_id=name, at=at) for name in sorted(items_gone)]
    bound = until.get(mark_of(known.salt, "older"))
    if bound is not None and _oldest(connection, tenant) < bound:
        found.append(Scope(kind="older", before=moment_at(bound), at=at))
    for row in _events(connection, tenant):
        covered = (
            row.user_id in users_gone or row.item_id in items_gone or (bound is not None and row.at < bound)
        )
        if not covered and any(row.at <= until.get(mark, -1) for mark in marks_of(known.salt, row)):
            found.append(Scope(kind="event", user_id=row.user_id, event_id=row.event_id, at=at))
    return found


def _users(connection: Connection, tenant: str) -> set[str]:
    found: set[str] = set()
    for name in (users.c.user_id, profiles.c.user_id, memories.c.owner):
        query = select(name).where(name.table.c.tenant == tenant, name.is_not(None)).distinct()
        found.update(connection.execute(query).scalars())
    return found


def _items(connection: Connection, tenant: str) -> set[str]:
    found: set[str] = set()
    for name in (items.c.item_id, interactions.c.item_id):
        query = select(name).where(name.table.c.tenant == tenant, name.is_not(None)).distinct()
        found.update(connection.execute(query).scalars())
    return found


def _oldest(connection: Connection, tenant: str) -> int:
    query = select(func.min(interactions.c.at)).where(interactions.c.tenant == tenant)
    oldest = connection.execute(query).scalar_one_or_none()
    return 2**63 if oldest is None else int(oldest)


def _events(connection: Connection, tenant: str) -> Iterator[Row]:
    after = ""
    row = interactions.c
    query: Select[Any] = (
        select(row.event_id, row.user_id, row.item_id, row.at).order_by(row.event_id).limit(_PAGE)
    )
    while page := connection.execute(query.where(row.tenant == tenant, row.event_id > after)).all():
        yield from (Row(*found) for found in page)
        after = page[-1].event_id
