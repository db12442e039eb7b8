"""The command line: `limner`.

Commands load what they need when they run, so that `limner --help` is quick.
"""

import sys
from typing import Annotated

import typer

from .commands import (
    assistants,
    backups,
    bench_parts,
    cards,
    data,
    demo,
    distill,
    doctor,
    drawing,
    evals,
    fuzz,
    groups,
    jobs,
    keys,
    mcp,
    migrate,
    models,
    privacy,
    rank,
    recommend,
    serve,
    torture,
    work,
)
from .commands.common import JsonOption, StoreOption, fail, shared
from .commands.version import told
from .errors import LimnerError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Readable portraits of users, drawn from what they did, graded by what they do next.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(told(as_json="--json" in sys.argv))
        raise typer.Exit


@app.callback()
def _main(
    store: StoreOption = None,
    as_json: JsonOption = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and what it runs on."
        ),
    ] = False,
) -> None:
    shared.store, shared.json = store, as_json


app.command("demo")(demo.demo)
app.command("import")(data.import_data)
app.command("profile")(drawing.profile)
app.command("pair")(drawing.pair)
app.command("rank")(rank.rank)
app.command("recommend")(recommend.recommend)
app.command("show")(drawing.show)
app.command("context")(assistants.context)
app.command("listen")(assistants.listen)
app.command("refresh")(groups.refresh)
app.command("group")(groups.group)
app.command("groups")(groups.groups)
app.command("mcp")(mcp.mcp)
app.command("serve")(serve.serve)
app.command("work")(work.work)
app.add_typer(jobs.app, name="jobs")
app.add_typer(keys.app, name="keys")
app.command("cards")(cards.cards)
data.export_app.command("user")(privacy.export_user)
app.add_typer(data.export_app, name="export")
app.command("forget")(privacy.forget)
app.command("correct")(privacy.correct)
app.add_typer(models.app, name="models")
app.command("reindex")(data.reindex)
app.command("doctor")(doctor.doctor)
app.command("backup")(backups.backup_store)
app.command("restore")(backups.restore_store)
app.command("migrate")(migrate.migrate_store)
app.command("torture")(torture.torture)
app.command("fuzz")(fuzz.fuzz)
app.add_typer(bench_parts.app, name="bench")
app.add_typer(evals.app, name="eval")
app.add_typer(distill.app, name="distill")


def main() -> None:
    """Run the command line."""
    try:
        app()
    except LimnerError as error:  # settings are read before a command's own handling starts
        try:
            fail(error, as_json="--json" in sys.argv)
        except typer.Exit as end:
            sys.exit(end.exit_code)
