"""Every table as rows, and back.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, TableClause, column, delete, exists, func, inspect, select, table, text

from ...errors import BackupDamagedError, StoreError, StoreNotEmptyError
from ..backup.backup_file import BackupReader, BackupWriter, Manifest, Part, encode_row
from .sql_migrate import drop_all, head_revision, known_revisions, revision_of, upgrade
from .sql_tables import metadata, rollouts
from .sql_upserts import chunks

_PAGE = 1000

_GROWING = frozenset({"vectors", "vector_owners"})
"""Caches that making an index adds to."""


class Columns(NamedTuple):
    """What a table has."""

    all: tuple[str, ...]
    key: tuple[str, ...]
    """Those of the primary key, in its order."""


def save(connection: Connection, writer: BackupWriter) -> str:
    """Write every table; return the schema's revision."""
    revision = revision_of(connection)
    assert revision is not None, "a store that is open has its tables"
    there = set(inspect(connection).get_table_names())
    for name in sorted(there & set(metadata.tables)):
        columns = _columns(connection, name)
        writer.add(name, columns.all, _rows(connection, name, columns))
    return revision


def tenants_of(connection: Connection) -> list[str]:
    """Return every tenant that has a row anywhere."""
    found: set[str] = set()
    for each in metadata.sorted_tables:
        found.update(connection.execute(select(each.c.tenant).distinct()).scalars())
    return sorted(found)


def is_empty(connection: Connection) -> bool:
    """Whether no table has any row."""
    return not any(
        connection.execute(select(exists().select_from(each))).scalar() for each in metadata.sorted_tables
    )


def load(connection: Connection, backup: BackupReader, url: str, *, replace: bool) -> None:
    """Put the rows of a backup in place of what is there, compare them with it, and bring the tables up to date.

    Raises:
        StoreNotEmptyError: There are rows, and `replace` is false.
        StoreError: A newer version wrote the backup.
        BackupDamagedError: The backup, or what arrived of it, is not what its manifest says.
    """
    if not (replace or is_empty(connection)):
        raise StoreNotEmptyError(url)
    wanted = backup.manifest.revision
    if wanted not in known_revisions():
        reason = f"the backup has schema {wanted!r}, this version knows up to {head_revision()!r}"
        raise StoreError(str(backup.path), f"{reason}; install a newer limner")
    if wanted == head_revision():
        for each in metadata.sorted_tables:
            connection.execute(delete(each))
    else:
        drop_all(connection)
        upgrade(connection, url, to=wanted)
    for part in backup.manifest.tables:
        _fill(connection, backup, part)
    _go_on_counting(connection)
    upgrade(connection, url)


def _fill(connection: Connection, backup: BackupReader, part: Part) -> None:
    """Insert a table's rows and read them again."""
    columns = _columns(connection, part.table)
    if set(columns.all) != set(part.columns):
        raise BackupDamagedError(
            str(backup.path), f"table {part.table} has other columns than its schema says"
        )
    insert = _named(part.table, part.columns).insert()
    for page in chunks(backup.rows(part), _PAGE):
        connection.execute(insert, [dict(zip(part.columns, row, strict=True)) for row in page])
    count, digest = _digest(connection, part.table, Columns(part.columns, columns.key))
    if (count, digest) != (part.rows, part.sha256):
        reason = f"table {part.table} did not arrive as it was saved: {count:,} of {part.rows:,} rows"
        raise BackupDamagedError(str(backup.path), reason)


def holds(connection: Connection, manifest: Manifest) -> bool:
    """Whether the tables are those of a backup, row by row; vectors that were cached since do not count."""
    if revision_of(connection) != manifest.revision:
        return False
    return all(
        _digest(connection, part.table, Columns(part.columns, _columns(connection, part.table).key))
        == (part.rows, part.sha256)
        for part in manifest.tables
        if part.table not in _GROWING
    )


def _digest(connection: Connection, name: str, columns: Columns) -> tuple[int, str]:
    """Return how many rows a table has, and their checksum."""
    digest, count = hashlib.sha256(), 0
    for row in _rows(connection, name, columns):
        digest.update(encode_row(row))
        count += 1
    return count, digest.hexdigest()


def _go_on_counting(connection: Connection) -> None:
    """Have PostgreSQL number the next draft of the log behind those that came with their numbers."""
    if connection.dialect.name != "postgresql":
        return
    last = connection.execute(select(func.max(rollouts.c.seq))).scalar_one_or_none()
    if last is not None:
        move = text("SELECT setval(pg_get_serial_sequence('rollouts', 'seq'), :last)")
        connection.execute(move, {"last": last})


def _columns(connection: Connection, name: str) -> Columns:
    looked = inspect(connection)
    every = tuple(found["name"] for found in looked.get_columns(name))
    return Columns(every, tuple(looked.get_pk_constraint(name)["constrained_columns"]))


def _rows(connection: Connection, name: str, columns: Columns) -> Iterator[Sequence[Any]]:
    """Yield rows in the order of the key, some at a time."""
    found = _named(name, columns.all)
    query = select(*found.c).order_by(*(found.c[each] for each in columns.key))
    yield from connection.execute(query.execution_options(yield_per=_PAGE))


def _named(name: str, columns: Sequence[str]) -> TableClause:
    return table(name, *(column(each) for each in columns))
