"""Invented people and what they do: every event carries a mark that is nowhere else."""

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from ...records import Item
from ..bench.world import WORDS, invent_items

START = datetime(2026, 1, 1, tzinfo=UTC)
BETWEEN = timedelta(minutes=1)
"""From one event to the next."""

ITEMS = 60
_KINDS = ("view", "click", "purchase", "rating", "review", "message")


_MARK = re.compile(r"zq(\d{6})v")


class Invented:
    """The world of one torture.

    Args:
        seed: Of everything.
        users: How many there are.
    """

    def __init__(self, seed: int, users: int) -> None:
        self.seed, self.users = seed, users
        self.items: list[Item] = invent_items(seed)[:ITEMS]

    def user_id(self, number: int) -> str:
        """Return a user's id."""
        return f"user-{number % self.users}"

    def mark(self, number: int) -> str:
        """Return what the text of an event, and nothing else, holds."""
        return f"zq{number:06d}v"

    def event(self, number: int) -> dict[str, Any]:
        """Return an event as it is recorded; three of four name themselves."""
        draw = random.Random(f"event {self.seed} {number}")
        kind = draw.choice(_KINDS)
        return {
            "user_id": self.user_id(draw.randrange(self.users)),
            "item_id": draw.choice(self.items).item_id if kind != "message" else None,
            "kind": kind,
            "at": (START + number * BETWEEN).isoformat(),
            "rating": draw.choice((1.0, 2.0, 4.0, 5.0)) if kind in ("rating", "review") else None,
            "text": " ".join([*draw.choices(WORDS, k=8), self.mark(number)]),
            **({"event_id": f"e{number}"} if number % 4 else {}),
        }

    def now(self, sent: int) -> datetime:
        """Return the moment at which so many events have happened."""
        return START + sent * BETWEEN - BETWEEN / 2


def number_of(text: str | None) -> int:
    """Return the number of the event whose text this is; -1 if it is none.

    Examples:
        >>> number_of("velvet zq000012v"), number_of("velvet")
        (12, -1)
    """
    found = _MARK.search(text or "")
    return int(found[1]) if found else -1
