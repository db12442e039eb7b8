"""Load a data set from a file or folder, whatever public form it has.

Rows stream through; only columns stay. Users and items are numbered at random, so that no number tells when
something first appeared. A bad row is left out, counted, and named on the card.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from ...errors import UnknownFormatError
from ...records import Item
from ..dataset import Dataset, Events, IntArray
from ..texts import Texts
from .cards import card_of
from .columns import EventColumns, column
from .item_files import Catalogue, read_items
from .ordering import TieShuffle, order_of, places, ranks_of, rising_share
from .side_texts import add_reviews, add_tags
from .sources import Source, sources_of

_T = TypeVar("_T")

_SUSPICIOUS = 0.55
"""Share of rising neighbours above which the card warns of an order by ids."""


def load(
    path: Path,
    *,
    seed: int,
    name: str | None = None,
    tie_shuffle: TieShuffle = "moments",
    catalogue: Catalogue = "all",
    text: bool = True,
) -> Dataset:
    """Load a data set.

    Known forms: `interactions`, `sequences`, `items` and `tags` as JSONL, CSV or Parquet; Amazon Reviews 2023
    (reviews, items, and the parts of a published split, whose texts come from the reviews beside them); Google
    Local (reviews, places); a MovieLens folder; sequence files with `user item item …` a line. All plain or
    gzipped.

    Args:
        path: A file of events, or a folder with files of events, items and tags.
        seed: Decides the numbering of users and items, and the order of what no clock tells apart.
        name: Name in results; absent for that of the folder or file. Known sets are known by it.
        tie_shuffle: `moments` shuffles each user's events of one moment. `rising-ids` does so where the source
            has times; where it has only an order, it takes each run of rising item ids for one moment, which
            bounds from above what an order by ids can give away. `none` keeps the order of the source.
        catalogue: Every item that a file describes, or only those with an event.
        text: Whether to keep the users' words; leaving them out saves memory.

    Raises:
        UnknownFormatError: Nothing there fits a form, a file has no usable row, or times are mixed with places.
    """
    sources = sources_of(path)
    columns = EventColumns(keep_text=text)
    boundaries, notes = _read_events(path, sources, columns)
    entries = read_items(_holding(sources, "items"), columns, catalogue=catalogue)
    notes += entries.notes
    notes += [
        f"{source.path.name}: {source.rejected.count:,} bad rows left out; {source.rejected.first}"
        for source in sources
        if source.rejected.count
    ]
    rng = np.random.default_rng(seed)
    new_user = rng.permutation(len(columns.users))
    new_item = rng.permutation(len(entries.items))
    events, found = _ordered(columns, new_user, new_item, entries.items, tie_shuffle, rng)
    forms = [source.form for source in sources if source.holds in ("events", "sequences")]
    card = card_of(
        name or _name_of(path),
        users=len(new_user),
        items=len(new_item),
        events=len(events),
        clock="timestamps" if columns.timed else "order",
        form=forms[0],
        notes=(*notes, *found),
    )
    return Dataset(
        card=card,
        items=_renumbered(entries.items, new_item),
        user_ids=_renumbered(list(columns.users.numbers), new_user),
        events=events,
        seed=seed,
        boundaries=boundaries,
    )


def _read_events(
    path: Path, sources: Sequence[Source], columns: EventColumns
) -> tuple[tuple[int, int] | None, list[str]]:
    """Read everything but items; return the boundaries of a published split, and notes."""
    events = [*_holding(sources, "events"), *_holding(sources, "sequences")]
    parts = [source for source in events if source.part is not None]
    if not events:
        raise UnknownFormatError(str(path), "has no file of interactions or sequences")
    spans: dict[str, tuple[int, int]] = {}
    for source in parts or events:
        before = len(columns)
        columns.read(source)
        at = column(columns.at[before:])
        low, high = spans.get(source.part or "", (int(at.min()), int(at.max())))
        spans[source.part or ""] = (min(low, int(at.min())), max(high, int(at.max())))
    notes = add_reviews([source for source in events if source not in parts], columns) if parts else []
    notes += add_tags(_holding(sources, "tags"), columns)
    boundaries = _boundaries(spans)
    if parts and boundaries is None:
        notes.append("the publisher's split is not one by moments; its parts were joined")
    return boundaries, notes


def _boundaries(spans: dict[str, tuple[int, int]]) -> tuple[int, int] | None:
    """Return where validation and test begin, if the parts follow one another in time."""
    if spans.keys() != {"train", "valid", "test"}:
        return None
    train, valid, test = spans["train"], spans["valid"], spans["test"]
    return (valid[0], test[0]) if train[1] < valid[0] and valid[1] < test[0] else None


def _holding(sources: Sequence[Source], holds: str) -> list[Source]:
    return [source for source in sources if source.holds == holds]


def _name_of(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.name.split(".")[0]


def _renumbered(entries: Sequence[_T], numbers: IntArray) -> tuple[_T, ...]:
    """Return the entries by their new numbers."""
    return tuple(entries[int(old)] for old in np.argsort(numbers).tolist())


def _ordered(
    columns: EventColumns,
    new_user: IntArray,
    new_item: IntArray,
    items: Sequence[Item],
    ties: TieShuffle,
    rng: np.random.Generator,
) -> tuple[Events, list[str]]:
    user, raw_item, at = new_user[column(columns.user)], column(columns.item), column(columns.at)
    timed = columns.timed
    rank = ranks_of([item.item_id for item in items])[raw_item]
    given = order_of(user, at, rank, timed=timed, ties="none", rng=rng)
    notes: list[str] = []
    share = rising_share(user[given], rank[given])
    if not timed and share > _SUSPICIOUS:
        notes.append(
            f"{share:.0%} of neighbouring events rise in the order of the source's item ids (50 % by chance)"
        )
    order = order_of(user, at, rank, timed=timed, ties=ties, rng=rng)
    if not timed and ties == "rising-ids":
        notes.append("runs of rising item ids were shuffled: an upper bound on what their order gives away")
    user = user[order]
    text: Texts | None = columns.texts.ordered(column(columns.text)[order]) if columns.texts.any else None
    rating = np.frombuffer(columns.rating, dtype=np.float32)[order]
    moments = at[order] if timed else places(user)
    return Events(user=user, item=new_item[raw_item[order]], at=moments, rating=rating, text=text), notes
