"""Recognise what a table holds by its columns, and turn its rows into interactions and items.

Times: a number is seconds since 1970, or milliseconds where it is above 1e11; text is ISO 8601, UTC unless
it says otherwise. Where a file gives no time at all, the order of its rows counts seconds from 1970-01-01,
from 0 for each user; in a sequence the position does. A file has a time on every row or on none, because
the two kinds of time do not sort together.

A review is `Title. Text`. An interaction's `title` is the title of the review, never of the item.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal, cast, get_args

from pydantic import ValidationError

from ..errors import SettingsError, UnknownFormatError
from ..records import Interaction, Item, Kind, checked_interaction
from .cells import BadField, gather, identifier, moment, number, pick, review, shown, split, words
from .conversations import IDS, TIMES, USERS, Turns, conversation_of, turns_of
from .readers import WHOLE_ROW, Fields

Form = Literal["interactions", "sequences", "items", "movielens", "amazon2023", "messages", "chatgpt"]
Made = Literal["interactions", "sequences", "items", "turns"]
Columns = Mapping[str, tuple[str, ...]]
Convert = Callable[[Fields], list[Interaction] | list[Item]]

FORMS: tuple[Form, ...] = get_args(Form)
KINDS: frozenset[str] = frozenset(get_args(Kind))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MERGED = frozenset({"categories", "tags", "description"})
"""Fields that gather the words of several columns."""

EVENT_COLUMNS = {
    "user_id": ("user_id",),
    "item_id": ("item_id",),
    "rating": ("rating",),
    "timestamp": ("timestamp", "at"),
    "title": ("title",),
    "text": ("text", "tag"),
    "kind": ("kind",),
    "event_id": ("event_id",),
}
MOVIELENS_COLUMNS = {
    "user_id": ("userId",),
    "item_id": ("movieId",),
    "rating": ("rating",),
    "timestamp": ("timestamp",),
    "text": ("tag",),
}
AMAZON_COLUMNS = EVENT_COLUMNS | {"item_id": ("parent_asin", "asin")}
ITEM_COLUMNS = {
    "item_id": ("item_id",),
    "title": ("title", "text_id"),
    "brand": ("brand",),
    "categories": ("main_category", "categories", "category", "genres"),
    "tags": ("tags", "user_tags", "tmdb_keywords"),
    "description": ("description", "tmdb_overview", "features"),
}
MOVIE_COLUMNS = {"item_id": ("movieId",), "title": ("title",), "categories": ("genres",)}
META_COLUMNS = ITEM_COLUMNS | {"item_id": ("parent_asin",), "brand": ("store",)}
CHAT_COLUMNS = {
    **{name: (name,) for name in ("messages", "role", "content")},
    "conversation_id": IDS,
    "timestamp": TIMES,
    "user_id": USERS,
}
EXPORT_COLUMNS = {
    "mapping": ("mapping",),
    "current_node": ("current_node",),
    "conversation_id": IDS,
    "timestamp": TIMES,
}
ITEM_TEXT = tuple(name for field, names in ITEM_COLUMNS.items() if field != "item_id" for name in names)
FIELDS = tuple(dict.fromkeys([*EVENT_COLUMNS, "item_ids", *ITEM_COLUMNS]))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One table of one form: how it is told apart and which column means what."""

    form: Form
    makes: Made
    needs: tuple[frozenset[str], ...]
    """Any of these sets of columns is enough."""

    columns: Columns
    """Field to its columns; several are alternatives, best first, or are merged if in `MERGED`."""

    lacks: frozenset[str] = frozenset()
    """Columns that make the guess doubtful; they do not count if the form was named."""

    def fits(self, columns: Collection[str], *, named: bool) -> bool:
        """Whether a table with these columns can be read so."""
        present = frozenset(columns)
        doubtful = not named and bool(self.lacks & present)
        return not doubtful and any(need <= present for need in self.needs)


def _sets(*needs: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(need.split()) for need in needs)


