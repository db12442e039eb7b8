"""Commands `backup` and `restore`."""

from pathlib import Path
from typing import Annotated

import typer

from ..backups import back_up, restore
from ..errors import InputError
from .common import (
    JsonOption,
    StoreOption,
    err,
    fail,
    print_json,
    run,
    say,
    settings_for,
    show_facts,
    wants_json,
)


def backup_store(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="File to write, for example limner.backup.tar.")
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything in the database, of every tenant, to one file; others may go on writing.

    Example:  limner backup limner.backup.tar
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)
    manifest = run(lambda: back_up(settings, path), as_json=as_json)
    if as_json:
        return print_json(manifest.model_dump(mode="json"))
    show_facts({part.table: part.rows for part in manifest.tables if part.rows})
    say(f"{path}: {path.stat().st_size:,} bytes, as of {manifest.at.isoformat(timespec='seconds')}")


def restore_store(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Written by `limner backup`.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace everything that is in the store, of every tenant.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup into an empty store, SQLite or PostgreSQL, and make sure that it arrived.

    Examples:  limner restore limner.backup.tar --store new  ·  limner restore limner.backup.tar --replace
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)
    if replace and not yes:
        if as_json:
            fail(InputError("add --yes to replace what is in the store"), as_json=True)
        typer.confirm("Replace EVERYTHING in the store, of every tenant?", abort=True)
    with err.status("restoring") as status:
        done = run(
            lambda: restore(settings, path, replace=replace, notice=status.update),
            as_json=as_json,
            resume=f"limner restore {path} --replace",
        )
    if as_json:
        return print_json(done.model_dump(mode="json"))
    show_facts({name: count for name, count in done.rows.items() if count})
    say(
        f"tenants: {', '.join(done.tenants)}; {done.items:,} items indexed; {done.portraits} portraits compared"
    )
    if done.forgotten_again:
        gone = ", ".join(f"{count:,} {name}" for name, count in sorted(done.forgotten_again.items()))
        say(f"forgotten since the backup, and gone again: {gone}")
    if done.tombstones_dropped:
        say(f"{done.tombstones_dropped} tombstones of the store before could not be kept")
