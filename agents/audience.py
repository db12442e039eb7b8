"""Other users' recent items: whom a portrait must not fit as well as its own user."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta

from ..tools.catalogue import Catalogue
from ..tools.embedder import FloatArray
from ..tools.store import Store
from .vectors import item_vectors

_KEPT_MOMENTS = 8
_FRESH = timedelta(minutes=10)


class Audience:
    """A seeded sample of users, read once for about the same `as_of` and shared by all runs of a batch."""

    def __init__(self, store: Store, catalogue: Catalogue, *, size: int, last: int, seed: int) -> None:
        self._store, self._catalogue = store, catalogue
        self._size, self._last, self._seed = size, last, seed
        self._lock = asyncio.Lock()
        self._read: dict[datetime, dict[str, FloatArray]] = {}

    async def others(
        self, user_id: str, *, as_of: datetime, without: Collection[str] = ()
    ) -> tuple[FloatArray, ...]:
        """Return the recent item vectors of sampled users; each has at least one row.

        Args:
            user_id: Who is under examination, and so left out.
            as_of: Exclusive bound. A sample read for a moment at most ten minutes earlier serves too.
            without: Further users to leave out.
        """
        async with self._lock:
            moment = next((read for read in self._read if timedelta(0) <= as_of - read <= _FRESH), as_of)
            if moment not in self._read:
                while len(self._read) >= _KEPT_MOMENTS:
                    self._read.pop(next(iter(self._read)))
                self._read[moment] = await self._sample(moment)
        sample = self._read[moment]
        left_out = {user_id, *without}
        return tuple(vectors for other, vectors in sample.items() if other not in left_out)[: self._size]

    def clear(self) -> None:
        """Read the sample anew the next time."""
        self._read.clear()

    async def _sample(self, as_of: datetime) -> dict[str, FloatArray]:
        """Read one user more than needed, since the user under examination may be among them."""
        users = await self._store.other_users("", as_of=as_of, limit=self._size + 1, seed=self._seed)
        sample: dict[str, FloatArray] = {}
        for user in users:
            events = await self._store.history(user, as_of=as_of, last=self._last)
            ids = list(dict.fromkeys(event.item_id for event in events if event.item_id))
            items = await self._store.items(ids)
            if items:
                sample[user] = await item_vectors(self._catalogue, list(items.values()))
        return sample
