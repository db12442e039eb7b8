"""The map: the catalogue on a page, with what a user chose, how the portrait reads, and what is recommended."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

import numpy as np

from ...agents.publish_profiles import indexed_facets
from ...errors import InputError
from ...face import Limner
from ...models import Profile
from ...recommendations import Recommendation
from ...records import Item
from ...tools.embedder import FloatArray
from ...tools.forgetting.forget_files import MAPS
from ..statements import day_of, deed_of
from .deeds import last_with_items
from .portrait_view import Head, head_of
from .projection import Projection, fit_projection, keep_projection, read_projection, sample_ids

WIDTH, HEIGHT = 960.0, 640.0
POINTS = 2000
"""Items drawn at most."""

RECOMMENDED = 10
_CHOSEN = 60
"""The user's latest items that are marked, at most."""

_REGIONS = 12
_REGION_ITEMS = 3
_STEPS = (0.0, -30.0, 30.0, -60.0, 60.0)
"""How far from the middle of its items a region's name may stand, first choice first."""

_LETTER, _LINE = 9.5, 34.0
"""About how wide a letter of a region's name is, and how high its line, in the drawing's units."""

_LARGE = 2.2
"""How much larger names and marks are where the page is narrow; the stylesheet says the same."""

_RADII = ((300, 4.0), (900, 3.0))
_SMALLEST = 2.2

Kind = Literal["had", "recommended", "like", "dislike", "whole"]


class Dot(NamedTuple):
    """An item of the catalogue."""

    x: float
    y: float
    title: str


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something that concerns the user, drawn on the map and listed in the table."""

    x: float
    y: float
    kind: Kind
    label: str
    detail: str
    """What was done, why it is recommended, or nothing."""

    number: int = 0
    """Place among the recommendations; 0 for everything else."""

    item_id: str = ""


class Region(NamedTuple):
    """A part of the map, named by what lies there."""

    x: float
    y: float
    name: str


@dataclass(frozen=True, kw_only=True)
class MapView:
    """A drawing, ready for a template that only copies numbers."""

    head: Head
    dots: tuple[Dot, ...]
    marks: tuple[Mark, ...]
    regions: tuple[Region, ...]
    large_regions: tuple[Region, ...]
    """The same in larger letters, so fewer of them."""

    items: int
    """In the catalogue."""

    notes: tuple[str, ...]
    width: float = WIDTH
    height: float = HEIGHT

    @property
    def radius(self) -> float:
        """How large an item is drawn: the more there are, the smaller."""
        return next((radius for most, radius in _RADII if len(self.dots) <= most), _SMALLEST)

    def of(self, *kinds: Kind) -> tuple[Mark, ...]:
        """Return the marks of some kinds, in order."""
        return tuple(mark for mark in self.marks if mark.kind in kinds)


async def map_view(limner: Limner, user_id: str) -> MapView:
    """Lay out the catalogue with a user in it; no model but the encoder is asked.

    Raises:
        UnknownUserError: The user was never recorded.
    """
    head = await head_of(limner, user_id)
    catalogue = limner.doors.catalogue
    known = await catalogue.item_ids()
    if not known:
        empty = "The catalogue is empty: import an item file to see a map."
        return MapView(head=head, dots=(), marks=(), regions=(), large_regions=(), items=0, notes=(empty,))
    shown = sample_ids(known, POINTS)
    vectors, items = await asyncio.gather(catalogue.vectors(shown), limner.items(shown))
    projection = await asyncio.to_thread(_projection, limner, vectors, len(known))
    found, note = await _recommended(limner, user_id)
    marks = [
        *await _had_marks(limner, projection, user_id, frozenset(known)),
        *await _recommended_marks(limner, projection, found, frozenset(known)),
        *await _portrait_marks(limner, projection, head.profile),
    ]
    places = _on_page(projection.place(vectors))
    shown_items = [items.get(item_id) for item_id in shown]
    taken = [(mark.x, mark.y) for mark in marks if mark.kind in ("recommended", "whole")]
    return MapView(
        head=head,
        dots=tuple(Dot(x, y, _title(item)) for (x, y), item in zip(places, shown_items, strict=True)),
        marks=tuple(marks),
        regions=_regions(places, shown_items, taken),
        large_regions=_regions(places, shown_items, taken, size=_LARGE),
        items=len(known),
        notes=(note,) if note else (),
    )


def _projection(limner: Limner, vectors: FloatArray, items: int) -> Projection:
    """Return the kept axes, or find and keep new ones where they no longer fit."""
    encoder = limner.doors.embedder.name
    path = limner.settings.store / MAPS / f"{limner.settings.tenant}.npz"
    kept = read_projection(path)
    if kept and kept.fits(encoder, items) and kept.mean.shape == vectors.shape[1:]:
        return kept
    fitted = fit_projection(vectors, encoder=encoder, items=items)
    keep_projection(path, fitted)
    return fitted


async def _recommended(limner: Limner, user_id: str) -> tuple[Sequence[Recommendation], str]:
    try:
        found = await limner.recommend(user_id, k=RECOMMENDED)
    except InputError as error:
        return (), f"Nothing can be recommended yet: {error}."
    return found.items, " ".join(found.notes)


async def _had_marks(
    limner: Limner, projection: Projection, user_id: str, known: frozenset[str]
) -> list[Mark]:
    had = await last_with_items(limner, user_id)
    latest = dict(islice(((item_id, had[item_id]) for item_id in had if item_id in known), _CHOSEN))
    items = await limner.items(list(latest))
    places = _on_page(projection.place(await limner.doors.catalogue.vectors(list(latest)))) if latest else []
    return [
        Mark(
            x=x,
            y=y,
            kind="had",
            label=_title(items.get(item_id)),
            detail=f"{deed_of(event.kind, event.rating)}, {day_of(event.at)}",
            item_id=item_id,
        )
        for (x, y), (item_id, event) in zip(places, latest.items(), strict=True)
    ]


async def _recommended_marks(
    limner: Limner, projection: Projection, found: Sequence[Recommendation], known: frozenset[str]
) -> list[Mark]:
    placed = [one for one in found if one.item_id in known]
    if not placed:
        return []
    vectors = await limner.doors.catalogue.vectors([one.item_id for one in placed])
    return [
        Mark(
            x=x,
            y=y,
            kind="recommended",
            label=one.title or "Item without a title",
            detail=one.because,
            number=one.place,
            item_id=one.item_id,
        )
        for (x, y), one in zip(_on_page(projection.place(vectors)), placed, strict=True)
    ]


async def _portrait_marks(limner: Limner, projection: Projection, profile: Profile | None) -> list[Mark]:
    facets = indexed_facets(profile) if profile else []
    if not facets:
        return []
    vectors = await limner.doors.embedder.embed([facet.text for facet in facets])
    kinds: list[Kind] = ["dislike" if facet.polarity == "dislike" else "like" for facet in facets]
    kinds[-1] = "whole"
    return [
        Mark(
            x=x,
            y=y,
            kind=kind,
            label="The whole portrait" if kind == "whole" else facet.text,
            detail="" if kind == "whole" else facet.name,
        )
        for (x, y), facet, kind in zip(_on_page(projection.place(vectors)), facets, kinds, strict=True)
    ]


def _on_page(places: FloatArray) -> list[tuple[float, float]]:
    """Turn places between 0 and 1 into the drawing's units; the second axis points up."""
    return [(round(float(x) * WIDTH, 1), round((1.0 - float(y)) * HEIGHT, 1)) for x, y in places]


