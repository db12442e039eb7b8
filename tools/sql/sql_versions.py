"""Versions of portraits that are missing, or that name a parent which is not there.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, update

from ..integrity.damage import Key
from .sql_tables import profiles, version_marks

_USERS = 200
"""Users whose versions are read at once."""


class _Version(NamedTuple):
    """One version as its columns and its document tell of it."""

    version: int
    as_of: int
    parent: int | None


def gaps(connection: Connection, tenant: str) -> list[Key]:
    """Return the versions below a user's newest that are missing, unless a forget took them."""
    count, last = func.count().label("count"), func.max(profiles.c.version).label("last")
    query = select(profiles.c.user_id, last).where(profiles.c.tenant == tenant).group_by(profiles.c.user_id)
    found: list[Key] = []
    for row in connection.execute(query.having(count != last)).all():
        mine = (profiles.c.tenant == tenant, profiles.c.user_id == row.user_id)
        there = set(connection.execute(select(profiles.c.version).where(*mine)).scalars())
        marked = _mark(connection, tenant, row.user_id)
        found += [(row.user_id, each) for each in range(marked + 1, row.last) if each not in there]
    return found


def add_marks(connection: Connection, tenant: str, keys: Sequence[Key]) -> None:
    """Note that versions are gone, so that no number is given twice."""
    highest: dict[str, int] = {}
    for user_id, version in keys:
        highest[str(user_id)] = max(int(version), highest.get(str(user_id), 0))
    for user_id, version in sorted(highest.items()):
        mark = max(version, _mark(connection, tenant, user_id))
        where = (version_marks.c.tenant == tenant, version_marks.c.user_id == user_id)
        connection.execute(delete(version_marks).where(*where))
        row = {"tenant": tenant, "user_id": user_id, "version": mark}
        connection.execute(version_marks.insert(), row)


def remove_versions(connection: Connection, tenant: str, keys: Sequence[Key]) -> None:
    """Remove versions, and note that they are gone."""
    for user_id, version in keys:
        where = (profiles.c.user_id == user_id, profiles.c.version == version)
        connection.execute(delete(profiles).where(profiles.c.tenant == tenant, *where))
    add_marks(connection, tenant, keys)


def bad_parents(connection: Connection, tenant: str) -> list[Key]:
    """Return the versions whose parent is missing, or is none that came before."""
    return [
        (user_id, each.version)
        for user_id, versions in _chains(connection, tenant)
        for each in versions.values()
        if each.parent is not None and (each.parent not in versions or each.parent >= each.version)
    ]


def mend_parents(connection: Connection, tenant: str, keys: Sequence[Key]) -> None:
    """Write down the version that each of these follows: the newest one before it that knew no more."""
    wrong = set(keys)
    for user_id, versions in _chains(connection, tenant):
        for each in versions.values():
            if (user_id, each.version) in wrong:
                before = [
                    old for old in versions.values() if old.version < each.version and old.as_of <= each.as_of
                ]
                parent = max(before, key=lambda old: (old.as_of, old.version), default=None)
                _follow(connection, tenant, user_id, each.version, parent.version if parent else None)


def _follow(connection: Connection, tenant: str, user_id: str, version: int, parent: int | None) -> None:
    where = (profiles.c.tenant == tenant, profiles.c.user_id == user_id, profiles.c.version == version)
    told = json.loads(connection.execute(select(profiles.c.data).where(*where)).scalar_one())
    data = json.dumps({**told, "parent_version": parent}, ensure_ascii=False)
    connection.execute(update(profiles).where(*where).values(data=data))


def _chains(connection: Connection, tenant: str) -> Iterator[tuple[str, Mapping[int, _Version]]]:
    """Yield users with their versions."""
    row = profiles.c
    drawn = select(row.user_id).where(row.tenant == tenant).distinct().order_by(row.user_id).limit(_USERS)
    columns = select(row.user_id, row.version, row.as_of, row.data).order_by(row.user_id, row.version)
    after = ""
    while user_ids := connection.execute(drawn.where(row.user_id > after)).scalars().all():
        rows = connection.execute(columns.where(row.tenant == tenant, row.user_id.in_(user_ids))).all()
        for user_id, mine in groupby(rows, key=lambda found: str(found.user_id)):
            read = [_Version(each.version, each.as_of, _parent(each.data)) for each in mine]
            yield user_id, {each.version: each for each in read}
        after = user_ids[-1]


def _parent(data: str) -> int | None:
    """Return the parent that a document names; none of one that cannot be read, which is another matter."""
    try:
        parent: int | None = json.loads(data)["parent_version"]
    except (ValueError, KeyError, TypeError):
        return None
    return parent


def _mark(connection: Connection, tenant: str, user_id: str) -> int:
    where = (version_marks.c.tenant == tenant, version_marks.c.user_id == user_id)
    return connection.execute(select(version_marks.c.version).where(*where)).scalar_one_or_none() or 0
