"""What services give people of themselves, read as interactions and items.

Goodreads (library export), Letterboxd (ratings, diary and reviews), Last.fm (scrobbles, as the usual exporters and its API
write them) and Amazon (order history). Such a file names no user. Each of its rows holds an event and what it was about;
item ids begin with the service's name, except that a product of Amazon's has its ASIN. Columns with addresses, payment,
private notes and the user's own shelves and tags are not read.
"""

import html
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..records import LONGEST_ID, Interaction, Item, Kind, content_hash
from .cells import BadField, identifier, moment, number, pick, shown, words
from .readers import Fields
from .schemas import is_array, is_object

Made = list[Interaction | Item]
Seen = set[tuple[str, ...]]
"""What other files of the same export have said already."""

Read = Callable[[Fields, str, Seen], Made]

_TAG = re.compile(r"<[^<>]{1,200}>")
_BREAK = re.compile(r"<br\s*/?>|</p>", re.IGNORECASE)
_SLASHED = re.compile(r"^\d{4}/\d{1,2}/\d{1,2}$")
_SPOKEN = re.compile(r"^(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}),? (\d{2}):(\d{2})$")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CANCELLED = frozenset({"cancelled", "canceled"})
_NO_TIME = "not available"
_ARTIST = ("artist", "Artist")
_TRACK = ("track", "Track", "name")
_PLAYED = ("uts", "utc_time", "date", "Date", "timestamp")


@dataclass(frozen=True, kw_only=True)
class Export:
    """One table of a service's export: how it is told apart and what a row of it becomes."""

    form: str
    needs: tuple[frozenset[str], ...]
    """Any of these sets of columns is enough to know it."""

    columns: tuple[str, ...]
    """All that is read."""

    read: Read
    order: int = 0
    """Place among the files of one export; what is said twice is taken from the first."""


def _goodreads(row: Fields, user: str, _seen: Seen) -> Made:
    book = identifier("Book Id", row.get("Book Id"))
    title = _title("Title", row)
    rating = number(*pick(row, ("My Rating",))) or None  # 0 stands for none
    text = _prose("My Review", row)
    author = words("Author", row.get("Author"))
    item = Item(item_id=f"goodreads:{book}", title=title, brand=author)
    if row.get("Exclusive Shelf") == "to-read" and not (rating or text):
        kind: Kind = "click"  # noted for later, not read
    else:
        kind = "review" if text else "rating" if rating is not None else "view"
    at = _time(*pick(row, ("Date Read", "Date Added")))
    return [item, _event(user, item, kind, at, rating=rating, text=text)]


def _film(row: Fields) -> Item:
    title = _title("Name", row)
    year = words("Year", row.get("Year"))
    # The address in `Letterboxd URI` is that of the diary's entry in one file and that of the film in another.
    name = f"{title} ({year})" if year else title
    return Item(item_id=_short(f"letterboxd:{name}"), title=name)


def _letterboxd_review(row: Fields, user: str, seen: Seen) -> Made:
    item = _film(row)
    logged, at = _time("Date", row.get("Date")), _time(*pick(row, ("Watched Date", "Date")))
    rating, text = number(*pick(row, ("Rating",))), _prose("Review", row)
    seen.add(("reviewed", user, item.item_id, str(at)))
    seen.add(("reviewed", user, item.item_id, str(logged)))
    if rating is not None:
        seen.add(("rated", user, item.item_id))
    return [item, _event(user, item, "review" if text else "view", at, rating=rating, text=text)]


def _letterboxd_diary(row: Fields, user: str, seen: Seen) -> Made:
    item = _film(row)
    at = _time(*pick(row, ("Watched Date", "Date")))
    rating = number(*pick(row, ("Rating",)))
    if ("reviewed", user, item.item_id, str(at)) in seen:
        return []
    if rating is not None:
        seen.add(("rated", user, item.item_id))
    return [item, _event(user, item, "view" if rating is None else "rating", at, rating=rating)]


def _letterboxd_rating(row: Fields, user: str, seen: Seen) -> Made:
    item = _film(row)
    rating = number(*pick(row, ("Rating",)))
    if rating is None:
        raise BadField("Rating", "is missing")
    if ("rated", user, item.item_id) in seen:
        return []
    return [item, _event(user, item, "rating", _time("Date", row.get("Date")), rating=rating)]


def _lastfm(row: Fields, user: str, _seen: Seen) -> Made:
    for column in ("scrobbles", "track", "recenttracks"):
        inside = row.get(column)
        if column == "recenttracks" and is_object(inside):
            inside = inside.get("track")
        if is_array(inside):
            return [made for scrobble in inside for made in _scrobble(_object(column, scrobble), user)]
    return _scrobble(row, user)


def _scrobble(row: Fields, user: str) -> Made:
    about = row.get("@attr")
    if is_object(about) and about.get("nowplaying"):  # it is not over, and has no time
        return []
    artist = words(*_named(row, _ARTIST))
    track = words(*_named(row, _TRACK))
    if artist is None or track is None:
        raise BadField("track" if artist else "artist", "is missing")
    item_id = _short(f"lastfm:{artist.casefold()}/{track.casefold()}")
    item = Item(item_id=item_id, title=track, brand=artist)
    column, played = pick(row, tuple(name for name in row if name in _PLAYED or name.startswith("Date#")))
    if is_object(played):
        column, played = f"{column}.uts", played.get("uts")
    return [item, _event(user, item, "view", _time(column, played))]


