"""Commands that bring data in and out: `import`, `export rollouts`, `reindex`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..doors import open_only_store
from ..errors import InputError
from ..face import Limner
from .common import JsonOption, StoreOption, err, fail, out, print_json, run, say, settings_for, wants_json
from .progress import import_progress, index_progress

if TYPE_CHECKING:
    from ..tools.import_report import ImportReport

export_app = typer.Typer(no_args_is_help=True, help="Write what the store holds to files.")


def import_data(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files, folders or zip archives: JSONL, JSON, CSV, Parquet, plain or gzipped."),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "--form",
            help="interactions, sequences, items, movielens, amazon2023, messages, chatgpt, goodreads, letterboxd, "
            "lastfm, amazon_orders or events (default: recognised, except events).",
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
        str | None,
        typer.Option("--user", help="Whose chats or whose export it is, where the file does not say."),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            "--event", metavar="NAME=KIND", help="What an event of a stream is; others are left out."
        ),
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

    Examples:  limner import data/  ·  limner import clicks.csv --map who=user_id --map what=item_id --kind click  ·
    limner import letterboxd.zip --user me --dry-run  ·
    limner import track.jsonl --format events --map actor.id=user_id --event 'Order Completed=purchase'
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)
    columns = _pairs("--map", "COLUMN=FIELD", mapping or [], as_json)
    kinds = _pairs("--event", "NAME=KIND", event or [], as_json)

    async def work() -> "list[ImportReport]":
        from ..tools.importing import import_path

        reports: list[ImportReport] = []
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
                        kinds=kinds,
                        strict=strict,
                        rejects=rejects or settings.store / "rejects",
                        progress=progress,
                        dry_run=dry_run,
                    )
                    reports += folder.files
                    for skipped, reason in folder.skipped.items():
                        err.print(f"skipped {skipped}: {reason}", style="dim", markup=False, soft_wrap=True)
        return reports

    reports = run(work, as_json=as_json, resume="the same command; events are never doubled")
    if as_json:
        return print_json([report.model_dump(mode="json") for report in reports])
    for report in reports:
        _say_report(report)


def _say_report(report: "ImportReport") -> None:
    known = f"{report.file} ({report.form}): {report.rows} rows"
    if report.dry_run:
        say(f"{known}, {report.events} events, {report.rejected} rejected; nothing was written")
    else:
        say(
            f"{known}, {report.added} events added, {report.repeated} repeated, {report.items} items, "
            f"{report.rejected} rejected"
        )
    if report.passed_over:
        say(
            f"  {report.passed_over} rows hold nothing to keep (cancelled, told in another file, other events)"
        )
    if report.forgotten:
        say(
            f"  {report.forgotten} of them were forgotten, by themselves or with their user or item: left out"
        )
    for bad in report.rejects:
        say(f"  line {bad.line}: `{bad.field}` {bad.reason}")
    if report.rejects_file:
        say(f"  rejected rows, with reasons: {report.rejects_file}")


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


def _pairs(option: str, form: str, given: list[str], as_json: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.rpartition("=")
        if not equals or not name or not value:
            fail(InputError(f"{option} {pair!r} is not {form}"), as_json=as_json)
        found[name] = value
    return found
