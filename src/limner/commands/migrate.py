"""Command `migrate`."""

from pathlib import Path
from typing import Annotated

import typer

from ..migration import migrate
from .common import JsonOption, StoreOption, err, print_json, run, say, settings_for, show_facts, wants_json


def migrate_store(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of the embedded store, for example .limner.")
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy an embedded store to the PostgreSQL and Chroma servers that the settings name, and compare what arrived.

    LIMNER_DATABASE_URL and LIMNER_CHROMA_URL name them; --store names a new folder for what is kept beside them.
    The source is only read. An interrupted migration goes on with the same command.

    Example:  LIMNER_DATABASE_URL=postgresql://limner@db/limner LIMNER_CHROMA_URL=http://index:8000 limner migrate .limner --store shared
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)
    with err.status("migrating") as status:
        done = run(
            lambda: migrate(source, settings, notice=status.update),
            as_json=as_json,
            resume=f"limner migrate {source}",
        )
    if as_json:
        return print_json(done.model_dump(mode="json"))
    show_facts(
        {name: f"{table.rows:,}  {table.sha256[:16]}" for name, table in done.tables.items() if table.rows}
    )
    how = "rows were there already" if done.resumed else "rows written"
    say(f"{how}; every table has the count and checksum of {source}")
    say(
        f"tenants: {', '.join(done.tenants)}; {done.items:,} items and {done.portraits:,} portraits in the index; "
        f"{done.compared} portraits compared"
    )
