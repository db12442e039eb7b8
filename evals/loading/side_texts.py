"""Give events the texts that stand in another file: reviews of a published split, tags of a rating."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...tools.cells import BadField
from ..dataset import IntArray
from .columns import EventColumns, column, row_reader
from .sources import Source


class _Side(NamedTuple):
    key: int
    at: int
    text: str


def add_tags(sources: Sequence[Source], columns: EventColumns) -> list[str]:
    """Make tags the text of the event they belong to, if they were given by then.

    A tag that a user gave after the event belongs to a later moment than the event and would tell the future.
    """
    return _add(sources, columns, what="tags", exact=False)


def add_reviews(sources: Sequence[Source], columns: EventColumns) -> list[str]:
    """Give the events of a published split the texts of the reviews with the same user, item and moment."""
    return _add(sources, columns, what="reviews", exact=True)


def _add(sources: Sequence[Source], columns: EventColumns, *, what: str, exact: bool) -> list[str]:
    if not sources:
        return []
    sides: list[_Side] = []
    rows = sum(_read(source, columns, sides) for source in sources)
    wanted = _events_of(columns, np.unique([side.key for side in sides]).astype(np.int64))
    texts: defaultdict[int, list[str]] = defaultdict(list)
    used = 0
    for side in sides:
        for at, event in wanted.get(side.key, ()):
            if side.at == at if exact else side.at <= at:
                texts[event].append(side.text)
                used += 1
                break
    for event, parts in texts.items():
        columns.text[event] = columns.keep(parts[0] if exact else ", ".join(parts))
    why = "belong to no event of the split" if exact else "were given after the event, or without one"
    return [f"{used:,} of {rows:,} {what} used as text; the others {why}"]


def _read(source: Source, columns: EventColumns, sides: list[_Side]) -> int:
    """Collect the texts of users and items that have events; return how many rows were readable."""
    assert source.how is not None  # only sequence files have none
    read = row_reader(source, timed=source.how.timed)
    users, items = columns.users.numbers, columns.items.numbers
    rows = 0
    for line, row in source.rows():
        try:
            user, item, at, _, text = read(row)
        except BadField as error:
            source.reject(line, error)
            continue
        rows += 1
        if text and user in users and item in items:
            sides.append(_Side(users[user] * len(items) + items[item], at, text))
    return rows


def _events_of(columns: EventColumns, keys: IntArray) -> dict[int, list[tuple[int, int]]]:
    """Return time and place of the events with certain keys, oldest first."""
    at = column(columns.at)
    key = column(columns.user) * len(columns.items) + column(columns.item)
    found: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    rows = np.flatnonzero(np.isin(key, keys))
    for row in rows[np.argsort(at[rows], kind="stable")]:
        found[int(key[row])].append((int(at[row]), int(row)))
    return found
