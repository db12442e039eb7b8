"""Command that turns a training run into files that can be served: `distill export`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from ..errors import InputError, LimnerError, SettingsError
from .common import JsonOption, err, fail, out, print_json, say, settings_for, wants_json

if TYPE_CHECKING:
    from ..distill.export.export import ExportPlan, ExportReport


def export(
    run: Annotated[
        Path, typer.Option("--run", help="Folder of `limner distill train`, or a PEFT adapter's folder.")
    ],
    name: Annotated[str, typer.Option("--name", help="The profiler is called limner/NAME.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder to write; must be new or empty.")],
    formats: Annotated[
        str, typer.Option("--format", help="Some of lora-gguf, gguf, merged, adapter; commas between.")
    ] = "lora-gguf",
    base: Annotated[
        str | None,
        typer.Option("--base", help="Base, if the run names none: limner/NAME, a .gguf file, a folder."),
    ] = None,
    base_gguf: Annotated[
        str | None, typer.Option("--base-gguf", help="GGUF file of the base, if the run's base is a folder.")
    ] = None,
    precision: Annotated[
        Literal["Q8_0", "F16"], typer.Option("--precision", help="Of what merging changes in a GGUF file.")
    ] = "Q8_0",
    style: Annotated[
        Literal["free", "lexicon", "plain"] | None,
        typer.Option(
            "--style",
            help="Drafting style it was trained to write in (default: what its training set tells).",
        ),
    ] = None,
    purpose: Annotated[str, typer.Option("--purpose", help="What it is, in a few words.")] = "profiler",
    licence: Annotated[
        str | None, typer.Option("--licence", help="SPDX expression for the files (default: the base's).")
    ] = None,
    data_terms: Annotated[
        str | None, typer.Option("--data-terms", help="Terms of the training data, for the card.")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option("--eval", help="JSON of `limner distill eval`, for the card.")
    ] = None,
    check: Annotated[
        int,
        typer.Option(
            "--check", min=0, help="Prompts to compare served files with the trained model on; 0 for none."
        ),
    ] = 8,
    install: Annotated[
        bool, typer.Option("--install", help="Put it into the models folder too, as limner/NAME.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --install: an installed profiler of this name gives way.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check adapter and base; write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Export a trained profiler: LoRA-GGUF, merged GGUF, merged Hugging Face folder, model card.

    Examples:  limner distill export --run run/ --name mine --out mine/ --install  ·  limner distill export --run run/ --name mine --out mine/ --format merged,gguf --eval eval.json
    """
    as_json = wants_json(as_json)
    models_dir = settings_for(None).models_dir
    try:
        from ..distill.export.export import ExportPlan, export
        from ..distill.export.install import check_free
        from ..distill.export.install import install as put

        plan = ExportPlan(
            run=run,
            name=name,
            formats=_formats(formats),
            base=base,
            base_gguf=base_gguf,
            precision=precision,
            check_prompts=check,
            style=style,
            purpose=purpose,
            licence=licence,
            data_terms=data_terms,
            evaluation=_read(evaluation),
        )
        if install:
            _check_servable(plan)
            check_free(name, models_dir, replace=replace)
        with err.status("exporting") as status:
            report = export(plan, None if dry_run else folder, models_dir=models_dir, notice=status.update)
        installed = put(folder, name, models_dir, replace=replace) if install and not dry_run else None
    except LimnerError as error:
        fail(error, as_json=as_json)
    if as_json:
        told = {"out": None if dry_run else str(folder), "installed": installed and str(installed)}
        return print_json({**report.model_dump(mode="json"), **told})
    _show(report, None if dry_run else folder, installed)


def _formats(given: str) -> Any:
    from ..distill.export.export import FORMATS

    found = tuple(dict.fromkeys(word.strip() for word in given.split(",") if word.strip()))
    unknown = [word for word in found if word not in FORMATS]
    if unknown or not found:
        raise SettingsError("format", f"must be some of {', '.join(FORMATS)}, got {given!r}")
    return found


def _check_servable(plan: "ExportPlan") -> None:
    if not {"lora-gguf", "gguf"} & set(plan.formats):
        raise SettingsError("format", "needs `lora-gguf` or `gguf` for `--install`")


def _read(path: Path | None) -> Mapping[str, Any] | None:
    """Read results of an evaluation."""
    if path is None:
        return None
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"--eval {path}: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"--eval {path}: must be a JSON object")
    return cast(dict[str, Any], found)  # JSON's keys are strings


def _show(report: "ExportReport", folder: Path | None, installed: Path | None) -> None:
    from rich.table import Table

    if folder is None:
        return say(
            f"adapter and base fit: {report.layers} layers of {report.base}; dry run: nothing was written"
        )
    table = Table("file", "MB")
    for file in report.files:
        table.add_row(file.path, f"{file.bytes / 1e6:.2f}")
    out.print(table)
    for checked, found in report.checks.items():
        numbers = ", ".join(f"{key} {value:.3g}" for key, value in found.model_dump().items())
        say(f"{checked}: {numbers}")
    say(f"written to {folder}")
    if installed is not None:
        say(f"installed as limner/{report.name}")
