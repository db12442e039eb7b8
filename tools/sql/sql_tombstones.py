"""Forgets and tombstones, as rows: what is being forgotten, and who must not come back.

A tombstone is a salted hash, so that a table of them names nobody; whoever holds the salt and guesses an id can still
confirm it. Every function runs inside the transaction of the connection it is given and may be run again.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Text, bindparam, delete, func, select, update

from ...errors import ForgottenMeanwhileError
from ...receipts import Scope
from ..behalf import Behalf
from ..store import Forget
from .sql_tables import forgets, interactions, micros, moment_at, tenants, tombstones
from .sql_upserts import Insert, chunks

EVER = 2**62
"""`until` of what is refused whatever its moment."""

_ORDERS_END = micros(datetime(1971, 1, 1, tzinfo=UTC))
"""Sources that give only an order count seconds from 1970: moments before this one are places in an order."""

_tenant = bindparam("tenant", type_=Text)
_marks = bindparam("marks", type_=Text, expanding=True)
_STATE = select(tenants.c.salt, tenants.c.forgets).where(tenants.c.tenant == _tenant)
_FOUND = select(tombstones.c.mark, tombstones.c.until, tombstones.c.seq).where(
    tombstones.c.tenant == _tenant, tombstones.c.mark.in_(_marks)
)
_OPEN = select(forgets).where(forgets.c.tenant == _tenant, forgets.c.state != "done").order_by(forgets.c.seq)
_KEEP_TENANT = Insert(tenants)


class Row(NamedTuple):
    """What tells whether an event was forgotten."""

    event_id: str
    user_id: str
    item_id: str | None
    at: int


def count(connection: Connection, tenant: str) -> int:
    """Return how many forgets the tenant has had."""
    row = connection.execute(_STATE, {"tenant": tenant}).one_or_none()
    return 0 if row is None else int(row.forgets)


def begin(connection: Connection, tenant: str, scope: Scope) -> Forget:
    """Set the tombstones of a forget, and write down what is left to do; nothing is removed yet."""
    salt = _salt(connection, tenant)
    connection.execute(
        update(tenants).where(tenants.c.tenant == tenant).values(forgets=tenants.c.forgets + 1)
    )
    seq = count(connection, tenant)
    for parts, until in _stones(connection, tenant, scope):
        _set(connection, tenant, mark_of(salt, *parts), until, seq)
    forget = Forget(seq, "rows", scope, {}, scope.at)
    connection.execute(forgets.insert(), {"tenant": tenant, **_row(forget)})
    return forget


def put(connection: Connection, tenant: str, forget: Forget) -> None:
    """Write down how far a forget has come."""
    where = (forgets.c.tenant == tenant, forgets.c.seq == forget.seq)
    connection.execute(update(forgets).where(*where).values(**_row(forget)))


def unfinished(connection: Connection, tenant: str) -> list[Forget]:
    """Return the forgets that were begun and not finished, oldest first."""
    return [
        Forget(
            row.seq,
            row.state,
            Scope.model_validate_json(row.scope) if row.scope else None,
            json.loads(row.removed),
            moment_at(row.at),
        )
        for row in connection.execute(_OPEN, {"tenant": tenant})
    ]


def check(connection: Connection, tenant: str, work: Behalf) -> None:
    """Refuse a write whose work began before somebody it is about was forgotten.

    Raises:
        ForgottenMeanwhileError: It did.
    """
    if is_stale(connection, tenant, work):
        raise ForgottenMeanwhileError(work.since or 0)


def is_stale(connection: Connection, tenant: str, work: Behalf) -> bool:
    """Whether work began before somebody it is about was forgotten."""
    if work.since is None:
        return False
    row = connection.execute(_STATE, {"tenant": tenant}).one_or_none()
    if row is None or row.forgets <= work.since:
        return False
    if any(subject.startswith("item:") for subject in work.subjects):
        return True  # whose words it shows nobody wrote down
    names = [subject.removeprefix("user:") for subject in work.subjects]
    marks = [mark_of(row.salt, kind, name) for name in names for kind in ("user", "part")]
    marks.append(mark_of(row.salt, "tenant"))
    found = connection.execute(_FOUND, {"tenant": tenant, "marks": marks})
    return any(stone.seq > work.since for stone in found)


def forgotten_events(connection: Connection, tenant: str, rows: Iterable[Row]) -> set[str]:
    """Return the ids of the events that were forgotten, by themselves or with whom or what they name."""
    state = connection.execute(_STATE, {"tenant": tenant}).one_or_none()
    if state is None or not state.forgets or state.salt is None:
        return set()
    by_event = {row: marks_of(state.salt, row) for row in rows}
    wanted = sorted({mark for marks in by_event.values() for mark in marks})
    until = _untils(connection, tenant, wanted)
    return {
        row.event_id
        for row, marks in by_event.items()
        if any(row.at <= until.get(mark, -EVER) for mark in marks)
    }


def forgotten_users(connection: Connection, tenant: str, user_ids: Iterable[str]) -> dict[str, datetime]:
    """Return those who were forgotten whole, with the moment up to which nothing of them is taken."""
    state = connection.execute(_STATE, {"tenant": tenant}).one_or_none()
    if state is None or state.salt is None:
        return {}
    marks = {mark_of(state.salt, "user", user_id): user_id for user_id in user_ids}
    found = _untils(connection, tenant, sorted(marks))
    return {marks[mark]: moment_at(until) for mark, until in found.items()}


def drop(connection: Connection, tenant: str, *, but: int) -> None:
    """Remove every tombstone and forget of a tenant, but those of one forget."""
    connection.execute(delete(tombstones).where(tombstones.c.tenant == tenant, tombstones.c.seq != but))
    connection.execute(delete(forgets).where(forgets.c.tenant == tenant, forgets.c.seq != but))


def _stones(connection: Connection, tenant: str, scope: Scope) -> list[tuple[tuple[str, ...], int | None]]:
    """Return what is marked, and until when events of it are refused."""
    user, item, event = scope.user_id or "", scope.item_id or "", scope.event_id or ""
    if scope.kind == "user":
        return [(("user", user), _until(connection, tenant, scope, interactions.c.user_id == user))]
    if scope.kind == "event":
        return [(("event", user, event), EVER), (("part", user), None)]
    if scope.kind == "user_item":
        where = (interactions.c.user_id == user, interactions.c.item_id == item)
        return [(("both", user, item), _until(connection, tenant, scope, *where)), (("part", user), None)]
    everybody: tuple[tuple[str, ...], int | None] = (("tenant",), None)
    if scope.kind == "item":
        return [
            (("item", item), _until(connection, tenant, scope, interactions.c.item_id == item)),
            everybody,
        ]
    if scope.kind == "older" and scope.before is not None:  # refuses nothing, but a restore heeds it
        return [(("older",), micros(scope.before)), everybody]
    return [(("all",), micros(scope.at)), everybody]


def _until(connection: Connection, tenant: str, scope: Scope, *where: Any) -> int:
    """Return the moment of the forget, or of the newest event where moments only tell an order."""
    query = select(func.max(interactions.c.at)).where(interactions.c.tenant == tenant, *where)
    newest = connection.execute(query).scalar_one_or_none()
    asked = micros(scope.at)
    if newest is None:
        return asked
    return int(newest) if newest < _ORDERS_END else max(asked, int(newest))


def marks_of(salt: str, row: Row) -> list[str]:
    """Return the tombstones that would refuse an event."""
    marks = [mark_of(salt, "event", row.user_id, row.event_id), mark_of(salt, "user", row.user_id)]
    if row.item_id is not None:
        marks += [mark_of(salt, "item", row.item_id), mark_of(salt, "both", row.user_id, row.item_id)]
    return marks


def mark_of(salt: str, *parts: str) -> str:
    """Return the tombstone of what these parts name."""
    return hashlib.blake2b(json.dumps(parts).encode(), key=bytes.fromhex(salt), digest_size=16).hexdigest()


def _salt(connection: Connection, tenant: str) -> str:
    _KEEP_TENANT.run(connection, [{"tenant": tenant, "generation": 0, "newest": 0}])
    where = (tenants.c.tenant == tenant, tenants.c.salt.is_(None))
    connection.execute(update(tenants).where(*where).values(salt=secrets.token_hex(32)))
    return str(connection.execute(_STATE, {"tenant": tenant}).one().salt)


def _set(connection: Connection, tenant: str, mark: str, until: int | None, seq: int) -> None:
    """Set a tombstone, or renew the one that is there; a later `until` stays."""
    where = (tombstones.c.tenant == tenant, tombstones.c.mark == mark)
    old = connection.execute(select(tombstones.c.until).where(*where)).one_or_none()
    connection.execute(delete(tombstones).where(*where))
    if old is not None and old.until is not None:
        until = max(old.until, until if until is not None else old.until)
    connection.execute(tombstones.insert(), {"tenant": tenant, "mark": mark, "until": until, "seq": seq})


def _untils(connection: Connection, tenant: str, marks: Sequence[str]) -> dict[str, int]:
    return {
        mark: until
        for part in chunks(marks)
        for mark, until, _ in connection.execute(_FOUND, {"tenant": tenant, "marks": part})
        if until is not None
    }


def _row(forget: Forget) -> Mapping[str, Any]:
    return {
        "seq": forget.seq,
        "state": forget.state,
        "scope": forget.scope.model_dump_json() if forget.scope else "",
        "removed": json.dumps(forget.removed),
        "at": micros(forget.at),
    }
