"""Groups as the store keeps them."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ...communities import Belonging, Community
from ...records import Moment, Record


class GroupingFacts(Record):
    """What all groups of one refresh have in common."""

    basis: str
    """Encoder, space and settings that users' vectors were made with; vectors of different bases never meet."""

    portraits: bool
    """Whether portraits spoke in users' vectors."""

    plan: str
    """Hash of how the groups were found; groups of another plan are found anew."""

    as_of: Moment
    """Nothing at or after this moment was used."""

    users: int
    """Users who belong somewhere."""

    moved: int = 0
    """Users recomputed since groups were last found anew."""

    centre: tuple[float, ...]
    """Mean of the users' vectors."""

    temperature: float
    most: int
    rounds: int
    blend: float
    """As in `tools.grouping.grouping.Groups`."""


class StoredGroup(NamedTuple):
    """One group of a refresh."""

    community: Community
    """Words, items and size."""

    items: Mapping[str, float]
    """How often members had items, by item id, weighted by membership; for scoring, never shown."""

    vector: bytes
    """What it stands for, little-endian float32."""


class Grouping(NamedTuple):
    """All groups of one refresh."""

    facts: GroupingFacts
    groups: Sequence[StoredGroup]


class MarkedUser(NamedTuple):
    """What a refresh made of one user."""

    mark: str
    """Hash of all that the vector rests on."""

    vector: bytes
    """Little-endian float32; empty if nothing the user had has a vector."""

    themes: tuple[str, ...] = ()
    """Interests that the user's portrait names; empty without one."""


class Choice(NamedTuple):
    """An interaction with an item, without its words."""

    item_id: str
    at: int
    """Microseconds since 1970."""

    rating: float | None
    event_id: str


class Placed(NamedTuple):
    """Everything a refresh writes."""

    grouping: Grouping
    everybody: Collection[str]
    """Users with a history; what is kept of others goes."""

    users: Mapping[str, MarkedUser]
    """Users who were recomputed."""

    belongings: Mapping[str, Sequence[Belonging]]
    """Where every user belongs, most first; users who belong nowhere are left out."""
