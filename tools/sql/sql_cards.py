"""Cards of items, as rows.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Connection, Text, bindparam, func, select

from ...cards import ItemCard
from .sql_tables import cards, interactions, micros, moment_at
from .sql_tombstones import count as count_forgets
from .sql_upserts import Insert, chunks

_NEVER = -(2**62)
"""`read_to` of a card that no review stands behind."""

_tenant = bindparam("tenant", type_=Text)
_keys = bindparam("keys", type_=Text, expanding=True)

_CARDS = (
    select(cards.c.as_of, cards.c.data)
    .where(cards.c.tenant == _tenant, cards.c.fingerprint.in_(_keys))
    .order_by(cards.c.fingerprint, cards.c.item_id)
)
_place = (
    func.row_number()
    .over(
        partition_by=cards.c.item_id,
        order_by=(cards.c.read_to.desc(), cards.c.created.desc(), cards.c.fingerprint),
    )
    .label("place")
)
_placed = (
    select(cards.c.item_id, cards.c.as_of, cards.c.data, _place)
    .where(
        cards.c.tenant == _tenant,
        cards.c.item_id.in_(_keys),
        cards.c.as_of <= bindparam("as_of", type_=BigInteger),
    )
    .subquery()
)
_NEWEST = select(_placed.c.item_id, _placed.c.as_of, _placed.c.data).where(_placed.c.place == 1)
_THERE = select(interactions.c.event_id).where(
    interactions.c.tenant == _tenant, interactions.c.event_id.in_(_keys)
)
_LOWER = Insert(cards, "lower", "as_of")


def put_cards(connection: Connection, tenant: str, written: Sequence[ItemCard]) -> None:
    """Keep cards; one that is there keeps its words and the earlier moment.

    A card whose writer was shown a review that was forgotten since is not kept.
    """
    if count_forgets(connection, tenant):
        written = _still_shown(connection, tenant, written)
    rows = [
        {
            "tenant": tenant,
            "fingerprint": card.fingerprint,
            "item_id": card.item_id,
            "as_of": micros(card.as_of),
            "read_to": _NEVER if card.read_to is None else micros(card.read_to),
            "created": micros(card.created_at),
            "data": card.model_dump_json(),
        }
        for card in sorted(written, key=lambda card: (card.fingerprint, card.item_id))
    ]
    _LOWER.run(connection, rows)


def cards_of(connection: Connection, tenant: str, fingerprints: Sequence[str]) -> list[ItemCard]:
    """Return every card with one of these fingerprints, by fingerprint and item id."""
    return [
        _read(row.data, row.as_of)
        for part in chunks(sorted(set(fingerprints)))
        for row in connection.execute(_CARDS, {"tenant": tenant, "keys": part})
    ]


def newest_cards(
    connection: Connection, tenant: str, item_ids: Sequence[str], as_of: int
) -> dict[str, ItemCard]:
    """Return each item's newest card up to a moment in microseconds."""
    return {
        row.item_id: _read(row.data, row.as_of)
        for part in chunks(item_ids)
        for row in connection.execute(_NEWEST, {"tenant": tenant, "keys": part, "as_of": as_of})
    }


def _read(data: str, as_of: int) -> ItemCard:
    return ItemCard.model_validate_json(data).model_copy(update={"as_of": moment_at(as_of)})


def _still_shown(connection: Connection, tenant: str, written: Sequence[ItemCard]) -> list[ItemCard]:
    """Return the cards of which every review is still there."""
    shown = sorted({event_id for card in written for event_id in card.read})
    there = {
        event_id
        for part in chunks(shown)
        for event_id in connection.execute(_THERE, {"tenant": tenant, "keys": part}).scalars()
    }
    return [card for card in written if there.issuperset(card.read)]
