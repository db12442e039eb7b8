"""Streams of events as analytics tools write them: nested objects, and names of their own for what happened.

A nested field is named with dots (`properties.product_id`). Where a named field lies inside a list of objects, as the
products of an order do, every object of the list makes an event.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import cast

from ..records import Kind
from .cells import BadField, identifier, pick, shown
from .readers import Fields
from .schemas import is_array, is_object

DEEPEST = 8
"""Levels that are looked into; what lies deeper stays as it is."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "user_id": ("user_id", "userId", "user.id"),
    "item_id": ("item_id", "product_id", "properties.product_id", "item.id"),
    "rating": ("rating", "properties.rating"),
    "timestamp": ("timestamp", "at", "time", "ts", "event_time"),
    "title": ("title",),
    "text": ("text",),
    "kind": ("kind", "event", "event_type", "event_name"),
    "event_id": ("event_id", "messageId", "insert_id"),
}
"""Names that are understood without a mapping, best first."""

NEEDS = tuple(frozenset({user, item}) for user in COLUMNS["user_id"] for item in COLUMNS["item_id"])


def names_of(row: Fields) -> Fields:
    """Return a row with its nested fields under dotted names; of a list of objects the first stands for all.

    Examples:
        >>> names_of({"user": {"id": 7}, "products": [{"id": "a"}, {"id": "b"}]})
        {'user.id': 7, 'products.id': 'a'}
    """
    return dict(_walk(row, "", {}))


def spread(row: Fields, used: Collection[str]) -> Iterator[Fields]:
    """Yield the events of a row: one, or one for each object of the list that a used field lies in.

    Raises:
        BadField: Used fields lie in two lists, so that nobody knows which belong together.

    Examples:
        >>> list(spread({"user": "u", "products": [{"id": "a"}, {"id": "b"}]}, {"user", "products.id"}))
        [{'user': 'u', 'products.id': 'a'}, {'user': 'u', 'products.id': 'b'}]
    """
    lists = [
        (path, entries)
        for path, entries in _lists(row, "")
        if any(name.startswith(f"{path}.") for name in used)
    ]
    if len(lists) > 1:
        raise BadField(lists[1][0], f"is a second list beside `{lists[0][0]}`; map fields of one list only")
    if not lists:
        yield names_of(row)
        return
    path, entries = lists[0]
    for ix in range(len(entries)):
        yield dict(_walk(row, "", {path: ix}))


def event_ids(row: Fields, columns: tuple[str, ...], count: int) -> list[str | None]:
    """Return the ids of a row's events: the row's own, numbered if it has several events; none where it has none."""
    column, value = pick(row, columns)
    if value is None:
        return [None] * count
    own = identifier(column, value)
    return [own] if count == 1 else [f"{own}#{ix}" for ix in range(count)]


def kind_named(row: Fields, columns: tuple[str, ...], kinds: Mapping[str, Kind]) -> Kind | None:
    """Return what kind the given names make a row; `None` if it is none of those.

    Raises:
        BadField: The row does not name what happened.
    """
    column, value = pick(row, columns)
    if not isinstance(value, str):
        raise BadField(column, "is missing" if value is None else f"must be text, got {shown(value)}")
    return kinds.get(value)


def _walk(value: Fields, prefix: str, chosen: Mapping[str, int]) -> Iterator[tuple[str, object]]:
    for name, entry in value.items():
        path = f"{prefix}{name}"
        if is_array(entry) and entry and is_object(entry[0]):
            inside = entry[chosen.get(path, 0)]
            entry = inside if is_object(inside) else entry
        if is_object(entry) and path.count(".") < DEEPEST:
            yield from _walk(cast("Fields", entry), f"{path}.", chosen)  # JSON has no other keys than text
        else:
            yield path, entry


def _lists(value: Fields, prefix: str) -> Iterator[tuple[str, list[object]]]:
    for name, entry in value.items():
        path = f"{prefix}{name}"
        if is_array(entry) and entry and is_object(entry[0]):
            yield path, cast("list[object]", entry)  # its entries are looked at one by one
        elif is_object(entry) and path.count(".") < DEEPEST:
            yield from _lists(cast("Fields", entry), f"{path}.")  # JSON has no other keys than text
