"""Bring a database to the tables of this version.

Revisions are the modules of `migrations/`, read by Alembic. Each has `upgrade(op)`, so that stores which open at
the same time in one process share nothing. There is no `env.py` and no `alembic.ini`: a store migrates itself
when it is opened, inside a transaction that it holds alone.
"""

from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from ...errors import StoreError
from .sql_tables import metadata

REVISIONS = Path(__file__).parent.parent / "migrations"


def upgrade(connection: Connection, url: str, *, to: str | None = None) -> None:
    """Run the revisions that the database has not seen.

    Args:
        connection: Where.
        url: What the database is called in messages.
        to: The last revision to run; the newest if absent.

    Raises:
        StoreError: The database was written by a newer version.
    """
    scripts = _scripts()
    context = MigrationContext.configure(connection)
    found, head = context.get_current_revision(), scripts.get_current_head()
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(
            url, f"has schema {found!r}, this version knows up to {head!r}; install a newer limner"
        )
    for script in reversed(list(scripts.iterate_revisions(to or head or "base", found or "base"))):
        script.module.upgrade(Operations(context))
        context.stamp(scripts, script.revision)


def revision_of(connection: Connection) -> str | None:
    """Return the newest revision that a database has seen; nothing if it has no tables."""
    return MigrationContext.configure(connection).get_current_revision()


def head_revision() -> str:
    """Return the newest revision that this version knows."""
    return str(_scripts().get_current_head())


def known_revisions() -> set[str]:
    """Return every revision that this version knows."""
    return {script.revision for script in _scripts().walk_revisions()}


def drop_all(connection: Connection) -> None:
    """Remove every table of the newest schema, and the note of which schema it is."""
    metadata.drop_all(connection)
    connection.execute(text("DROP TABLE IF EXISTS alembic_version"))


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(REVISIONS), version_locations=[str(REVISIONS)])
