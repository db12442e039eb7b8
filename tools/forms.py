"""Recognise what a table holds by its columns, and turn its rows into interactions and items.

Times: a number is seconds since 1970, or milliseconds where it is above 1e11; text is ISO 8601, UTC unless
it says otherwise. Where a file gives no time at all, the order of its rows counts seconds from 1970-01-01,
from 0 for each user; in a sequence the position does. A file has a time on every row or on none, because
the two kinds of time do not sort together.

A review is `Title. Text`. An interaction's `title` is the title of the review, never of the item.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import cast, get_args

from pydantic import ValidationError

from ..errors import SettingsError, UnknownFormatError
from ..records import Interaction, Item, Kind, checked_interaction
from .cells import BadField, gather, identifier, moment, number, pick, review, shown, split, words
from .conversations import Turns, conversation_of, turns_of
from .event_streams import event_ids, kind_named, names_of, spread
from .exports import Export, Read, Seen
from .layouts import FIELDS, FORMS, LAYOUTS, MERGED, Columns, Form, Layout, Made
from .readers import WHOLE_ROW, Fields

Convert = Callable[[Fields], Sequence[Interaction | Item]]

KINDS: frozenset[str] = frozenset(get_args(Kind))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    """Whose turns a chat's are, or whose export this is; absent to go by the rows."""

    kinds: Mapping[str, Kind] = dataclasses.field(default_factory=dict[str, Kind])
    """What the names of a stream's events stand for; those that are not here are passed over."""

    export: Export | None = None
    """The table of a service's export that this is; absent for all else."""

    seen: Seen = dataclasses.field(default_factory=Seen, compare=False)
    """What was said in other files of the same export."""

    @property
    def used(self) -> frozenset[str]:
        """The columns that are read; all others are ignored."""
        names = frozenset(name for names in self.columns.values() for name in names)
        return names | {name.partition(".")[0] for name in names} if self.makes == "events" else names

    @property
    def order(self) -> int:
        """Place among the files of a folder: catalogue first, then what goes into more detail."""
        if self.makes == "items":
            return -1
        return self.export.order if self.export else 0

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
        if self.makes == "events":
            return _Stream(self)
        if self.export is not None:
            return partial(_exported, self.export.read, self.user or "", self.seen)
        return _Events(self)


def recognise(
    file: str,
    sample: Sequence[Fields],
    *,
    form: str | None = None,
    mapping: Mapping[str, str] | None = None,
    kind: str = "purchase",
    user: str | None = None,
    kinds: Mapping[str, str] | None = None,
    seen: Seen | None = None,
) -> Recognised:
    """Tell from a file's first rows what it holds.

    Args:
        file: Name for error texts.
        sample: First rows; a column may be missing from some of them.
        form: One of `FORMS`; absent to go by the columns.
        mapping: Column to field, for columns with other names.
        kind: What an interaction with neither text nor rating is.
        user: Whose turns the user's turns of a chat are, or whose export this is.
        kinds: What the names of a stream's events stand for; then events with other names are passed over.
        seen: What was said in other files of the same export; more is added as rows are read.

    Raises:
        UnknownFormatError: The columns fit no form, or not the one that was named; or an export that does not say
            whose it is comes without `user`.
        SettingsError: `form`, `mapping`, `kind` or `kinds` names what does not exist.
    """
    mapping = mapping or {}
    if form is None and any("." in name and not any(name in row for row in sample) for name in mapping):
        form = "events"
    _check_arguments(form, mapping, kind, kinds or {})
    if form == "events":
        sample = [names_of(row) for row in sample]
    columns = tuple(dict.fromkeys(name for row in sample for name in row))
    if missing := [column for column in mapping if column not in columns]:
        raise UnknownFormatError(file, f"has no column {missing[0]!r} to map; it has {_listed(columns)}")
    present = {mapping.get(column, column) for column in columns}
    for layout in LAYOUTS:
        if form in (None, layout.form) and layout.fits(present, named=form is not None):
            if layout.export is not None and user is None:
                raise UnknownFormatError(
                    file, f"is an export of {layout.form} and does not say whose; say so with `--user`"
                )
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
                kinds=cast("Mapping[str, Kind]", kinds or {}),  # checked above
                export=layout.export,
                seen=Seen() if seen is None else seen,
            )
    wanted = f"form {form!r} needs other columns" if form else f"fits no form ({', '.join(FORMS)})"
    raise UnknownFormatError(
        file,
        f"has columns {_listed(columns)} and {wanted}; "
        "name them with `--map column=field` (for example `--map uid=user_id --map sku=item_id`) or "
        "choose the form with `--format`",
    )


def _check_arguments(
    form: str | None, mapping: Mapping[str, str], kind: str, kinds: Mapping[str, str]
) -> None:
    if form is not None and form not in FORMS:
        raise SettingsError("form", f"{form!r} is not one of {', '.join(FORMS)}")
    for name in (kind, *kinds.values()):
        if name not in KINDS:
            raise SettingsError("kind", f"{name!r} is not one of {', '.join(sorted(KINDS))}")
    if kinds and form != "events":
        raise SettingsError("event", "names of events are for streams; add `--format events`")
    fields = list(mapping.values())
    for field in fields:
        if field not in FIELDS:
            raise SettingsError("map", f"{field!r} is not a field; fields are {', '.join(FIELDS)}")
        if field not in MERGED and fields.count(field) > 1 and form != "events":
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


class _Stream:
    """Turns the events of an analytics tool into interactions."""

    def __init__(self, how: Recognised) -> None:
        self._columns, self._kinds = how.columns, how.kinds
        self._used = {name for names in how.columns.values() for name in names}
        self._events = _Events(how)

    def __call__(self, row: Fields) -> list[Interaction]:
        """Return the interactions of a row; none if its kind of event was not asked for."""
        events = list(spread(row, self._used))
        ids = event_ids(events[0], self._columns["event_id"], len(events)) if events else []
        kinds = self._columns["kind"]
        made: list[Interaction] = []
        for fields, event_id in zip(events, ids, strict=True):
            if self._kinds:
                kind = kind_named(fields, kinds, self._kinds)
                if kind is None:
                    continue
                fields[pick(fields, kinds)[0]] = kind
            if event_id is not None:
                fields[pick(fields, self._columns["event_id"])[0]] = event_id
            made += self._events(fields)
        return made


def _exported(read: Read, user: str, seen: Seen, row: Fields) -> Sequence[Interaction | Item]:
    """Return what a row of a service's export holds."""
    try:
        return read(row, user, seen)
    except ValidationError as error:
        raise _as_bad_field(error, {}) from error


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
