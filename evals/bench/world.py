"""Invented people for benchmarks: as many as wanted, always the same, about the size of real histories."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ...records import Interaction, Item

ITEMS = 500
EVENTS = 12
"""Interactions of each user."""

WORDS = [
    "amber",
    "birch",
    "copper",
    "dusk",
    "ember",
    "fjord",
    "garden",
    "harbor",
    "island",
    "jungle",
    "kettle",
    "lantern",
    "meadow",
    "needle",
    "orchard",
    "paper",
    "quartz",
    "river",
    "saddle",
    "timber",
    "umber",
    "violet",
    "willow",
    "yarrow",
    "zephyr",
    "anchor",
    "basket",
    "candle",
    "dragon",
    "engine",
    "falcon",
    "glacier",
    "hammer",
    "iris",
    "jewel",
    "kayak",
    "linen",
    "magnet",
    "noodle",
    "ocean",
    "parrot",
    "quilt",
    "ribbon",
    "spiral",
    "thunder",
    "urchin",
    "velvet",
    "whale",
    "yacht",
    "zinc",
]

_START = datetime(2025, 1, 1, tzinfo=UTC)
_RATINGS = (2.0, 3.0, 4.0, 5.0, 5.0)


def invent_items(seed: int) -> list[Item]:
    """Return the catalogue; titles, labels and descriptions as long as a shop's."""
    draw = random.Random(seed)
    return [
        Item(
            item_id=f"i{number:03}",
            title=f"{draw.choice(WORDS).title()} {draw.choice(WORDS)} {draw.choice(WORDS)}",
            categories=(f"{draw.choice(WORDS)} {draw.choice(WORDS[:10])}",),
            tags=tuple(draw.sample(WORDS, 3)),
            description=" ".join(draw.choices(WORDS, k=20)),
        )
        for number in range(ITEMS)
    ]


def user_ids(users: int) -> list[str]:
    """Return the ids of the first users, in order.

    Examples:
        >>> user_ids(2)
        ['u00000', 'u00001']
    """
    return [f"u{number:05}" for number in range(users)]


def invent_histories(users: int, seed: int) -> Iterator[list[Interaction]]:
    """Yield the history of each user: reviewed and rated items, one a day."""
    for number, user_id in enumerate(user_ids(users)):
        draw = random.Random(f"{seed} {user_id}")
        start = _START + timedelta(hours=number % 1000)
        yield [
            Interaction(
                user_id=user_id,
                item_id=f"i{item:03}",
                kind="review",
                at=start + timedelta(days=day),
                rating=draw.choice(_RATINGS),
                text=" ".join(draw.choices(WORDS, k=12)),
            )
            for day, item in enumerate(draw.sample(range(ITEMS), EVENTS))
        ]
