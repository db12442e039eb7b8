"""One user's history without reading it whole: how far it reaches, and single interactions by their ids.

Every function runs inside the transaction of the connection it is given.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Connection, Text, bindparam, func, select

from ...records import Interaction
from ..reach import Reach
from .sql_events import COLUMNS, oldest_first
from .sql_tables import interactions, micros, moment_at
from .sql_upserts import chunks

_event = interactions.c
_mine = (
    _event.tenant == bindparam("tenant", type_=Text),
    _event.user_id == bindparam("user_id", type_=Text),
)
_REACH = select(func.count(), func.min(_event.at), func.max(_event.at)).where(
    *_mine, _event.at < bindparam("as_of", type_=BigInteger)
)
_EVENTS = select(*COLUMNS).where(
    *_mine, _event.event_id.in_(bindparam("event_ids", type_=Text, expanding=True))
)


def reach(connection: Connection, tenant: str, user_id: str, as_of: datetime) -> Reach | None:
    """Return how far a user's interactions before a moment reach; nothing without any."""
    values = {"tenant": tenant, "user_id": user_id, "as_of": micros(as_of)}
    events, first, last = connection.execute(_REACH, values).one()
    return Reach(events, moment_at(first), moment_at(last)) if events else None


def events(
    connection: Connection, tenant: str, user_id: str, event_ids: Sequence[str]
) -> dict[str, Interaction]:
    """Return those of a user's interactions that have these ids, by id."""
    found: dict[str, Interaction] = {}
    for part in chunks(event_ids):
        rows = connection.execute(_EVENTS, {"tenant": tenant, "user_id": user_id, "event_ids": part}).all()
        found |= {event.event_id: event for event in oldest_first(rows)}
    return found
