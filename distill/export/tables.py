"""Any nested results as tables: the evaluation's JSON, whatever measured it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

_DIGITS = 4
_LISTED = 12


class ResultTable(NamedTuple):
    """One table of results."""

    title: str
    """Where it stood, as a path of names."""

    columns: tuple[str, ...]
    """Headings."""

    rows: tuple[tuple[str, ...], ...]
    """Cells, ready to print."""


def tables_of(results: Mapping[str, Any], title: str = "Results") -> Iterator[ResultTable]:
    """Yield tables of nested results, outermost first.

    Plain values of one level make a table of names and values; mappings that hold nothing but plain values,
    and a list of them, make a table with a row each.

    Examples:
        >>> for table in tables_of({"users": 300, "gain": {"ndcg": {"mean": 0.12345, "ci": [0.1, 0.2]}}}):
        ...     print(table)
        ResultTable(title='Results', columns=('', 'value'), rows=(('users', '300'),))
        ResultTable(title='gain', columns=('', 'mean', 'ci'), rows=(('ndcg', '0.1235', '0.1 … 0.2'),))
    """
    plain = {name: value for name, value in results.items() if _is_plain(value)}
    if plain:
        yield ResultTable(title, ("", "value"), tuple((name, _cell(value)) for name, value in plain.items()))
    flat = {name: value for name, value in results.items() if name not in plain and _is_row(value)}
    if flat:
        yield _table(title, list(flat.items()))
    for name, value in results.items():
        below = name if title == "Results" else f"{title}: {name}"
        if name in plain or name in flat:
            continue
        if _is_mapping(value):
            yield from tables_of(value, below)
        else:
            rows = [each for each in value if _is_row(each)]
            yield _table(below, [(str(number), row) for number, row in enumerate(rows, start=1)])


def _table(title: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> ResultTable:
    columns = tuple(dict.fromkeys(column for _, row in rows for column in row))
    cells = (
        (name, *(_cell(row[column]) if column in row else "" for column in columns)) for name, row in rows
    )
    return ResultTable(title, ("", *columns), tuple(cells))


def _is_mapping(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


def _is_row(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return _is_mapping(value) and bool(value) and all(map(_is_plain, value.values()))


def _is_plain(value: Any) -> bool:
    """Whether a value fits a cell: one value, or a list of such."""
    if _is_list(value):
        return not any(_is_mapping(each) or _is_list(each) for each in value)
    return not _is_mapping(value)


def _cell(value: Any) -> str:
    if _is_list(value):
        interval = len(value) == 2 and all(isinstance(each, int | float) for each in value)
        return (" … " if interval else ", ").join(map(_cell, value[:_LISTED])) + ", …" * (
            len(value) > _LISTED
        )
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{round(value, _DIGITS):g}"
    return " ".join(str(value).split()).replace("|", "\\|")
