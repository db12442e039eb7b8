"""Which rows cite events, which of those are gone, and which rows cannot be read at all.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy import Connection, Table, select, tuple_

from ...cards import ItemCard
from ...models import Cue, Profile, Rollout
from ...pairings import Pair
from ...records import Item, Record
from ..integrity.damage import Key
from .sql_tables import cards, cues, interactions, items, pairs, profiles, rollouts
from .sql_upserts import chunks

_PAGE = 500


class Documents(NamedTuple):
    """A table whose rows hold a document."""

    table: Table
    model: type[Record]
    cites: Callable[[Mapping[str, Any]], Iterable[str]]
    """Event ids that a document names."""

    @property
    def key(self) -> list[Any]:
        """Columns that name a row of a tenant."""
        return [column for column in self.table.primary_key.columns if column.name != "tenant"]


def _by_claims(document: Mapping[str, Any]) -> Iterator[str]:
    for claim in document["claims"]:
        yield from claim["evidence"]


def _by_profile(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _by_claims(document)
    for event in document["recent"]:
        yield event["event_id"]


def _by_rollout(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _by_claims(document)
    yield from document["held"]


def _by_pair(document: Mapping[str, Any]) -> Iterator[str]:
    for reason in document["reasons"]:
        yield from reason["user_evidence"]
        yield from reason["item_evidence"]


def _by_card(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _by_claims(document)
    yield from document["evidence"]
    yield from document.get("read", ())


CITING: Mapping[str, Documents] = {
    "cues": Documents(cues, Cue, lambda document: document["evidence"]),
    "profiles": Documents(profiles, Profile, _by_profile),
    "pairs": Documents(pairs, Pair, _by_pair),
    "cards": Documents(cards, ItemCard, _by_card),
    "rollouts": Documents(rollouts, Rollout, _by_rollout),
}
"""Tables whose documents were made of events, by name."""

ITEMS = Documents(items, Item, lambda _: ())


def citing_gone(connection: Connection, tenant: str, documents: Documents) -> list[Key]:
    """Return the rows that cite an event which is not there."""
    found: list[Key] = []
    for page in _pages(connection, tenant, documents):
        cited = {key: _cited(data, documents) for key, data in page}
        there = _there(connection, tenant, {name for names in cited.values() for name in names})
        found += [key for key, names in cited.items() if names - there]
    return found


def cited_by(connection: Connection, tenant: str, documents: Documents, key: Key) -> set[str]:
    """Return the events that a row cites."""
    where = (column == value for column, value in zip(documents.key, key, strict=True))
    table = documents.table
    data = connection.execute(select(table.c.data).where(table.c.tenant == tenant, *where)).scalar_one()
    return _cited(data, documents)


def unreadable(connection: Connection, tenant: str, documents: Documents) -> list[Key]:
    """Return the rows whose document is none of its kind."""
    return [
        key
        for page in _pages(connection, tenant, documents)
        for key, data in page
        if not _fits(data, documents)
    ]


def _fits(data: str, documents: Documents) -> bool:
    try:
        documents.model.model_validate_json(data)
    except ValidationError:
        return False
    return True


def _cited(data: str, documents: Documents) -> set[str]:
    """Return what a document cites; nothing of one that cannot be read, which is another matter."""
    try:
        return set(documents.cites(json.loads(data)))
    except (ValueError, KeyError, TypeError):
        return set()


def _pages(connection: Connection, tenant: str, documents: Documents) -> Iterator[list[tuple[Key, str]]]:
    """Yield the rows of a table with their keys, some at a time."""
    table, key = documents.table, documents.key
    query = select(*key, table.c.data).where(table.c.tenant == tenant).order_by(*key).limit(_PAGE)
    after: Key | None = None
    while True:
        later = query if after is None else query.where(tuple_(*key) > tuple_(*after))
        page = [(tuple(row[:-1]), row.data) for row in connection.execute(later)]
        if not page:
            return
        yield page
        after = page[-1][0]


def _there(connection: Connection, tenant: str, event_ids: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for part in chunks(sorted(event_ids)):
        where = (interactions.c.tenant == tenant, interactions.c.event_id.in_(part))
        found.update(connection.execute(select(interactions.c.event_id).where(*where)).scalars())
    return found
