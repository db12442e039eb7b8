"""The catalogue on Chroma, embedded or a server."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from ...errors import UnknownItemError
from ...models import Facet
from ...records import Item, content_hash
from ..behalf import CATALOGUE, on_behalf
from ..catalogue import FacetHit, Hit
from ..embedder import Embedder, FloatArray
from ..encoders import CachedEmbedder
from .chroma_connection import ChromaConnection, connect
from .chroma_scrub import scrub_folder
from .chroma_shelf import ChromaShelf, Encoder

EXACT_LIMIT = 100_000
"""Vectors held in memory and scanned exactly: 150 MB at 384 dimensions. Above it Chroma searches."""

EMBED_BATCH = 512
"""Items embedded and written at a time; what an interrupted import does over again at most."""

PACE = 0.25
"""Seconds from one write of facets to the next: what is published meanwhile is written together, since Chroma
spends more on a write than on its vectors and lets no other thread run."""

_PROBE = "a"

Answer = TypeVar("Answer")


class _Publication(NamedTuple):
    """A user's facets on their way to Chroma."""

    facets: Sequence[Facet]
    vectors: FloatArray


@dataclass
class _Batch:
    """Publications that are written together, the last of each user."""

    publications: dict[str, _Publication] = field(default_factory=dict[str, _Publication])
    written: "Future[None]" = field(default_factory=Future[None])


