"""Who the invented users of the benchmark `serve` are, what they care for, and what they ask."""

import random
from collections.abc import Iterator

from .world import WORDS

PHRASES = 1000
"""Different phrases, each encoded for real; the vector of a text lies near that of its phrase."""

_VERBS = ("Enjoys", "Wants", "Collects", "Prefers", "Avoids")
_THINGS = ("stories", "tools", "games", "recipes", "music", "trips")


def user_id_of(number: int) -> str:
    """Return the id of a user.

    Examples:
        >>> user_id_of(7)
        'u0000007'
    """
    return f"u{number:07}"


def phrases(seed: int) -> list[str]:
    """Return the phrases that cues are made of, each different."""
    draw = random.Random(f"{seed} phrases")
    found: dict[str, None] = {}
    while len(found) < PHRASES:
        words = draw.sample(WORDS, 2)
        found[f"{draw.choice(_VERBS)} {words[0]} {words[1]} {draw.choice(_THINGS)}"] = None
    return list(found)


def queries(seed: int | str) -> Iterator[str]:
    """Yield questions without end, no two alike."""
    draw = random.Random(f"{seed} queries")
    number = 0
    while True:
        number += 1
        first, second = draw.sample(WORDS, 2)
        yield f"Which {draw.choice(_THINGS)} about {first} and {second} would suit me on day {number}?"
