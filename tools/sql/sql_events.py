"""What users did, as rows: recording and reading interactions.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice, repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Row,
    Text,
    bindparam,
    case,
    func,
    literal,
    select,
    tuple_,
    update,
)

from ...records import Interaction, checked_interaction
from ..store import ItemStatistics, RatingScale, Recorded
from .sql_tables import interactions, micros, moment_at, tenants, users
from .sql_tombstones import Row as Named
from .sql_tombstones import forgotten_events
from .sql_upserts import Insert, chunks

NO_LIMIT = 2**31 - 1
STRAYS = 100
"""One rating in so many, at either end, may lie off the scale of a tenant."""

EventRow = tuple[str, str, str, str | None, str, int, float | None, str | None]
_ROW = ("tenant", "event_id", "user_id", "item_id", "kind", "at", "rating", "text")
_EVENT: Final = 1
_USER: Final = 2
_ITEM: Final = 3
_AT: Final = 5

SHUFFLED = 2**62
"""Upper bound of `users.shuffle`, exclusive."""

_event = interactions.c
_tenant = bindparam("tenant", type_=Text)
_before = (_event.tenant == _tenant, _event.at < bindparam("as_of", type_=BigInteger))
_of_user = _event.user_id == bindparam("user_id", type_=Text)
_of_item = _event.item_id == bindparam("item_id", type_=Text)
_latest_first = (_event.at.desc(), _event.event_id.desc())
COLUMNS = (
    _event.user_id,
    _event.item_id,
    _event.kind,
    _event.at,
    _event.rating,
    _event.text,
    _event.event_id,
)
_HISTORY = (
    select(*COLUMNS)
    .where(*_before, _of_user)
    .order_by(*_latest_first)
    .limit(bindparam("last", type_=Integer))
)
_HISTORY_PAGE = (
    select(*COLUMNS)
    .where(
        _event.tenant == _tenant,
        _of_user,
        tuple_(_event.at, _event.event_id)
        < tuple_(bindparam("at", type_=BigInteger), bindparam("event_id", type_=Text)),
    )
    .order_by(*_latest_first)
    .limit(bindparam("last", type_=Integer))
)
_HAD_ITEMS = (
    select(_event.item_id)
    .where(*_before, _of_user, _event.item_id.is_not(None))
    .distinct()
    .order_by(_event.item_id)
)
_ITEM_HISTORY = (
    select(*COLUMNS)
    .where(*_before, _of_item, _event.user_id != bindparam("exclude_user", type_=Text))
    .order_by(*_latest_first)
    .limit(bindparam("last", type_=Integer))
)
_ITEM_STATISTICS = (
    select(
        _event.item_id,
        func.count(),
        func.count(_event.rating),
        func.sum(_event.rating),
        func.sum(_event.rating * _event.rating),
    )
    .where(
        *_before,
        _event.item_id.in_(bindparam("item_ids", type_=Text, expanding=True)),
        _event.user_id != bindparam("exclude_user", type_=Text),
    )
    .group_by(_event.item_id)
)
_fans = (
    select(_event.user_id)
    .where(
        *_before,
        _event.item_id.in_(bindparam("beside", type_=Text, expanding=True)),
        _event.user_id != bindparam("exclude_user", type_=Text),
    )
    .distinct()
    .subquery()
)
_also = interactions.alias("also")
_COMPANY = (
    select(_also.c.item_id, func.count())
    .select_from(_fans.join(_also, _also.c.user_id == _fans.c.user_id))
    .where(
        _also.c.tenant == _tenant,
        _also.c.at < bindparam("as_of", type_=BigInteger),
        _also.c.item_id.in_(bindparam("item_ids", type_=Text, expanding=True)),
    )
    .group_by(_also.c.item_id)
)
_seen = func.count().label("seen")
_POPULAR = (
    select(_event.item_id, _seen)
    .where(*_before, _event.item_id.is_not(None))
    .group_by(_event.item_id)
    .order_by(_seen.desc(), _event.item_id)
    .limit(bindparam("limit", type_=Integer))
)
_SCALE = select(
    func.min(_event.rating), func.max(_event.rating), func.avg(_event.rating), func.count(_event.rating)
).where(*_before)
_SCALES = {
    (True, False): _SCALE.where(_of_user),
    (False, True): _SCALE.where(_of_item),
    (True, True): _SCALE.where(_of_user, _of_item),
}
_RATINGS = (
    select(_event.rating, func.count())
    .where(*_before, _event.rating.is_not(None))
    .group_by(_event.rating)
    .order_by(_event.rating)
)
_HAS_USER = select(literal(1)).where(
    users.c.tenant == _tenant, users.c.user_id == bindparam("user_id", type_=Text)
)
_USERS = (
    select(users.c.user_id)
    .where(users.c.tenant == _tenant, users.c.user_id > bindparam("after", type_=Text))
    .order_by(users.c.user_id)
    .limit(bindparam("limit", type_=Integer))
)
_OTHERS = (
    select(users.c.user_id)
    .where(
        users.c.tenant == _tenant,
        users.c.user_id != bindparam("user_id", type_=Text),
        users.c.first_at < bindparam("as_of", type_=BigInteger),
        users.c.shuffle >= bindparam("low", type_=BigInteger),
        users.c.shuffle < bindparam("high", type_=BigInteger),
    )
    .order_by(users.c.shuffle, users.c.user_id)
    .limit(bindparam("limit", type_=Integer))
)
_FIRST_SEEN = (
    select(_event.user_id, func.min(_event.at).label("first_at"))
    .where(_event.tenant == _tenant, _event.event_id.in_(bindparam("event_ids", type_=Text, expanding=True)))
    .group_by(_event.user_id)
)
_STATE = select(tenants.c.generation, tenants.c.newest).where(tenants.c.tenant == _tenant)
_newest = bindparam("latest", type_=BigInteger)
_ADVANCE = (
    update(tenants)
    .where(tenants.c.tenant == bindparam("mine", type_=Text))
    .values(
        generation=tenants.c.generation + 1,
        newest=case((tenants.c.newest < _newest, _newest), else_=tenants.c.newest),
    )
)
_KEEP_EVENTS = Insert(interactions)
_KEEP_TENANT = Insert(tenants)
_SEE_USERS = Insert(users, "lower", "first_at")


class State(NamedTuple):
    """What a tenant's interactions are at a moment; equal states hold the same interactions."""

    generation: int
    newest: int


