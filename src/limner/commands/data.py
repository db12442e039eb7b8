"""Commands that bring data in and out: `import`, `export rollouts`, `reindex`."""

from pathlib import Path
from typing import Annotated

import typer

from ..doors import open_only_store
from ..errors import InputError
from ..face import Limner
from .common import JsonOption, StoreOption, err, fail, out, print_json, run, say, settings_for, wants_json
from .progress import import_progress, index_progress

export_app = typer.Typer(no_args_is_help=True, help="Write what the store holds to files.")


def import_data(
    paths: Annotated[
        list[Path], typer.Argument(help="Files or folders: JSONL, JSON, CSV, Parquet, plain or gzipped.")
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--form",
            help="interactions, sequences, items, movielens, amazon2023, messages or chatgpt (default: recognised).",
        ),
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=FIELD", help="Read a column as a field; repeatable."),
    ] = None,
    kind: Annotated[
        str, typer.Option("--kind", help="Kind of rows that have neither text nor rating.")
    ] = "purchase",
    user: Annotated[
        str | None, typer.Option("--user", help="Whose turns the user's turns of chats are.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first bad row; write nothing.")
    ] = False,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Folder for rejected rows (default: the store's).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every row; write nothing.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import interactions and items. Importing a file again changes nothing.

    Examples:  limner import data/  ·  limner import clicks.csv --map who=user_id --map what=item_id --kind click
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)
    columns = _mapping(mapping or [], as_json)

    async def work() -> list[dict[str, object]]:
        from ..tools.importing import import_path

        reports: list[dict[str, object]] = []
        async with open_only_store(settings) as opened:
            with import_progress() as progress:
                for path in paths:
                    folder = await import_path(
                        path,
                        store=opened,
                        form=form,
                        mapping=columns,
                        kind=kind,
                        user=user,
                        strict=strict,
                        rejects=rejects or settings.store / "rejects",
                        progress=progress,
                        dry_run=dry_run,
                    )
                    reports += [report.model_dump(mode="json") for report in folder.files]
                    for skipped, reason in folder.skipped.items():
                        err.print(f"skipped {skipped}: {reason}", style="dim", markup=False, soft_wrap=True)
        return reports

    reports = run(work, as_json=as_json, resume="the same command; events are never doubled")
    if as_json:
        return print_json(reports)
    for report in reports:
        out.print(
            f"{report['file']} ({report['form']}): {report['rows']} rows, {report['added']} events added, "
            f"{report['repeated']} repeated, {report['items']} items, {report['rejected']} rejected",
            highlight=False,
            soft_wrap=True,
        )
        if report["forgotten"]:
            say(
                f"  {report['forgotten']} of them were forgotten, by themselves or with their user or item: left out"
            )
        if report["rejected"]:
            out.print(
                f"  rejected rows, with reasons: {report['rejects_file']}", markup=False, highlight=False
            )


@export_app.command("rollouts")
def export_rollouts(
    path: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the log of all drafts, with every reward term, to a Parquet file.

    Example:  limner export rollouts drafts.parquet
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)

    async def work() -> int:
        from ..distill.log.export_rollouts import export_rollouts as export

        async with open_only_store(settings) as opened:
            return await export(opened, path)

    rows = run(work, as_json=as_json)
    if as_json:
        print_json({"file": str(path), "rows": rows})
    else:
        out.print(f"{path}: {rows:,} drafts", markup=False, highlight=False)


def reindex(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Drop every vector and embed catalogue and portraits again, after the encoder changed.

    Example:  LIMNER_EMBEDDER=text-embedding-3-small limner reindex
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)

    async def work() -> int:
        async with Limner(settings, rebuild_index=True) as limner:
            with index_progress() as progress:
                return await limner.reindex(progress)

    count = run(work, as_json=as_json, resume="limner reindex")
    if as_json:
        print_json({"items": count})
    else:
        out.print(f"{count:,} items indexed with {settings.embedder}", highlight=False)


def _mapping(pairs: list[str], as_json: bool) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for pair in pairs:
        column, equals, field = pair.partition("=")
        if not equals or not column or not field:
            fail(InputError(f"--map {pair!r} is not COLUMN=FIELD"), as_json=as_json)
        mapping[column] = field
    return mapping
