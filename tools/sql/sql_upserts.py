"""Inserts that meet rows which are already there, in the dialect of each database."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
Statement = sqlite.Insert | postgresql.Insert
Meeting = Literal["keep", "replace", "lower"]
CHUNK = 500
"""Ids in one `IN (…)`; every database takes that many parameters."""


class Insert:
    """One insert of many rows; equal keys meet as `meeting` says.

    Args:
        table: Where to.
        meeting: `keep` leaves the row that is there, `replace` writes `column` over it where that differs,
            `lower` where it is smaller.
        column: The column that `replace` and `lower` write.
    """

    def __init__(self, table: Table, meeting: Meeting = "keep", column: str = "") -> None:
        self._statements: dict[str, Statement] = {
            "sqlite": _meet(sqlite.insert(table), table, meeting, column),
            "postgresql": _meet(postgresql.insert(table), table, meeting, column),
        }
        self._texts: dict[tuple[str, ...], tuple[str, Sequence[str] | None]] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows of equal columns and return how many were new or changed.

        Callers sort rows by key: two writers that lock the same keys in one order cannot deadlock.
        """
        if not rows:
            return 0
        columns = tuple(rows[0])
        return self.run_tuples(connection, columns, list(map(itemgetter(*columns), rows)))

    def run_tuples(
        self, connection: Connection, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> int:
        """Insert rows, each with its values in the order of `columns`, two at least; else as `run`."""
        if not rows:
            return 0
        text, places = self._text(connection, columns)
        values: Sequence[Any] = rows
        if places is None:
            values = [dict(zip(columns, row, strict=True)) for row in rows]
        elif list(places) != list(columns):
            values = list(map(itemgetter(*(columns.index(name) for name in places)), rows))
        # SQLAlchemy's own handling of parameters costs three times what SQLite takes for the row.
        return connection.exec_driver_sql(text, values).rowcount

    def _text(self, connection: Connection, columns: Sequence[str]) -> tuple[str, Sequence[str] | None]:
        """Return the statement as the driver reads it and, if it counts parameters, their order."""
        dialect = connection.dialect
        key = (dialect.name, *columns)
        if key not in self._texts:
            compiled = self._statements[dialect.name].compile(dialect=dialect, column_keys=list(columns))
            self._texts[key] = (str(compiled), compiled.positiontup)
        return self._texts[key]


def _meet(insert: Statement, table: Table, meeting: Meeting, column: str) -> Statement:
    if meeting == "keep":
        return insert.on_conflict_do_nothing()
    old, new = table.c[column], insert.excluded[column]
    return insert.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={column: new},
        where=old != new if meeting == "replace" else old > new,
    )


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Cut into lists of at most `size`."""
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part