class ChromaCatalogue:
    """A `Catalogue` kept by Chroma; open it with `open_catalogue`.

    Any number of tasks may use it at once. Each collection has one thread of its own, so calls never block the
    event loop and never meet. Facets published while another write is under way, or soon after it, are written
    together.
    `forget_user`, `forget_items`, `scrub` and `reset` also work on vectors of another encoder.
    """

    def __init__(
        self,
        connection: ChromaConnection,
        *,
        tenant: str,
        embedder: Embedder,
        exact_limit: int = EXACT_LIMIT,
        recheck: float = 1.0,
    ) -> None:
        """Use `open_catalogue` instead, unless the connection is open already.

        Args:
            connection: Where the vectors lie; closed by `aclose`.
            tenant: Whose vectors.
            embedder: Encodes items; not closed by `aclose`.
            exact_limit: Vectors held in memory and scanned exactly.
            recheck: Seconds for which another process's writes to a server may go unseen.
        """
        encoder = Encoder(embedder.name, embedder.dimension)
        self._connection = connection
        self._embedder = embedder
        # Every user's facets change all the time: a copy of a shared server's would be reloaded endlessly.
        facet_limit = 0 if connection.remote else exact_limit
        pause = recheck if connection.remote else 0.0
        self._items = ChromaShelf(
            connection, f"limner-{tenant}-items", encoder, exact_limit=exact_limit, recheck=pause
        )
        self._facets = ChromaShelf(
            connection,
            f"limner-{tenant}-facets",
            encoder,
            exact_limit=facet_limit,
            recheck=pause,
            group_by="user_id",
        )
        self._item_thread = ThreadPoolExecutor(1, "limner-items")
        self._facet_thread = ThreadPoolExecutor(1, "limner-facets")
        self._open_batch: _Batch | None = None
        self._guard = threading.Lock()
        self._closed = False
        self._next_write = 0.0

    async def check_encoder(self) -> None:
        """Raise `EncoderChangedError` if items or facets were indexed with another encoder."""
        await self._on_items(self._items.check)
        await self._on_facets(self._facets.check)

    async def upsert(self, items: Sequence[Item]) -> int:
        """Embed and index items in batches, each durable before the next; return how many changed."""
        texts = {item.item_id: item.describe() for item in items}
        hashes = {key: content_hash(text) for key, text in texts.items()}
        held = await self._on_items(lambda: self._items.rows(list(texts)))
        stale = [key for key, digest in hashes.items() if held.get(key, {}).get("hash") != digest]
        for start in range(0, len(stale), EMBED_BATCH):
            batch = stale[start : start + EMBED_BATCH]
            with on_behalf(CATALOGUE):
                vectors = await self._embedder.embed([texts[key] for key in batch])
            rows = [{"hash": hashes[key]} for key in batch]
            await self._on_items(partial(self._items.write, batch, vectors, rows))
        return len(stale)

    async def search(self, vectors: FloatArray, k: int, *, exclude: Collection[str] = ()) -> list[list[Hit]]:
        """Return the `k` nearest items of each row of `vectors`, best first, without `exclude`."""
        return await self._on_items(lambda: self._items.search(vectors, k, exclude=exclude))

    async def vectors(self, item_ids: Sequence[str]) -> FloatArray:
        """Return the vectors of items, shape `(len(item_ids), D)`, in order."""
        try:
            return await self._on_items(lambda: self._items.vectors(item_ids))
        except KeyError as error:
            raise UnknownItemError(str(error.args[0])) from error

    async def item_ids(self) -> list[str]:
        """Return every indexed id, sorted."""
        return await self._on_items(self._items.ids)

    async def publish_facets(self, user_id: str, facets: Sequence[Facet], vectors: FloatArray) -> None:
        """Replace a user's published facet vectors; durable when it returns."""
        expected = (len(facets), self._embedder.dimension)
        if vectors.shape != expected:
            raise ValueError(f"`vectors` {vectors.shape} must be {expected}: one row a facet")
        with self._guard:
            if self._open_batch is None:
                self._open_batch = batch = _Batch()
                batch.written = self._facet_thread.submit(self._write_batch, batch)
            batch = self._open_batch
            batch.publications[user_id] = _Publication(facets, vectors)
        # A caller that gives up must not cancel what others wait for.
        await asyncio.shield(asyncio.wrap_future(batch.written))

    async def similar_facets(self, vectors: FloatArray, k: int, *, exclude_user: str) -> list[list[FacetHit]]:
        """Return, for each row, the `k` nearest facets of other users, best first."""
        return await self._on_facets(lambda: self._similar(vectors, k, exclude_user))

    async def portrayed(self) -> dict[str, int]:
        """Return the users who have published facets, with how many."""
        ids = await self._on_facets(self._facets.ids)
        return Counter(key.rpartition("#")[0] for key in ids)

    async def forget_user(self, user_id: str) -> int:
        """Delete a user's vectors, whoever encoded them; return how many there were."""
        return await self._on_facets(lambda: self._facets.delete_group(user_id))

    async def forget_portraits(self) -> int:
        """Delete every user's vectors, whoever encoded them; return how many there were."""
        return await self._on_facets(self._facets.forget_all)

    async def forget_items(self, item_ids: Collection[str]) -> int:
        """Delete items' vectors, whoever encoded them; return how many there were."""
        return await self._on_items(lambda: self._items.forget(item_ids))

    async def scrub(self) -> None:
        """Rewrite the collections that something was forgotten of, then Chroma's own files; not those of a server."""
        if self._connection.remote:
            return
        await self._on_items(self._items.rewrite)
        await self._on_facets(self._facets.rewrite)
        await self._on_facets(lambda: scrub_folder(self._connection))

    async def reset(self) -> None:
        """Drop every vector of this tenant, so that the index can be filled by another encoder."""
        await self._on_items(self._items.reset)
        await self._on_facets(self._facets.reset)

    async def aclose(self) -> None:
        """Finish what was begun, then let go of Chroma; the embedder stays open."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._item_thread.shutdown()
        self._facet_thread.shutdown()
        self._connection.close()

    async def _on_items(self, action: Callable[[], Answer]) -> Answer:
        return await asyncio.wrap_future(self._item_thread.submit(action))

    async def _on_facets(self, action: Callable[[], Answer]) -> Answer:
        return await asyncio.wrap_future(self._facet_thread.submit(action))

    def _write_batch(self, batch: _Batch) -> None:
        time.sleep(max(0.0, self._next_write - time.monotonic()))
        with self._guard:
            self._open_batch = None
        self._replace(batch.publications)
        self._next_write = time.monotonic() + PACE

    def _replace(self, publications: dict[str, _Publication]) -> None:
        """Write the last publication of each user, then delete what it leaves over."""
        old = self._facets.grouped(publications)
        ids: list[str] = []
        rows: list[dict[str, str]] = []
        for user_id, publication in publications.items():
            ids += (f"{user_id}#{rank}" for rank in range(len(publication.facets)))
            rows += ({"user_id": user_id, "text": facet.text} for facet in publication.facets)
        if ids:
            vectors = [publication.vectors for publication in publications.values()]
            self._facets.write(ids, np.concatenate(vectors), rows)
        kept = set(ids)
        self._facets.delete([key for key in old if key not in kept])

    def _similar(self, vectors: FloatArray, k: int, exclude_user: str) -> list[list[FacetHit]]:
        own = self._facets.grouped([exclude_user])
        found = self._facets.search(vectors, k, exclude=own)
        rows = self._facets.rows([hit.id for hits in found for hit in hits])
        return [
            [
                FacetHit(rows[hit.id]["user_id"], rows[hit.id]["text"], hit.score)
                for hit in hits
                if hit.id in rows
            ]
            for hits in found
        ]


async def open_catalogue(
    *,
    folder: Path,
    chroma_url: str | None,
    tenant: str,
    embedder: Embedder,
    rebuild: bool = False,
    lock_wait: float = 5.0,
) -> ChromaCatalogue:
    """Open a tenant's catalogue.

    Args:
        folder: The store's folder; the embedded index lies in `folder/chroma`. Unused with `chroma_url`.
        chroma_url: `http://host:port` of a Chroma server; absent for the embedded index.
        tenant: Whose vectors.
        embedder: Encodes items; stays the caller's to close.
        rebuild: Open vectors of another encoder as well, so that `reset` can drop them, and empty an embedded
            index that is damaged beyond opening, which drops those of all tenants.
        lock_wait: Seconds to wait for another process to let go of the embedded index.

    Raises:
        EncoderChangedError: The index holds vectors of another encoder.
        ModelError: A remote encoder does not say how long its vectors are.
        StoreError: The index is damaged, in use by another process or out of reach.
        SettingsError: `chroma_url` is not a URL.
    """
    if (
        not embedder.dimension
    ):  # a remote encoder shows it with its first vector; a cache may know an older one
        fresh = embedder.encoder if rebuild and isinstance(embedder, CachedEmbedder) else embedder
        await fresh.embed([_PROBE])
    connection = await asyncio.to_thread(
        connect, folder / "chroma", chroma_url, wait=lock_wait, rebuild=rebuild
    )
    catalogue = ChromaCatalogue(connection, tenant=tenant, embedder=embedder)
    if rebuild:
        return catalogue
    try:
        await catalogue.check_encoder()
    except BaseException:
        await catalogue.aclose()
        raise
    return catalogue
