"""The catalogue door: items and portraits by meaning."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from ..models import Facet
from ..records import Item
from .embedder import FloatArray


class Hit(NamedTuple):
    """One search result."""

    id: str
    score: float
    """Cosine similarity."""


class FacetHit(NamedTuple):
    """The closest sentence of somebody else's portrait."""

    user_id: str
    text: str
    score: float
    """Cosine similarity."""


class Catalogue(Protocol):
    """Vectors of items and of published facets, for one tenant and one encoder.

    Every method raises `EncoderChangedError` if the index holds vectors of another encoder.
    """

    async def upsert(self, items: Sequence[Item]) -> int:
        """Embed and index items in batches; return how many were new or had changed text."""
        ...

    async def search(self, vectors: FloatArray, k: int, *, exclude: Collection[str] = ()) -> list[list[Hit]]:
        """Return the `k` nearest items of each row of `vectors`, best first, without `exclude`."""
        ...

    async def vectors(self, item_ids: Sequence[str]) -> FloatArray:
        """Return the vectors of items, shape `(len(item_ids), D)`, in order.

        Raises:
            UnknownItemError: An id is not indexed.
        """
        ...

    async def item_ids(self) -> list[str]:
        """Return every indexed id, sorted."""
        ...

    async def publish_facets(self, user_id: str, facets: Sequence[Facet], vectors: FloatArray) -> None:
        """Replace a user's published facet vectors."""
        ...

    async def similar_facets(self, vectors: FloatArray, k: int, *, exclude_user: str) -> list[list[FacetHit]]:
        """Return, for each row, the `k` nearest facets of other users, best first."""
        ...

    async def portrayed(self) -> dict[str, int]:
        """Return the users who have published facets, with how many."""
        ...

    async def forget_user(self, user_id: str) -> int:
        """Delete a user's vectors; return how many there were."""
        ...

    async def forget_portraits(self) -> int:
        """Delete every user's vectors; return how many there were. `Limner.reindex` makes those of today's portraits."""
        ...

    async def forget_items(self, item_ids: Collection[str]) -> int:
        """Delete items' vectors, whoever encoded them; return how many there were."""
        ...

    async def scrub(self) -> None:
        """Rewrite the index's own files, so that they hold no byte of what was forgotten; a server keeps its own."""
        ...

    async def reset(self) -> None:
        """Drop every vector, so that the index can be filled by another encoder."""
        ...

    async def aclose(self) -> None:
        """Release what is held."""
        ...
