"""Vectors of items, indexed on demand."""

from collections.abc import Sequence

from ..errors import UnknownItemError
from ..records import Item
from ..tools.catalogue import Catalogue
from ..tools.embedder import FloatArray


async def item_vectors(catalogue: Catalogue, items: Sequence[Item]) -> FloatArray:
    """Return the vectors of items, shape `(len(items), D)`; items that are not indexed yet are."""
    ids = [item.item_id for item in items]
    try:
        return await catalogue.vectors(ids)
    except UnknownItemError:
        await catalogue.upsert(items)
        return await catalogue.vectors(ids)
