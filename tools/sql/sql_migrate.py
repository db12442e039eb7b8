"""Bring a database to the tables of this version.

Revisions are the modules of `migrations/`, read by Alembic. Each has `upgrade(op)`, so that stores which open at
the same time in one process share nothing. There is no `env.py` and no `alembic.ini`: a store migrates itself
when it is opened, inside a transaction that it holds alone.
"""

from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from ...errors import StoreError

REVISIONS = Path(__file__).parent.parent / "migrations"


def upgrade(connection: Connection, url: str) -> None:
    """Run the revisions that the database has not seen.

    Raises:
        StoreError: The database was written by a newer version.
    """
    scripts = ScriptDirectory(str(REVISIONS), version_locations=[str(REVISIONS)])
    context = MigrationContext.configure(connection)
    found, head = context.get_current_revision(), scripts.get_current_head()
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(
            url, f"has schema {found!r}, this version knows up to {head!r}; install a newer limner"
        )
    for script in reversed(list(scripts.iterate_revisions(head or "base", found or "base"))):
        script.module.upgrade(Operations(context))
        context.stamp(scripts, script.revision)
