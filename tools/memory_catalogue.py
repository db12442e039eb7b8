"""A double of the catalogue: exact search in memory."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..errors import EncoderChangedError, UnknownItemError
from ..models import Facet
from ..records import Item
from .catalogue import FacetHit, Hit
from .embedder import Embedder, FloatArray
from .vector_table import LabelledTable

GROUPS = {"items": None, "facets": "user_id"}


@dataclass
class _Shelf:
    """One tenant's items or facets."""

    encoder: str
    held: LabelledTable


@dataclass
class MemoryIndex:
    """What a database would keep: give one to several catalogues to share it between tenants or encoders."""

    shelves: dict[str, _Shelf] = field(default_factory=dict[str, _Shelf])


class MemoryCatalogue:
    """A `Catalogue` that lasts as long as its `index` does. For tests, benchmarks and short-lived use."""

    def __init__(
        self, embedder: Embedder, *, tenant: str = "default", index: MemoryIndex | None = None
    ) -> None:
        self._embedder = embedder
        self._tenant = tenant
        self._index = index if index is not None else MemoryIndex()

    async def upsert(self, items: Sequence[Item]) -> int:
        """Embed and index items; return how many were new or had changed text."""
        held = self._held("items")
        texts = {item.item_id: item.describe() for item in items}
        stale = [key for key, text in texts.items() if held.rows.get(key) != {"text": text}]
        if stale:
            vectors = await self._embedder.embed([texts[key] for key in stale])
            held.put(stale, vectors, [{"text": texts[key]} for key in stale])
        return len(stale)

    async def search(self, vectors: FloatArray, k: int, *, exclude: Collection[str] = ()) -> list[list[Hit]]:
        """Return the `k` nearest items of each row of `vectors`, best first, without `exclude`."""
        return self._held("items").table.search(vectors, k, exclude=exclude)

    async def vectors(self, item_ids: Sequence[str]) -> FloatArray:
        """Return the vectors of items, shape `(len(item_ids), D)`, in order."""
        try:
            return self._held("items").table.take(item_ids)
        except KeyError as error:
            raise UnknownItemError(str(error.args[0])) from error

    async def item_ids(self) -> list[str]:
        """Return every indexed id, sorted."""
        return list(self._held("items").table.ids)

    async def publish_facets(self, user_id: str, facets: Sequence[Facet], vectors: FloatArray) -> None:
        """Replace a user's published facet vectors."""
        expected = (len(facets), self._embedder.dimension)
        if vectors.shape != expected:
            raise ValueError(f"`vectors` {vectors.shape} must be {expected}: one row a facet")
        held = self._held("facets")
        held.drop(held.group(user_id))
        ids = [f"{user_id}#{rank}" for rank in range(len(facets))]
        held.put(ids, vectors, [{"user_id": user_id, "text": facet.text} for facet in facets])

    async def similar_facets(self, vectors: FloatArray, k: int, *, exclude_user: str) -> list[list[FacetHit]]:
        """Return, for each row, the `k` nearest facets of other users, best first."""
        held = self._held("facets")
        found = held.table.search(vectors, k, exclude=held.group(exclude_user))
        return [
            [FacetHit(held.rows[hit.id]["user_id"], held.rows[hit.id]["text"], hit.score) for hit in hits]
            for hits in found
        ]

    async def portrayed(self) -> dict[str, int]:
        """Return the users who have published facets, with how many."""
        return Counter(row["user_id"] for row in self._held("facets").rows.values())

    async def forget_user(self, user_id: str) -> int:
        """Delete a user's vectors, whoever encoded them; return how many there were."""
        shelf = self._index.shelves.get(f"{self._tenant}-facets")
        return shelf.held.drop(shelf.held.group(user_id)) if shelf is not None else 0

    async def forget_portraits(self) -> int:
        """Delete every user's vectors; return how many there were."""
        shelf = self._index.shelves.get(f"{self._tenant}-facets")
        return shelf.held.drop(list(shelf.held.rows)) if shelf is not None else 0

    async def forget_items(self, item_ids: Collection[str]) -> int:
        """Delete items' vectors, whoever encoded them; return how many there were."""
        shelf = self._index.shelves.get(f"{self._tenant}-items")
        return shelf.held.drop(item_ids) if shelf is not None else 0

    async def scrub(self) -> None:
        """Do nothing: there are no files."""

    async def reset(self) -> None:
        """Drop every vector of this tenant, so that the index can be filled by another encoder."""
        for kind in ("items", "facets"):
            self._index.shelves.pop(f"{self._tenant}-{kind}", None)

    async def aclose(self) -> None:
        """Hold nothing."""

    def _held(self, kind: str) -> LabelledTable:
        name = f"{self._tenant}-{kind}"
        encoder = f"{self._embedder.name} ({self._embedder.dimension}-d)"
        shelf = self._index.shelves.get(name)
        if shelf is None:
            shelf = _Shelf(encoder, LabelledTable(self._embedder.dimension, group_by=GROUPS[kind]))
            self._index.shelves[name] = shelf
        if shelf.encoder != encoder:
            raise EncoderChangedError(name, shelf.encoder, encoder)
        return shelf.held