def state(connection: Connection, tenant: str) -> State:
    """Return the tenant's present state."""
    row = connection.execute(_STATE, {"tenant": tenant}).one_or_none()
    return State(0, 0) if row is None else State(*row)


def record(connection: Connection, tenant: str, events: Sequence[Interaction]) -> Recorded:
    """Insert what is new and was not forgotten."""
    rows = _rows(tenant, events)
    given = len(rows)
    gone = forgotten_events(connection, tenant, map(_named, rows))
    rows = [row for row in rows if row[_EVENT] not in gone] if gone else rows
    added = _KEEP_EVENTS.run_tuples(connection, _ROW, rows)
    if added:
        _see_users(connection, tenant, rows, all_new=added == len(rows))
        latest = max(row[_AT] for row in rows)
        _KEEP_TENANT.run(connection, [{"tenant": tenant, "generation": 0, "newest": latest}])
        connection.execute(_ADVANCE, {"mine": tenant, "latest": latest})
    return Recorded(added=added, repeated=len(rows) - added, forgotten=given - len(rows))


def _rows(tenant: str, events: Sequence[Interaction]) -> list[EventRow]:
    """Return interactions as rows in event order.

    PostgreSQL text cannot hold NUL, so it becomes U+FFFD in a user's words, in every database alike.
    """
    rows: list[EventRow] = [
        (
            tenant,
            event.event_id,
            event.user_id,
            event.item_id,
            event.kind,
            micros(event.at),
            event.rating,
            event.text and event.text.replace("\0", "\ufffd"),
        )
        for event in events
    ]
    rows.sort(key=itemgetter(_EVENT))
    return rows


