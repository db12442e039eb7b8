"""What can be wrong with a store, in plain words, and what is done about it."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ...records import Record

EXAMPLES = 5
"""Examples that are named of each kind."""

Key = tuple[str | int, ...]
"""Names one thing that is wrong: ids and numbers, never anybody's words."""


class Kind(NamedTuple):
    """A kind of damage."""

    what: str
    """What is wrong, behind a number."""

    remedy: str
    """What mending does; empty if nothing but a backup helps."""

    passing: bool = False
    """Whether it is made right by itself when it is needed next, and so nothing to worry about."""


_AGAIN = "removes them; they are made again when they are needed"

KINDS: Mapping[str, Kind] = {
    "database": Kind("faults in the database's own file", ""),
    "forgets": Kind("forgets begun and not finished", "finishes them"),
    "forgotten": Kind("events that were forgotten are there again", "forgets them again"),
    "unreadable_items": Kind("items cannot be read", ""),
    "unreadable": Kind("rows cannot be read", _AGAIN),
    "tenant": Kind("notes of the newest event are wrong", "writes them anew"),
    "unlisted_users": Kind("users have events and are on no list of users", "lists them"),
    "empty_users": Kind("users are listed and have no event", "takes them off the list"),
    "cues": Kind("cues rest on events that are gone", _AGAIN),
    "cued_events": Kind("marks say that events were read which are gone", "removes them"),
    "profiles": Kind("portraits cite events that are gone", "removes these versions; they are drawn anew"),
    "rollouts": Kind("drafts in the log are about users, or cite events, that are gone", "removes them"),
    "pairs": Kind("pairs are about users or items, or cite events, that are gone", _AGAIN),
    "cards": Kind("cards are about items, or cite events, that are gone", _AGAIN),
    "memberships": Kind("memberships are of users or in groups that are gone", "removes them"),
    "memory_vectors": Kind("vectors are of memories that are gone", "removes them"),
    "version_gaps": Kind(
        "versions of portraits are missing", "notes that they are gone, so that no number comes twice"
    ),
    "parents": Kind("versions name a version before them that is not there", "names the one they follow"),
    "jobs": Kind("jobs belong to a process that is gone", "has them taken up again"),
    "checkpoints": Kind("checkpoints are of runs that ended, or of users who are gone", "removes them"),
    "missing_items": Kind("items have no vector in the index yet", "encodes them", passing=True),
    "foreign_items": Kind("vectors in the index are of no item", "removes them"),
    "foreign_portraits": Kind("users in the index have no portrait", "removes their vectors"),
    "recommender": Kind(
        "recommender indexes cannot serve any more", "removes them; the next is built when it is asked"
    ),
    "parts": Kind("files were left half written", "removes them"),
}
"""By name, in the order of mending: what comes later rests on what comes before."""


class Damage(Record):
    """One kind of damage that was found."""

    kind: str
    """A name of `KINDS`; stable."""

    tenant: str
    """Whose."""

    count: int
    """How many."""

    examples: tuple[str, ...]
    """The first of them, by their ids."""

    @property
    def remedy(self) -> str:
        """What mending does; empty if nothing but a backup helps."""
        return KINDS[self.kind].remedy

    @property
    def passing(self) -> bool:
        """Whether it is made right by itself when it is needed next."""
        return KINDS[self.kind].passing

    def __str__(self) -> str:
        """Say what is wrong, with examples."""
        shown = ", ".join(self.examples) + (", …" if self.count > len(self.examples) else "")
        return f"{self.count:,} {KINDS[self.kind].what} ({shown})"


def damage(kind: str, tenant: str, keys: Iterable[Key]) -> list[Damage]:
    """Return the damage that some keys stand for; none if there are none.

    Examples:
        >>> [str(found) for found in damage("cues", "default", [("user:ada", "c1")])]
        ['1 cues rest on events that are gone (user:ada c1)']
        >>> damage("cues", "default", [])
        []
    """
    found = sorted(set(keys), key=lambda key: tuple(map(str, key)))
    if not found:
        return []
    examples = tuple(" ".join(map(str, key)) for key in found[:EXAMPLES])
    return [Damage(kind=kind, tenant=tenant, count=len(found), examples=examples)]
