"""Other users' recent items: whom a portrait must not fit as well as its own user."""

import asyncio
from datetime import datetime

from ..tools.catalogue import Catalogue
from ..tools.embedder import FloatArray
from ..tools.store import Store
from .vectors import item_vectors

_KEPT_MOMENTS = 8


class Audience:
    """A seeded sample of users, read once for each `as_of` and shared by all runs of a batch."""

    def __init__(self, store: Store, catalogue: Catalogue, *, size: int, last: int, seed: int) -> None:
        self._store, self._catalogue = store, catalogue
        self._size, self._last, self._seed = size, last, seed
        self._lock = asyncio.Lock()
        self._read: dict[datetime, dict[str, FloatArray]] = {}

    async def others(self, user_id: str, *, as_of: datetime) -> tuple[FloatArray, ...]:
        """Return the recent item vectors of sampled users, without `user_id`; each has at least one row."""
        async with self._lock:
            if as_of not in self._read:
                while len(self._read) >= _KEPT_MOMENTS:
                    self._read.pop(next(iter(self._read)))
                self._read[as_of] = await self._sample(as_of)
        sample = self._read[as_of]
        return tuple(vectors for other, vectors in sample.items() if other != user_id)[: self._size]

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
