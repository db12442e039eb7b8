"""Read the catalogue of a data set: an entry for every item number, whether or not a file describes it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ...errors import UnknownFormatError
from ...records import Item
from ...tools.cells import BadField
from .columns import EventColumns, column
from .sources import Source

Catalogue = Literal["all", "chosen"]

_UNDATED = "user_tags"
"""Written by users at any time, perhaps after the question that is asked; no item text may hold them."""


class Entries(NamedTuple):
    """The catalogue, by item number."""

    items: list[Item]
    notes: list[str]


def read_items(sources: Sequence[Source], columns: EventColumns, *, catalogue: Catalogue) -> Entries:
    """Return the item of every number; items that only the files name get the next ones.

    Args:
        sources: Item files; of two entries for an item the later counts.
        columns: Events that were read before; their items have numbers.
        catalogue: `all`, or only items with an event, for files that describe far more than a set uses.

    Raises:
        UnknownFormatError: A file has no usable row.
    """
    found: dict[int, Item] = {}
    undated = 0
    chosen = len(columns.items)
    for source in sources:
        assert source.how is not None  # only sequence files have none
        convert = source.how.converter()
        usable = 0
        for line, row in source.rows():
            undated += bool(row.pop(_UNDATED, None))
            try:
                entry = cast(Item, convert(row)[0])  # an item file's rows hold one item each
            except BadField as error:
                source.reject(line, error)
                continue
            usable += 1
            if catalogue == "all" or entry.item_id in columns.items.numbers:
                found[columns.items(entry.item_id)] = entry
        if not usable:
            raise UnknownFormatError(str(source.path), f"has no usable row; {source.rejected.first}")
    ids = list(columns.items.numbers)
    items = [found.get(place) or Item(item_id=ids[place]) for place in range(len(ids))]
    notes = _notes(bool(sources), np.array([place not in found for place in range(chosen)]), columns)
    if undated:
        notes.append(f"`{_UNDATED}` of {undated:,} items left out: they have no date and may tell the future")
    return Entries(items, notes)


def _notes(described: bool, missing: NDArray[np.bool_], columns: EventColumns) -> list[str]:
    if not described:
        return ["no item file: items have no text"]
    if not missing.any():
        return []
    events = int(missing[column(columns.item)].sum())
    return [f"{int(missing.sum()):,} items of {events:,} events are in no item file: they have no text"]