def _named(row: EventRow) -> Named:
    return Named(row[_EVENT], row[_USER], row[_ITEM], row[_AT])


def _see_users(connection: Connection, tenant: str, rows: Sequence[EventRow], *, all_new: bool) -> None:
    """Keep whose events were added and when each user was first seen."""
    first_at: dict[str, int] = {}
    if all_new:
        for row in rows:
            user_id, at = row[_USER], row[_AT]
            if at < first_at.get(user_id, at + 1):
                first_at[user_id] = at
    else:  # a row that was refused may name another user than the one that is stored
        for part in chunks(row[_EVENT] for row in rows):
            for user_id, at in connection.execute(_FIRST_SEEN, {"tenant": tenant, "event_ids": part}):
                first_at[user_id] = min(at, first_at.get(user_id, at))
    see_users(connection, tenant, first_at)


def see_users(connection: Connection, tenant: str, first_at: Mapping[str, int]) -> None:
    """List users with the moment they were first seen; an earlier one stays."""
    _SEE_USERS.run(
        connection,
        [
            {"tenant": tenant, "user_id": user_id, "first_at": at, "shuffle": _shuffled(user_id)}
            for user_id, at in sorted(first_at.items())
        ],
    )


def history(
    connection: Connection, tenant: str, user_id: str, as_of: datetime, last: int | None
) -> list[Interaction]:
    """Return a user's last interactions, oldest first."""
    limit = NO_LIMIT if last is None else last
    values = {"tenant": tenant, "as_of": micros(as_of), "user_id": user_id, "last": limit}
    return oldest_first(connection.execute(_HISTORY, values).all())


def history_page(
    connection: Connection, tenant: str, user_id: str, before: tuple[datetime, str], limit: int
) -> list[Interaction]:
    """Return a user's last interactions before a moment and an event id, newest first."""
    at, event_id = before
    values = {"tenant": tenant, "user_id": user_id, "at": micros(at), "event_id": event_id, "last": limit}
    return oldest_first(connection.execute(_HISTORY_PAGE, values).all())[::-1]


def had_items(connection: Connection, tenant: str, user_id: str, as_of: datetime) -> list[str]:
    """Return the items a user had, by id."""
    values = {"tenant": tenant, "as_of": micros(as_of), "user_id": user_id}
    return [str(item_id) for item_id in connection.execute(_HAD_ITEMS, values).scalars()]


def item_history(
    connection: Connection, tenant: str, item_id: str, as_of: datetime, exclude_user: str | None, last: int
) -> list[Interaction]:
    """Return the last interactions with an item, oldest first."""
    values = {"tenant": tenant, "as_of": micros(as_of), "item_id": item_id, "last": last}
    values["exclude_user"] = exclude_user or ""  # no id is empty
    return oldest_first(connection.execute(_ITEM_HISTORY, values).all())


def item_statistics(
    connection: Connection, tenant: str, item_ids: Sequence[str], as_of: datetime, exclude_user: str | None
) -> dict[str, ItemStatistics]:
    """Return what others did with items, in numbers."""
    found: dict[str, ItemStatistics] = {}
    values: dict[str, Any] = {"tenant": tenant, "as_of": micros(as_of), "exclude_user": exclude_user or ""}
    for part in chunks(item_ids):
        rows = connection.execute(_ITEM_STATISTICS, {**values, "item_ids": part})
        for item_id, events, ratings, total, squares in rows:
            mean = total / ratings if ratings else 0.0
            variance = max(0.0, squares / ratings - mean * mean) if ratings else 0.0
            found[item_id] = ItemStatistics(events, ratings, mean, math.sqrt(variance))
    return found


def company(
    connection: Connection,
    tenant: str,
    item_ids: Sequence[str],
    beside: Sequence[str],
    as_of: datetime,
    exclude_user: str,
) -> dict[str, int]:
    """Return how many interactions with items are by others who had one of those beside."""
    if not beside:
        return {}
    values = {"tenant": tenant, "as_of": micros(as_of), "exclude_user": exclude_user, "beside": list(beside)}
    found: dict[str, int] = {}
    for part in chunks(item_ids):
        rows = connection.execute(_COMPANY, {**values, "item_ids": part})
        found |= {item_id: count for item_id, count in rows}
    return found


