"""The forms of table that are known: how each is told apart, and which column means what."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from .conversations import IDS, TIMES, USERS
from .event_streams import COLUMNS as STREAM_COLUMNS
from .event_streams import NEEDS as STREAM_NEEDS
from .exports import EXPORTS, Export

Form = Literal[
    "interactions",
    "sequences",
    "items",
    "movielens",
    "amazon2023",
    "messages",
    "chatgpt",
    "goodreads",
    "letterboxd",
    "lastfm",
    "amazon_orders",
    "events",
]
Made = Literal["interactions", "sequences", "items", "turns", "export", "events"]
Columns = Mapping[str, tuple[str, ...]]

FORMS: tuple[Form, ...] = get_args(Form)
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

    export: Export | None = None
    """What reads its rows, if it is a service's export."""

    lacks: frozenset[str] = frozenset()
    """Columns that make the guess doubtful; they do not count if the form was named."""

    asked: bool = False
    """Whether it is for those only who name it."""

    def fits(self, columns: Collection[str], *, named: bool) -> bool:
        """Whether a table with these columns can be read so."""
        present = frozenset(columns)
        doubtful = not named and (self.asked or bool(self.lacks & present))
        return not doubtful and any(need <= present for need in self.needs)


def _sets(*needs: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(need.split()) for need in needs)


def _of_export(export: Export) -> Layout:
    columns = {name: (name,) for name in export.columns}
    form = cast(Form, export.form)  # a test compares the lists
    return Layout(form=form, makes="export", needs=export.needs, columns=columns, export=export)


LAYOUTS = (
    *map(_of_export, EXPORTS),
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
    Layout(form="events", makes="events", needs=STREAM_NEEDS, columns=STREAM_COLUMNS, asked=True),
)