def _title(item: Item | None) -> str:
    return (item.title or item.describe(60)) if item else "Item without a title"


def _regions(
    places: Sequence[tuple[float, float]],
    items: Sequence[Item | None],
    taken: Sequence[tuple[float, float]],
    *,
    size: float = 1.0,
) -> tuple[Region, ...]:
    """Name parts of the map by their commonest categories, each near where its items lie and over nothing taken.

    Args:
        places: Where the items lie.
        items: What they are.
        taken: Where no name may stand.
        size: How much larger letters and marks are than usual.
    """
    by_name: dict[str, list[tuple[float, float]]] = {}
    for place, item in zip(places, items, strict=True):
        for name in (item.categories if item else ())[:2]:
            by_name.setdefault(name, []).append(place)
    common = sorted(
        (name for name, found in by_name.items() if len(found) >= _REGION_ITEMS),
        key=lambda name: (-len(by_name[name]), name),
    )
    regions: list[Region] = []
    line = _LINE * size
    for name in common[:_REGIONS]:
        x, y = (float(value) for value in np.median(by_name[name], axis=0))
        half = _half(name, size) + 8.0
        x = min(max(x, half), WIDTH - half)
        for step in _STEPS:
            base = min(max(y + step * size, line), HEIGHT - line)
            region = Region(round(x, 1), round(base, 1), name)
            if not any(_overlap(region, other, size) for other in regions) and not any(
                abs(region.y - 6.0 * size - top) < line * 0.7 and abs(x - left) < half + 10.0 * size
                for left, top in taken
            ):
                regions.append(region)
                break
    return tuple(regions)


def _half(name: str, size: float) -> float:
    """Return half of a name's width."""
    return len(name) * _LETTER * size / 2


def _overlap(one: Region, two: Region, size: float) -> bool:
    wide = _half(one.name, size) + _half(two.name, size) + 16.0
    return abs(one.y - two.y) < _LINE * size and abs(one.x - two.x) < wide
