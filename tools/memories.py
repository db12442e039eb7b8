"""Memories: what assistants put away for one tenant, by namespace and key, with vectors to search them by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .sql.sql_engine import Engine

Namespace = tuple[str, ...]
"""Labels from broad to narrow, without dots; a dot in a user id is written as `user_label` does."""

USERS = ("users", "user")
"""Labels behind which a user id follows."""


class Spot(NamedTuple):
    """Where a memory lies."""

    namespace: Namespace
    key: str


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Something that was put away."""

    spot: Spot
    """Where it lies."""

    value: dict[str, Any]
    """What it is, as JSON gave it back."""

    paths: tuple[str, ...]
    """Parts of the value that are embedded, in LangGraph's notation; none if it is not searched by meaning."""

    created_at: datetime
    """When it was first put there."""

    updated_at: datetime
    """When it was last put there."""

    lifetime: timedelta | None
    """How long it stays after it was last touched; absent to stay."""


@dataclass(frozen=True, kw_only=True)
class Putting:
    """One write."""

    spot: Spot
    """Where to."""

    value: Mapping[str, Any] | None
    """What to keep; absent to delete."""

    paths: tuple[str, ...] = ()
    """See `Memory.paths`."""

    vectors: Mapping[str, bytes]
    """Little-endian float32 by a name within the memory."""

    user_id: str | None = None
    """Whom the writer knows it to be about; absent to go by the namespace."""

    lifetime: timedelta | None = None
    """See `Memory.lifetime`."""


class Memories:
    """The memories of one tenant; every write is durable when its call returns. What has expired is not there."""

    def __init__(self, engine: "Engine", tenant: str) -> None:
        self._engine, self._tenant = engine, tenant

    async def at(self, spots: Sequence[Spot], *, now: datetime) -> dict[Spot, Memory]:
        """Return the memories that exist."""
        from .sql import sql_memories

        return await self._engine.read(lambda db: sql_memories.at(db, self._tenant, spots, now))

    async def under(self, prefix: Namespace, *, now: datetime) -> list[Memory]:
        """Return what lies in a namespace and those below it, namespace by namespace, in the order of first puts."""
        from .sql import sql_memories

        return await self._engine.read(lambda db: sql_memories.under(db, self._tenant, prefix, now))

    async def vectors(self, prefix: Namespace, *, encoder: str) -> dict[Spot, list[bytes]]:
        """Return one encoder's vectors of what lies in a namespace and those below it."""
        from .sql import sql_memories

        return await self._engine.read(
            lambda db: sql_memories.vectors_under(db, self._tenant, prefix, encoder)
        )

    async def namespaces(self, *, now: datetime) -> list[Namespace]:
        """Return the namespaces that hold something, in order of their labels."""
        from .sql import sql_memories

        return await self._engine.read(lambda db: sql_memories.namespaces(db, self._tenant, now))

    async def put(self, puttings: Sequence[Putting], *, encoder: str, now: datetime) -> None:
        """Write, replace and delete in one transaction, and delete what has expired by then."""
        from .sql import sql_memories

        await self._engine.write(lambda db: sql_memories.put(db, self._tenant, puttings, encoder, now))

    async def add_vectors(self, found: Sequence[tuple[Memory, Mapping[str, bytes]]], *, encoder: str) -> None:
        """Keep vectors of memories that had none of this encoder; of one that was replaced meanwhile, nothing."""
        from .sql import sql_memories

        await self._engine.write(lambda db: sql_memories.add_vectors(db, self._tenant, found, encoder))

    async def touch(self, spots: Sequence[Spot], *, now: datetime) -> None:
        """Begin the lifetime of memories anew."""
        from .sql import sql_memories

        await self._engine.write(lambda db: sql_memories.touch(db, self._tenant, spots, now))

    async def sweep(self, *, now: datetime) -> int:
        """Delete what has expired; return how much."""
        from .sql import sql_memories

        return await self._engine.write(lambda db: sql_memories.sweep(db, self._tenant, now))


def user_label(user_id: str) -> str:
    """Write a user id as a label of a namespace: the dot, which separates labels, as `%2E`.

    Examples:
        >>> user_label("ada@example.org"), user_label("ada")
        ('ada@example%2Eorg', 'ada')
        >>> user_of_label(user_label("50%2E.x"))
        '50%2E.x'
    """
    return user_id.replace("%", "%25").replace(".", "%2E").replace("\x00", "%00")


def user_of_label(label: str) -> str:
    """Read what `user_label` wrote."""
    return label.replace("%00", "\x00").replace("%2E", ".").replace("%25", "%")


def owner_of(spot: Spot, user_id: str | None) -> str | None:
    """Return the user a memory is about; nothing if that cannot be told.

    It is the user the writer speaks for, if the spot names that user; else whoever follows a label of `USERS`, in the
    namespace or as the key.

    Examples:
        >>> owner_of(Spot(("memories", "ada"), "diet"), "ada"), owner_of(Spot(("recipes",), "soup"), "ada")
        ('ada', None)
        >>> owner_of(Spot(("users", "bo%2Eb", "notes"), "n1"), None), owner_of(Spot(("users",), "bo"), None)
        ('bo.b', 'bo')
    """
    labels = (*spot.namespace, spot.key)
    if user_id is not None and {user_id, user_label(user_id)} & set(labels):
        return user_id
    for place, label in enumerate(spot.namespace):
        if label in USERS:
            return user_of_label(labels[place + 1])
    return None
