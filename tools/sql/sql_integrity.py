"""What is wrong with a tenant's rows, and how it is mended.

Every function runs inside the transaction of the connection it is given and may be run again. Mending looks again
first, so that it touches nothing that became right since somebody looked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Table,
    and_,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    update,
)

from ...receipts import Scope
from ..integrity.damage import Key
from ..jobs import SILENCE
from .sql_citations import CITING, ITEMS, Documents, cited_by, citing_gone, unreadable
from .sql_events import see_users
from .sql_forget import forget_now
from .sql_revived import revived, stones_of
from .sql_tables import (
    cards,
    cued_events,
    group_members,
    group_users,
    groups,
    interactions,
    items,
    jobs,
    memories,
    memory_vectors,
    micros,
    pairs,
    rollouts,
    tenants,
    users,
)
from .sql_upserts import Insert
from .sql_versions import add_marks, bad_parents, gaps, mend_parents, remove_versions

_ADD_TENANT = Insert(tenants)


class Check(NamedTuple):
    """One kind of damage: how it is found and how it is mended."""

    find: Callable[[Connection, str], list[Key]]
    mend: Callable[[Connection, str, Sequence[Key]], None] | None = None


def find(connection: Connection, tenant: str, kind: str) -> list[Key]:
    """Return what is wrong in one way."""
    return CHECKS[kind].find(connection, tenant)


def mend(connection: Connection, tenant: str, kind: str) -> int:
    """Mend what is wrong in one way; return how much that was."""
    check = CHECKS[kind]
    found = check.find(connection, tenant)
    if not found or check.mend is None:
        return 0
    check.mend(connection, tenant, found)
    return len(found)


def silent_jobs(connection: Connection, tenant: str, now: datetime) -> list[Key]:
    """Return the jobs under way whose process has not said lately that it lives."""
    spoke = (jobs.c.beat >= micros(now - SILENCE), jobs.c.beat <= micros(now + SILENCE))
    query = select(jobs.c.job_id).where(jobs.c.tenant == tenant, jobs.c.state == "running", ~and_(*spoke))
    return [(job_id,) for job_id in connection.execute(query).scalars()]


def _faults_of_file(connection: Connection, _tenant: str) -> list[Key]:
    """Ask SQLite about its file; a server looks after its own."""
    if connection.dialect.name != "sqlite":
        return []
    said = connection.execute(text("PRAGMA quick_check(20)")).scalars().all()
    return [] if said == ["ok"] else [(" ".join(str(line).split()),) for line in said]


def _forgotten(connection: Connection, tenant: str) -> list[Key]:
    return [(str(scope.user_id), str(scope.event_id)) for scope in _scopes(connection, tenant)]


def _scopes(connection: Connection, tenant: str) -> list[Scope]:
    known = stones_of(connection).get(tenant)
    if known is None:
        return []
    found = revived(connection, tenant, known, datetime.now(UTC), whole=False)
    return [scope for scope in found if scope.kind == "event"]  # what is old may have come again since


def _forget_again(connection: Connection, tenant: str, _keys: Sequence[Key]) -> None:
    for scope in _scopes(connection, tenant):
        forget_now(connection, tenant, scope)


def _unreadable(connection: Connection, tenant: str) -> list[Key]:
    return [
        (name, *key)
        for name, documents in CITING.items()
        for key in unreadable(connection, tenant, documents)
    ]


def _drop_unreadable(connection: Connection, tenant: str, keys: Sequence[Key]) -> None:
    versions = [key for name, *key in keys if name == "profiles"]
    remove_versions(connection, tenant, [tuple(key) for key in versions])
    for name, *key in keys:
        if name != "profiles":
            _delete(connection, tenant, CITING[str(name)].table, tuple(key))


def _late_notes(connection: Connection, tenant: str) -> list[Key]:
    """Return the tenant if whoever remembers answers goes by an older event than the newest."""
    newest = _newest(connection, tenant)
    noted = connection.execute(
        select(tenants.c.newest).where(tenants.c.tenant == tenant)
    ).scalar_one_or_none()
    return [(tenant,)] if newest is not None and (noted is None or noted < newest) else []


def _note_newest(connection: Connection, tenant: str, _keys: Sequence[Key]) -> None:
    newest = _newest(connection, tenant) or 0
    _ADD_TENANT.run(connection, [{"tenant": tenant, "generation": 0, "newest": newest}])
    changed = {"generation": tenants.c.generation + 1, "newest": newest}
    connection.execute(update(tenants).where(tenants.c.tenant == tenant).values(changed))


def _newest(connection: Connection, tenant: str) -> int | None:
    query = select(func.max(interactions.c.at)).where(interactions.c.tenant == tenant)
    newest: int | None = connection.execute(query).scalar_one_or_none()
    return newest


def _unlisted(connection: Connection, tenant: str) -> list[Key]:
    """Return users who have events and are not listed, or not since the first of them."""
    return [(user_id,) for user_id in _seen_otherwise(connection, tenant)]


def _seen_otherwise(connection: Connection, tenant: str) -> dict[str, int]:
    first = func.min(interactions.c.at).label("first_at")
    seen = select(interactions.c.user_id, first).where(interactions.c.tenant == tenant)
    seen_by = seen.group_by(interactions.c.user_id).subquery()
    listed = and_(users.c.tenant == tenant, users.c.user_id == seen_by.c.user_id)
    query = select(seen_by).outerjoin(users, listed)
    wrong = or_(users.c.user_id.is_(None), users.c.first_at != seen_by.c.first_at)
    return {row.user_id: row.first_at for row in connection.execute(query.where(wrong))}


def _list_users(connection: Connection, tenant: str, keys: Sequence[Key]) -> None:
    first_at = _seen_otherwise(connection, tenant)
    for key in keys:
        _delete(connection, tenant, users, key)
    see_users(connection, tenant, first_at)


def _lonely(table: Table, *conditions: Any) -> Callable[[Connection, str], list[Key]]:
    """Return what finds the rows of a table for which one of these conditions holds."""

    def find_rows(connection: Connection, tenant: str) -> list[Key]:
        query = select(*_key(table)).where(table.c.tenant == tenant, or_(*conditions))
        return [tuple(row) for row in connection.execute(query)]

    return find_rows


def _no(other: Table, table: Table, name: str) -> Any:
    """Return a condition: what a column of a table names is not in another one."""
    same = (other.c.tenant == table.c.tenant, other.c[name] == table.c[name])
    return and_(table.c[name].is_not(None), ~select(literal(1)).where(*same).exists())


def _cues(connection: Connection, tenant: str) -> list[Key]:
    return citing_gone(connection, tenant, CITING["cues"])


def _drop_cues(connection: Connection, tenant: str, keys: Sequence[Key]) -> None:
    """Remove cues, and have what else they rested on read again."""
    for key in keys:
        cited = cited_by(connection, tenant, CITING["cues"], key)
        for event_id in cited:
            _delete(connection, tenant, cued_events, (key[0], event_id))
        _delete(connection, tenant, CITING["cues"].table, key)


def _made_of_gone(name: str, *conditions: Any) -> Callable[[Connection, str], list[Key]]:
    """Return what finds the documents of a table that cite what is gone, or for which a condition holds."""
    documents: Documents = CITING[name]
    lonely = _lonely(documents.table, *conditions) if conditions else None

    def find_rows(connection: Connection, tenant: str) -> list[Key]:
        found = set(citing_gone(connection, tenant, documents))
        return sorted(found.union(lonely(connection, tenant) if lonely else ()))

    return find_rows


def _memberships(connection: Connection, tenant: str) -> list[Key]:
    no_group = ~(
        select(literal(1))
        .where(groups.c.tenant == group_members.c.tenant, groups.c.group_id == group_members.c.group_id)
        .exists()
    )
    members = _lonely(group_members, _no(users, group_members, "user_id"), no_group)
    marked = _lonely(group_users, _no(users, group_users, "user_id"))
    return sorted({*members(connection, tenant), *marked(connection, tenant)})


def _drop_memberships(connection: Connection, tenant: str, keys: Sequence[Key]) -> None:
    for table in (group_members, group_users):
        _drop(table, connection, tenant, keys)


def _drop(table: Table, connection: Connection, tenant: str, keys: Iterable[Key]) -> None:
    for key in keys:
        _delete(connection, tenant, table, key)


def _delete(connection: Connection, tenant: str, table: Table, key: Key) -> None:
    where = (column == value for column, value in zip(_key(table), key, strict=True))
    connection.execute(delete(table).where(table.c.tenant == tenant, *where))


def _key(table: Table) -> list[Column[Any]]:
    return [column for column in table.primary_key.columns if column.name != "tenant"]


_no_memory = ~(
    select(literal(1))
    .where(
        memories.c.tenant == memory_vectors.c.tenant,
        memories.c.namespace == memory_vectors.c.namespace,
        memories.c.key == memory_vectors.c.key,
    )
    .exists()
)

CHECKS: Mapping[str, Check] = {
    "database": Check(_faults_of_file),
    "forgotten": Check(_forgotten, _forget_again),
    "unreadable_items": Check(partial(unreadable, documents=ITEMS)),
    "unreadable": Check(_unreadable, _drop_unreadable),
    "tenant": Check(_late_notes, _note_newest),
    "unlisted_users": Check(_unlisted, _list_users),
    "empty_users": Check(_lonely(users, _no(interactions, users, "user_id")), partial(_drop, users)),
    "cues": Check(_cues, _drop_cues),
    "cued_events": Check(
        _lonely(cued_events, _no(interactions, cued_events, "event_id")), partial(_drop, cued_events)
    ),
    "profiles": Check(_made_of_gone("profiles"), remove_versions),
    "rollouts": Check(_made_of_gone("rollouts", _no(users, rollouts, "user_id")), partial(_drop, rollouts)),
    "pairs": Check(
        _made_of_gone("pairs", _no(users, pairs, "user_id"), _no(items, pairs, "item_id")),
        partial(_drop, pairs),
    ),
    "cards": Check(_made_of_gone("cards", _no(items, cards, "item_id")), partial(_drop, cards)),
    "memberships": Check(_memberships, _drop_memberships),
    "memory_vectors": Check(_lonely(memory_vectors, _no_memory), partial(_drop, memory_vectors)),
    "version_gaps": Check(gaps, add_marks),
    "parents": Check(bad_parents, mend_parents),
}
"""By name, as in `integrity.damage.KINDS`."""