def _amazon_order(row: Fields, user: str, _seen: Seen) -> Made:
    if str(row.get("Order Status") or "").casefold() in _CANCELLED:
        return []
    product = identifier("ASIN", row.get("ASIN"))
    item = Item(item_id=product, title=_title("Product Name", row))
    column, ordered = pick(row, ("Order Date", "Ship Date"))
    order = words("Order ID", row.get("Order ID"))
    # A product that comes in two parcels has two rows and was bought once.
    event_id = None if order is None else content_hash("amazon_orders", user, order, product)
    return [item, _event(user, item, "purchase", _time(column, ordered), event_id=event_id)]


def _event(
    user: str,
    item: Item,
    kind: Kind,
    at: datetime,
    *,
    rating: float | None = None,
    text: str | None = None,
    event_id: str | None = None,
) -> Interaction:
    given: dict[str, Any] = {} if event_id is None else {"event_id": event_id}
    return Interaction(
        user_id=user, item_id=item.item_id, kind=kind, at=at, rating=rating, text=text, **given
    )


def _title(column: str, row: Fields) -> str:
    title = words(column, row.get(column))
    if title is None:
        raise BadField(column, "is missing")
    return title


def _prose(column: str, row: Fields) -> str | None:
    """Return text without the little HTML that such reviews carry."""
    text = words(column, row.get(column))
    if text is None:
        return None
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", text))).strip() or None


def _time(column: str, value: object) -> datetime:
    if isinstance(value, str):
        text = value.strip()
        if text.casefold() == _NO_TIME:
            value = None
        elif _SLASHED.match(text):
            year, month, day = (int(part) for part in text.split("/"))
            return _made_of(column, text, year, month, day)
        elif (spoken := _SPOKEN.match(text)) and spoken[2] in _MONTHS:
            day, month, year = int(spoken[1]), _MONTHS.index(spoken[2]) + 1, int(spoken[3])
            return _made_of(column, text, year, month, day, int(spoken[4]), int(spoken[5]))
        else:
            value = text
    return moment(column, value)


def _made_of(
    column: str, text: str, year: int, month: int, day: int, hour: int = 0, minute: int = 0
) -> datetime:
    try:
        found = datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError as error:
        raise BadField(column, f"{shown(text)} is no date: {error}") from error
    return moment(column, found)


def _named(row: Fields, columns: Iterable[str]) -> tuple[str, object]:
    """Return a name that stands by itself, or inside an object, as Last.fm's API gives it."""
    column, value = pick(row, tuple(columns))
    if is_object(value):
        return column, value.get("#text") or value.get("name")
    return column, value


def _object(column: str, value: object) -> Fields:
    if not is_object(value):
        raise BadField(column, f"must hold objects, got {shown(value)}")
    return dict(value)


def _short(item_id: str) -> str:
    """Keep an id within its limit; a hash stands for what is cut off."""
    if len(item_id) <= LONGEST_ID:
        return item_id
    return f"{item_id[: LONGEST_ID - 33]}#{content_hash(item_id)}"


def _sets(*needs: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(need.split("|")) for need in needs)


_FILM = ("Date", "Name", "Year")

EXPORTS = (
    Export(
        form="goodreads",
        needs=_sets("Book Id|Title|My Rating"),
        columns=(
            "Book Id",
            "Title",
            "Author",
            "My Rating",
            "My Review",
            "Date Read",
            "Date Added",
            "Exclusive Shelf",
        ),
        read=_goodreads,
    ),
    Export(
        form="letterboxd",
        needs=_sets("Name|Letterboxd URI|Review"),
        columns=(*_FILM, "Rating", "Review", "Watched Date"),
        read=_letterboxd_review,
    ),
    Export(
        form="letterboxd",
        needs=_sets("Name|Letterboxd URI|Watched Date"),
        columns=(*_FILM, "Rating", "Watched Date"),
        read=_letterboxd_diary,
        order=1,
    ),
    Export(
        form="letterboxd",
        needs=_sets("Name|Letterboxd URI|Rating"),
        columns=(*_FILM, "Rating"),
        read=_letterboxd_rating,
        order=2,
    ),
    Export(
        form="lastfm",
        needs=(
            *_sets("artist|track|uts", "artist|track|utc_time", "artist|track|date", "Artist|Track"),
            *_sets("artist|name|date", "scrobbles", "recenttracks", "track|@attr"),
        ),
        columns=(*_ARTIST, *_TRACK, *_PLAYED, "scrobbles", "recenttracks", "@attr"),
        read=_lastfm,
    ),
    Export(
        form="amazon_orders",
        needs=_sets("ASIN|Order ID|Order Date|Product Name"),
        columns=("ASIN", "Order ID", "Order Date", "Ship Date", "Product Name", "Order Status"),
        read=_amazon_order,
    ),
)
