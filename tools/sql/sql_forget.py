"""Forgetting, as rows: the interactions that a scope names, and everything that was made of them.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, literal, select, update

from ...receipts import Scope
from ..store import Forget
from .sql_forget_items import ItemTraces
from .sql_forget_texts import Texts, forget_texts
from .sql_forget_users import Gone, UserTraces, forget_completions, owned_keys
from .sql_tables import (
    completions,
    forgets,
    interactions,
    keys,
    metadata,
    micros,
    tenants,
    tombstones,
    users,
    vector_owners,
    vectors,
)
from .sql_tombstones import drop as drop_tombstones
from .sql_tombstones import put

EVENTS = 500
"""Interactions removed in one transaction."""

_STAYS = {tenants.name, keys.name, forgets.name, tombstones.name}
"""Tables that a forgotten tenant keeps rows in: a counter, the keys of the API, that it was forgotten."""


class Step(NamedTuple):
    """What one transaction removed."""

    removed: Counter[str]
    done: bool
    """Whether nothing that the scope names is left."""


def forget_step(connection: Connection, tenant: str, forget: Forget) -> Forget:
    """Do the next step of a forget and write down how far it is; its state tells whether more follow."""
    assert forget.scope is not None, "a forget with rows to remove says which"
    done = _step(connection, tenant, forget.scope)
    removed = Counter(forget.removed) + done.removed
    if done.done and forget.scope.kind == "tenant":
        drop_tombstones(connection, tenant, but=forget.seq)
    changed = forget._replace(removed=dict(removed), state="places" if done.done else "rows")
    put(connection, tenant, changed)
    return changed


def forget_now(connection: Connection, tenant: str, scope: Scope) -> Counter[str]:
    """Do all steps in the transaction of the connection; return what that removed."""
    removed, done = Counter[str](), False
    while not done:
        counted, done = _step(connection, tenant, scope)
        removed += counted
    return removed


def rehearse(connection: Connection, tenant: str, scope: Scope) -> None:
    """Do all steps, then undo them.

    Raises:
        RehearsedError: Always; it says what was removed.
    """
    raise RehearsedError(forget_now(connection, tenant, scope))


def cached_for(connection: Connection, tenant: str) -> set[str]:
    """Return the users that cached answers and vectors belong to."""
    found: set[str] = set()
    for table in (completions, vector_owners):
        query = select(table.c.subject).where(table.c.tenant == tenant).distinct()
        found.update(connection.execute(query).scalars())
    return {subject.removeprefix("user:") for subject in found if subject.startswith("user:")}


def drop_caches(connection: Connection, tenant: str, subjects: Collection[str]) -> None:
    """Remove cached answers and vectors of users and items."""
    texts = Texts()
    for subject in sorted(subjects):
        forget_completions(connection, tenant, subject, Counter())
        texts.keys |= owned_keys(connection, tenant, subject)
    forget_texts(connection, tenant, texts)


def _step(connection: Connection, tenant: str, scope: Scope) -> Step:
    """Remove the next interactions of a scope with what was made of them; at the end, what has no interaction."""
    if scope.kind == "tenant":
        return Step(_forget_tenant(connection, tenant), done=True)
    removed, texts = Counter[str](), Texts()
    gone = _next(connection, tenant, scope)
    if gone:
        _forget_events(connection, tenant, gone, removed, texts)
    done = len(gone) < EVENTS
    if done:
        _finish(connection, tenant, scope, removed, texts)
    removed["vectors"] += forget_texts(connection, tenant, texts)
    if done:
        removed["vectors"] += _drop_unowned_vectors(connection, tenant)
    _advance(connection, tenant)
    return Step(+removed, done)


def _drop_unowned_vectors(connection: Connection, tenant: str) -> int:
    """Remove cached vectors of which nobody knows whose text they stand for."""
    owned = select(literal(1)).where(vector_owners.c.tenant == tenant, vector_owners.c.key == vectors.c.key)
    where = (vectors.c.tenant == tenant, ~owned.exists())
    return connection.execute(delete(vectors).where(*where)).rowcount


def _forget_events(
    connection: Connection, tenant: str, gone: Sequence[Gone], removed: Counter[str], texts: Texts
) -> None:
    texts.add(*(row.text for row in gone))
    items = ItemTraces(connection, tenant, removed, texts)
    for item_id in sorted({row.item_id for row in gone if row.item_id is not None}):
        items.forget_words([row for row in gone if row.item_id == item_id], item_id)
    ids = [row.event_id for row in gone]
    where = (interactions.c.tenant == tenant, interactions.c.event_id.in_(ids))
    removed["interactions"] += connection.execute(delete(interactions).where(*where)).rowcount
    traces = UserTraces(connection, tenant, removed, texts)
    for user_id in sorted({row.user_id for row in gone}):
        if _keep_user(connection, tenant, user_id):
            traces.forget_part(user_id, [row for row in gone if row.user_id == user_id])
        else:
            traces.forget_whole(user_id)


def _finish(connection: Connection, tenant: str, scope: Scope, removed: Counter[str], texts: Texts) -> None:
    """Remove what a scope names and no interaction leads to."""
    if scope.kind == "user" and scope.user_id is not None:
        UserTraces(connection, tenant, removed, texts).forget_whole(scope.user_id)
    if scope.kind == "item" and scope.item_id is not None:
        ItemTraces(connection, tenant, removed, texts).forget_whole(scope.item_id)


def _next(connection: Connection, tenant: str, scope: Scope) -> list[Gone]:
    row = interactions.c
    where: list[Any] = [row.tenant == tenant]
    if scope.user_id is not None:
        where.append(row.user_id == scope.user_id)
    if scope.item_id is not None:
        where.append(row.item_id == scope.item_id)
    if scope.event_id is not None:
        where.append(row.event_id == scope.event_id)
    if scope.before is not None:
        where.append(row.at < micros(scope.before))
    query = select(row.event_id, row.user_id, row.item_id, row.at, row.text).where(*where)
    return [Gone(*found) for found in connection.execute(query.limit(EVENTS))]


def _keep_user(connection: Connection, tenant: str, user_id: str) -> bool:
    """Write down since when a user is known now; return whether anything is known."""
    mine = (interactions.c.tenant == tenant, interactions.c.user_id == user_id)
    first = connection.execute(select(func.min(interactions.c.at)).where(*mine)).scalar_one_or_none()
    where = (users.c.tenant == tenant, users.c.user_id == user_id)
    if first is None:
        return False
    connection.execute(update(users).where(*where).values(first_at=first))
    return True


def _advance(connection: Connection, tenant: str) -> None:
    """Tell whoever remembers answers about all interactions that they are others now."""
    newest = (
        select(func.coalesce(func.max(interactions.c.at), 0))
        .where(interactions.c.tenant == tenant)
        .scalar_subquery()
    )
    changed = {"generation": tenants.c.generation + 1, "newest": newest}
    connection.execute(update(tenants).where(tenants.c.tenant == tenant).values(changed))


def _forget_tenant(connection: Connection, tenant: str) -> Counter[str]:
    removed = Counter[str]()
    for table in metadata.sorted_tables:
        if table.name not in _STAYS:
            removed[table.name] += connection.execute(delete(table).where(table.c.tenant == tenant)).rowcount
    _advance(connection, tenant)
    return +removed


class RehearsedError(Exception):
    """Ends the transaction of a rehearsal, so that nothing of it stays."""

    def __init__(self, removed: Counter[str]) -> None:
        self.removed = removed
        super().__init__(removed)