LAYOUTS = (
    Layout(form="chatgpt", makes="turns", needs=_sets("mapping"), columns=EXPORT_COLUMNS),
    Layout(form="messages", makes="turns", needs=_sets("messages", "role content"), columns=CHAT_COLUMNS),
    Layout(
        form="movielens",
        makes="interactions",
        needs=_sets("userId movieId rating", "userId movieId tag"),
        columns=MOVIELENS_COLUMNS,
    ),
    Layout(form="movielens", makes="items", needs=_sets("movieId title"), columns=MOVIE_COLUMNS),
    Layout(
        form="amazon2023",
        makes="interactions",
        needs=_sets("user_id parent_asin", "user_id asin"),
        columns=AMAZON_COLUMNS,
        lacks=frozenset({"item_id", "item_ids"}),
    ),
    Layout(
        form="amazon2023",
        makes="items",
        needs=_sets("parent_asin title"),
        columns=META_COLUMNS,
        lacks=frozenset({"user_id", "item_id"}),
    ),
    Layout(
        form="sequences",
        makes="sequences",
        needs=_sets("user_id item_ids"),
        columns={"user_id": ("user_id",), "item_ids": ("item_ids",)},
    ),
    Layout(
        form="interactions",
        makes="interactions",
        needs=_sets("user_id item_id"),
        columns=EVENT_COLUMNS,
    ),
    Layout(
        form="items",
        makes="items",
        needs=tuple(frozenset({"item_id", name}) for name in ITEM_TEXT),
        columns=ITEM_COLUMNS,
        # An interaction file whose user column has another name looks much like an item file.
        lacks=frozenset({"user_id", "rating", "timestamp", "event_id"}),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What a table holds and how to read its rows."""

    form: Form
    makes: Made
    columns: Columns
    """Field to the columns of this file that feed it."""

    kind: Kind
    """Of an interaction with neither text nor rating."""

    timed: bool
    """Whether rows say when they happened."""

    user: str | None = None
    """Whose turns a chat's are; absent to go by the rows."""

    @property
    def used(self) -> frozenset[str]:
        """The columns that are read; all others are ignored."""
        return frozenset(name for names in self.columns.values() for name in names)

    def converter(self) -> Convert:
        """Return a new function from a row to what it holds. It raises `BadField`.

        It counts the order of untimed rows, so every reading of the file needs its own.
        """
        if self.makes == "items":
            return lambda row: [_item(row, self.columns)]
        if self.makes == "sequences":
            return lambda row: _sequence(row, self.columns, self.kind)
        if self.makes == "turns":
            return _Chats(self)
        return _Events(self)


def recognise(
    file: str,
    sample: Sequence[Fields],
    *,
    form: str | None = None,
    mapping: Mapping[str, str] | None = None,
    kind: str = "purchase",
    user: str | None = None,
) -> Recognised:
    """Tell from a file's first rows what it holds.

    Args:
        file: Name for error texts.
        sample: First rows; a column may be missing from some of them.
        form: One of `FORMS`; absent to go by the columns.
        mapping: Column to field, for columns with other names.
        kind: What an interaction with neither text nor rating is.
        user: Whose turns the user's turns of a chat are.

    Raises:
        UnknownFormatError: The columns fit no form, or not the one that was named.
        SettingsError: `form`, `mapping` or `kind` names what does not exist.
    """
    mapping = mapping or {}
    _check_arguments(form, mapping, kind)
    columns = tuple(dict.fromkeys(name for row in sample for name in row))
    if missing := [column for column in mapping if column not in columns]:
        raise UnknownFormatError(file, f"has no column {missing[0]!r} to map; it has {_listed(columns)}")
    seen = {mapping.get(column, column) for column in columns}
    for layout in LAYOUTS:
        if form in (None, layout.form) and layout.fits(seen, named=form is not None):
            bound = _bind(layout, columns, mapping)
            times = bound.get("timestamp", ())
            timed = any(row.get(name) not in (None, "") for row in sample for name in times)
            return Recognised(
                form=layout.form,
                makes=layout.makes,
                columns=bound,
                kind=cast(Kind, kind),  # checked above
                timed=timed,
                user=user,
            )
    wanted = f"form {form!r} needs other columns" if form else f"fits no form ({', '.join(FORMS)})"
    raise UnknownFormatError(
        file,
        f"has columns {_listed(columns)} and {wanted}; "
        "name them with `--map column=field` (for example `--map uid=user_id --map sku=item_id`) or "
        "choose the form with `--form`",
    )


def _check_arguments(form: str | None, mapping: Mapping[str, str], kind: str) -> None:
    if form is not None and form not in FORMS:
        raise SettingsError("form", f"{form!r} is not one of {', '.join(FORMS)}")
    if kind not in KINDS:
        raise SettingsError("kind", f"{kind!r} is not one of {', '.join(sorted(KINDS))}")
    fields = list(mapping.values())
    for field in fields:
        if field not in FIELDS:
            raise SettingsError("map", f"{field!r} is not a field; fields are {', '.join(FIELDS)}")
        if field not in MERGED and fields.count(field) > 1:
            raise SettingsError("map", f"field {field!r} is given two columns")


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(repr(column) for column in columns[:40])
    return f"{shown} and {len(columns) - 40} more" if len(columns) > 40 else shown


def _bind(layout: Layout, columns: Sequence[str], mapping: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Choose the columns of each field; a mapped column counts for nothing else."""
    bound: dict[str, tuple[str, ...]] = {}
    for field, names in layout.columns.items():
        given = tuple(column for column, target in mapping.items() if target == field)
        own = tuple(name for name in names if name not in mapping)
        if field in MERGED:
            bound[field] = given + own
        else:
            # A column that the first rows lack may still come later.
            bound[field] = given or tuple(sorted(own, key=lambda name: name not in columns))
    return bound


class _Events:
    """Turns rows into interactions and counts each user's rows where the file gives no times."""

    def __init__(self, how: Recognised) -> None:
        columns = how.columns
        self._kind: Kind = how.kind
        self._timed = how.timed
        self._rows: dict[str, int] = {}
        self._user, self._item = columns["user_id"], columns["item_id"]
        self._rating, self._time = columns["rating"], columns["timestamp"]
        self._title, self._text = columns.get("title", ()), columns["text"]
        self._given_kind, self._event = columns.get("kind", ()), columns.get("event_id", ())

    def __call__(self, row: Fields) -> list[Interaction]:
        """Return the one interaction of a row."""
        user = identifier(*pick(row, self._user))
        at = self._moment(row, user)
        text = review(words(*pick(row, self._title)), words(*pick(row, self._text)))
        rating = number(*pick(row, self._rating))
        kind = self._kind_of(row) or ("review" if text else self._kind if rating is None else "rating")
        column, value = pick(row, self._item)
        item = None if kind == "message" and value is None else identifier(column, value)
        column, value = pick(row, self._event)
        event = None if value is None else identifier(column, value)
        return [
            checked_interaction(
                user_id=user, item_id=item, kind=kind, at=at, rating=rating, text=text, event_id=event
            )
        ]

    def _moment(self, row: Fields, user: str) -> datetime:
        column, value = pick(row, self._time)
        if self._timed:
            return moment(column, value)
        # Counted before the rest is looked at: repairing a bad row must not move the rows behind it.
        position = self._rows.get(user, 0)
        self._rows[user] = position + 1
        if value is not None:
            raise BadField(column, "is given although the first rows of the file have no time")
        return EPOCH + timedelta(seconds=position)

    def _kind_of(self, row: Fields) -> Kind | None:
        if not self._given_kind:
            return None
        column, value = pick(row, self._given_kind)
        if value is None:
            return None
        if not isinstance(value, str) or value not in KINDS:
            raise BadField(column, f"{shown(value)} is not one of {', '.join(sorted(KINDS))}")
        return cast(Kind, value)  # checked in the line above


class _Chats:
    """Turns conversations, or the messages of one, into the user's own turns."""

    def __init__(self, how: Recognised) -> None:
        self._user, self._columns = how.user, how.columns
        self._loose: dict[str, Turns] = {}
        self._counts: dict[str, Iterator[int]] = {}

    def __call__(self, row: Fields) -> list[Interaction]:
        """Return the turns of a row; a row that is a message belongs to the one conversation of the file."""
        user = self._user or self._named(row)
        talk = conversation_of(row)
        if "role" in row and "messages" not in row and "mapping" not in row:
            made = self._loose.setdefault(user, Turns(user, None))
        else:
            made = Turns(user, talk.conversation_id)
        return turns_of(talk, made, self._counts.setdefault(user, count()))

    def _named(self, row: Fields) -> str:
        column, value = pick(row, self._columns.get("user_id", ()))
        if value is None:
            raise BadField("user_id", "is missing; say with `--user` whose turns they are")
        return identifier(column, value)


def _sequence(row: Fields, columns: Columns, kind: Kind) -> list[Interaction]:
    user = identifier(*pick(row, columns["user_id"]))
    column, value = pick(row, columns["item_ids"])
    entries = split(value, "|") if isinstance(value, str) else value
    if not isinstance(entries, list) or not entries:
        raise BadField(column, f"must be a list of at least one item id, got {shown(value)}")
    entries = cast(list[object], entries)  # each is checked in the next line
    items = [identifier(column, entry) for entry in entries]
    try:
        return [
            Interaction(user_id=user, item_id=item, kind=kind, at=EPOCH + timedelta(seconds=position))
            for position, item in enumerate(items)
        ]
    except ValidationError as error:
        raise _as_bad_field(error, {"user_id": columns["user_id"], "item_id": (column,)}) from error


def _item(row: Fields, columns: Columns) -> Item:
    item_id = identifier(*pick(row, columns["item_id"]))
    try:
        return Item(
            item_id=item_id,
            title=words(*pick(row, columns["title"])) or "",
            brand=words(*pick(row, columns.get("brand", ()))),
            categories=gather(row, columns.get("categories", ()), "|"),
            tags=gather(row, columns.get("tags", ()), "|"),
            description=" ".join(gather(row, columns.get("description", ()), None)) or None,
        )
    except ValidationError as error:
        raise _as_bad_field(error, columns) from error


def _as_bad_field(error: ValidationError, columns: Columns) -> BadField:
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else WHOLE_ROW
    return BadField((columns.get(field) or (field,))[0], first["msg"])
