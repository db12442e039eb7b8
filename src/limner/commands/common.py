"""What all commands share: options, output, and how errors end a command."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar, cast

import typer
from rich.console import Console
from rich.table import Table

from ..errors import LimnerError
from ..settings import Settings, load_settings

T = TypeVar("T")

StoreOption = Annotated[
    Path | None, typer.Option("--store", envvar="LIMNER_STORE", help="Folder of the store (default .limner).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="LiteLLM model string, limner/NAME (embedded), or none.")
]
AsOfOption = Annotated[
    str | None, typer.Option("--as-of", help="Use nothing at or after this ISO 8601 moment (default: now).")
]

EngineOption = Annotated[
    Literal["asyncio", "ray"],
    typer.Option("--engine", help="Who works: this process, or a Ray cluster (settings `engine.…`)."),
]
PartsOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Folder of Parquet parts to write; goes on where it stopped."),
]
RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="With --out: do parts again that hold failures.")
]

out = Console(soft_wrap=False)
"""Results."""

err = Console(stderr=True)
"""Progress, notes and errors, so that standard output stays a document."""

INTERRUPTED = 130


class Shared:
    """Options given before the command."""

    store: Path | None = None
    json: bool = False


shared = Shared()


def settings_for(store: Path | None, **overrides: Any) -> Settings:
    """Read the settings with a command's options on top."""
    return load_settings(store=store or shared.store, **overrides)


def given(**values: Any) -> dict[str, Any] | None:
    """Keep the options that were given; `None` if there are none."""
    return {name: value for name, value in values.items() if value is not None} or None


def wants_json(given: bool) -> bool:
    """Whether `--json` was given before or behind the command."""
    return given or shared.json


def say(line: str) -> None:
    """Print a line of the result as it is: no markup, no colours, no breaks."""
    out.print(line, markup=False, highlight=False, soft_wrap=True)


def note(line: str, *, style: str | None = None) -> None:
    """Print a line beside the result as it is, on standard error."""
    err.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def print_json(document: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()


def show_facts(facts: Mapping[str, object]) -> None:
    """Print names with their values as a table."""
    table = Table(show_header=False)
    for name, value in facts.items():
        table.add_row(name, _words(value))
    out.print(table)


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name} {_words(one)}" for name, one in cast("Mapping[str, object]", value).items()
        )  # JSON
    if isinstance(value, list | tuple):
        return "\n".join(map(_words, cast("Sequence[object]", value)))  # JSON
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


class JsonArray:
    """One JSON array on standard output, written as its entries come, so that it need not fit in memory.

    Args:
        order: Keys whose entries are held until those before them are there; absent to write each at once.
    """

    def __init__(self, order: Sequence[str] | None = None) -> None:
        self._order = None if order is None else list(dict.fromkeys(order))
        self._held: dict[str, Any] = {}
        self._separator = "[\n"

    def add(self, key: str, entry: Any) -> None:
        """Write an entry, or hold it until it is its turn."""
        if self._order is None:
            return self._write(entry)
        self._held[key] = entry
        while self._order and self._order[0] in self._held:
            self._write(self._held.pop(self._order.pop(0)))

    def close(self) -> None:
        """Write what is still held, in order, and end the array."""
        for key in self._order or ():
            if key in self._held:
                self._write(self._held.pop(key))
        sys.stdout.write("[]\n" if self._separator == "[\n" else "\n]\n")
        sys.stdout.flush()

    def _write(self, entry: Any) -> None:
        sys.stdout.write(self._separator + json.dumps(entry, ensure_ascii=False, indent=2))
        self._separator = ",\n"


def run(work: Callable[[], Coroutine[Any, Any, T]], *, as_json: bool, resume: str | None = None) -> T:
    """Run a command's coroutine; a typed error or Ctrl-C ends the program with a message instead of a trace.

    Args:
        work: The command.
        as_json: Print a typed error as `{"error": {"code", "message"}}` too.
        resume: What to type to go on after Ctrl-C.
    """
    try:
        return asyncio.run(work())
    except KeyboardInterrupt:
        hint = f" Continue with: {resume}" if resume else ""
        err.print(f"Interrupted; everything finished so far is saved.{hint}", markup=False)
        raise typer.Exit(INTERRUPTED) from None
    except LimnerError as error:
        fail(error, as_json=as_json)


def fail(error: LimnerError, *, as_json: bool) -> NoReturn:
    """End the program with a typed error."""
    if as_json:
        print_json({"error": {"code": error.code, "message": str(error)}})
    err.print(f"[bold red]{error.code}[/]: ", end="")
    note(str(error))
    raise typer.Exit(1)