def popular(connection: Connection, tenant: str, as_of: int, limit: int) -> list[tuple[str, int]]:
    """Return items by number of interactions before `as_of` in microseconds."""
    rows = connection.execute(_POPULAR, {"tenant": tenant, "as_of": as_of, "limit": limit})
    return [(item_id, seen) for item_id, seen in rows]


def rating_scale(
    connection: Connection, tenant: str, as_of: datetime, user_id: str | None, item_id: str | None
) -> RatingScale | None:
    """Return the ratings by a user, of an item, or both, in numbers."""
    values: dict[str, Any] = {"tenant": tenant, "as_of": micros(as_of)}
    if user_id is not None:
        values["user_id"] = user_id
    if item_id is not None:
        values["item_id"] = item_id
    statement = _SCALES[user_id is not None, item_id is not None]
    low, high, mean, n = connection.execute(statement, values).one()
    return RatingScale(low=low, high=high, mean=mean, n=n) if n else None


def tenant_scale(connection: Connection, tenant: str, as_of: int) -> RatingScale | None:
    """Return all ratings before `as_of` in microseconds, in numbers; strays do not stretch the scale."""
    seen = [(float(rating), count) for rating, count in _ratings(connection, tenant, as_of)]
    n = sum(count for _, count in seen)
    if n == 0:
        return None
    return RatingScale(
        low=_behind(seen, n // STRAYS),
        high=_behind(reversed(seen), n // STRAYS),
        mean=math.fsum(rating * count for rating, count in seen) / n,
        n=n,
    )


def _ratings(connection: Connection, tenant: str, as_of: int) -> Sequence[Row[Any, Any]]:
    return connection.execute(_RATINGS, {"tenant": tenant, "as_of": as_of}).all()


def _behind(seen: Iterable[tuple[float, int]], passed_over: int) -> float:
    """Return the rating that follows the first `passed_over` ratings.

    Examples:
        >>> _behind([(0.0, 1), (1.0, 1), (2.0, 98)], 1)
        1.0
    """
    ratings = chain.from_iterable(repeat(rating, count) for rating, count in seen)
    return next(islice(ratings, passed_over, None))


def has_user(connection: Connection, tenant: str, user_id: str) -> bool:
    """Whether the user has interactions."""
    return connection.execute(_HAS_USER, {"tenant": tenant, "user_id": user_id}).first() is not None


def user_page(connection: Connection, tenant: str, after: str, limit: int) -> list[str]:
    """Return the next users in id order."""
    values = {"tenant": tenant, "after": after, "limit": limit}
    return list(connection.execute(_USERS, values).scalars())


def other_users(
    connection: Connection, tenant: str, user_id: str, as_of: datetime, limit: int, seed: int
) -> list[str]:
    """Return the users that follow a seeded place in the shuffled order, all the way round."""
    start = _shuffled(f"{seed} {user_id}")
    values: dict[str, Any] = {"tenant": tenant, "user_id": user_id, "as_of": micros(as_of)}
    found: list[str] = []
    for low, high in ((start, SHUFFLED), (0, start)):
        if len(found) < limit:
            values |= {"low": low, "high": high, "limit": limit - len(found)}
            found += connection.execute(_OTHERS, values).scalars()
    return found


def _shuffled(text: str) -> int:
    """Return a number below `SHUFFLED` that depends on the text and nothing else."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % SHUFFLED


def oldest_first(rows: Sequence[Row[Any, Any, Any, Any, Any, Any, Any]]) -> list[Interaction]:
    """Turn rows, newest first, into interactions."""
    return [
        checked_interaction(
            user_id=user_id,
            item_id=item_id,
            kind=kind,
            at=moment_at(at),
            rating=rating,
            text=text,
            event_id=event_id,
        )
        for user_id, item_id, kind, at, rating, text, event_id in reversed(rows)
    ]
