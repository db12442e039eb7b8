"""Events of the harness as Limner's own interactions, so that its store can keep them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from ...records import Interaction, Kind, content_hash
from ...tools.sql.sql_tables import EPOCH
from ..dataset import Events
from ..splits import Past

Clock = Literal["timestamps", "order"]


def moment_of(at: int, clock: Clock) -> datetime:
    """Return a moment in UTC; a place within a sequence counts seconds from 1970.

    Examples:
        >>> moment_of(3, "order").isoformat(), moment_of(3, "timestamps").isoformat()
        ('1970-01-01T00:00:03+00:00', '1970-01-01T00:00:00.000003+00:00')
    """
    return EPOCH + (timedelta(seconds=at) if clock == "order" else timedelta(microseconds=at))


def interactions_of(events: Events, past: Past) -> Iterator[Interaction]:
    """Yield events as interactions.

    Their ids are hashes: Limner orders events of one moment by id, and an order by item would say something.
    """
    clock = past.card.clock
    seen: dict[tuple[int, int, int], int] = {}
    users: list[int] = events.user.tolist()
    items: list[int] = events.item.tolist()
    moments: list[int] = events.at.tolist()
    ratings: list[float] = events.rating.tolist()
    for row, (user, item, at, rating) in enumerate(zip(users, items, moments, ratings, strict=True)):
        repeated = seen[user, item, at] = seen.get((user, item, at), -1) + 1
        text = events.text[row] if events.text is not None else ""
        rated = not np.isnan(rating)
        yield Interaction(
            event_id=content_hash(past.user_ids[user], past.items[item].item_id, at, repeated),
            user_id=past.user_ids[user],
            item_id=past.items[item].item_id,
            kind=_kind(rated=rated, spoken=bool(text)),
            at=moment_of(at, clock),
            rating=rating if rated else None,
            text=text or None,
        )


def _kind(*, rated: bool, spoken: bool) -> Kind:
    return "review" if spoken else "rating" if rated else "purchase"
