"""The command `limner distill train`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ..doors import open_only_store
from ..errors import LimnerError
from ..settings import Settings
from .common import (
    INTERRUPTED,
    JsonOption,
    StoreOption,
    err,
    fail,
    out,
    print_json,
    say,
    settings_for,
    wants_json,
)
from .distill_watch import watches
from .progress import training_progress

if TYPE_CHECKING:
    from ..distill.rewards.bench import RewardBench
    from ..distill.training.config import TrainingSettings
    from ..distill.training.plan import TrainingPlan
    from ..distill.training.run_folder import RunRecord
    from ..distill.training.watching import Watch


class _Told(NamedTuple):
    """What came of it."""

    document: "TrainingPlan | RunRecord"
    show: Callable[[], None]


def train(
    data: Annotated[
        Path | None, typer.Option("--data", help="Training set by `limner distill prepare`.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the run; new or empty, unless it is resumed.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            help="raft (default), bc, awr, dpo, ipo, kto, grpo-offline, or grpo, which drafts afresh and grades "
            "through the store.",
            show_default=False,
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            help="limner/NAME, a .gguf file or a Hugging Face folder (default: limner/smollm2-135m).",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file of settings; options win over it.")
    ] = None,
    warm_start: Annotated[
        Path | None, typer.Option("--warm-start", help="Adapter folder to go on from, and to refer to.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of adapter and order (default: 0).")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Optimiser steps; wins over epochs.")] = None,
    epochs: Annotated[
        float | None, typer.Option("--epochs", help="Passes over the rows (default: 3).")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Peak (default: the method's own).")
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", help="Rows that a device holds at once (default: 4).")
    ] = None,
    accumulation: Annotated[
        int | None, typer.Option("--accumulation", help="Batches an optimiser step (default: 2).")
    ] = None,
    rank: Annotated[int | None, typer.Option("--rank", help="Of a new adapter (default: 8).")] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", help="Leave out longer rows (default: 1024).")
    ] = None,
    eval_every: Annotated[
        int | None, typer.Option("--eval-every", help="Steps between looks; 0 for none (default: 50).")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="auto (default: a GPU if there is one) or cpu.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="auto (default), float32, or bfloat16, which fast CPUs gain from."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", help="CPU threads (default: PyTorch decides).")
    ] = None,
    report_to: Annotated[
        list[str] | None,
        typer.Option("--report-to", help="trackio or wandb, besides TensorBoard; may be repeated."),
    ] = None,
    watch_users: Annotated[
        int,
        typer.Option(
            "--watch-users",
            min=0,
            help="Validation users the model draws at every look, judged through the store; training ends if the "
            "reward rises and the judges do not agree (default: nobody watches).",
        ),
    ] = 0,
    held_out: Annotated[
        str | None,
        typer.Option(
            "--held-out", help="Judge for --watch-users: an encoder of another family than the critic's."
        ),
    ] = None,
    store: StoreOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in `--out`, with its own settings.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count rows, tokens and steps, time one batch; write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a LoRA adapter on a training set.

    Examples:  limner distill train --data set/ --out run/  ·  limner distill train --out run/ --resume
    """
    from ..distill.onpolicy.opening import rewards_of

    as_json = wants_json(as_json)
    flags: dict[str, object] = {
        "data": data,
        "out": folder,
        "method": method,
        "base": base,
        "warm_start": warm_start,
        "seed": seed,
        "steps": steps,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch": batch,
        "accumulation": accumulation,
        "rank": rank,
        "max_tokens": max_tokens,
        "eval_every": eval_every,
        "device": device,
        "precision": precision,
        "threads": threads,
        "report_to": tuple(report_to) if report_to else None,
    }
    try:
        settings = _settings(config, flags, resume=resume)
        asyncio.run(_refuse_forgotten(settings.data, settings_for(store)))
        with (
            watches(settings, store, held_out=held_out, users=0 if dry_run else watch_users) as watching,
            rewards_of(settings, settings_for(store)) as bench,
        ):
            _run(settings, watching, bench, resume=resume, dry_run=dry_run, as_json=as_json)
    except KeyboardInterrupt:
        err.print(
            "Interrupted; everything finished so far is saved. Continue with: limner distill train "
            f"--out {folder or 'RUN'} --resume",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    except LimnerError as error:
        fail(error, as_json=as_json)


async def _refuse_forgotten(data: Path, settings: Settings) -> None:
    """Ask the store, where there is one, whether the training set holds somebody who was forgotten.

    Raises:
        InputError: It does.
    """
    from ..distill.log.forgotten import refuse_forgotten
    from ..tools.sql.sql_store import FILE_NAME

    if settings.database_url is not None or (settings.store / FILE_NAME).is_file():
        async with open_only_store(settings) as opened:
            await refuse_forgotten(data, opened)


def _settings(config: Path | None, flags: Mapping[str, object], *, resume: bool) -> "TrainingSettings":
    from ..distill.training.config import load_training_settings
    from ..distill.training.run_folder import read_identity

    folder = flags["out"]
    begun: dict[str, Any] = {}
    if resume and isinstance(folder, Path):
        begun = read_identity(folder).settings.model_dump()
    return load_training_settings(config, flags, under=begun)


def _run(
    settings: "TrainingSettings",
    watching: "Sequence[Watch]",
    bench: "RewardBench | None",
    *,
    resume: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train, or count; then say what came of it."""
    from ..distill.training.train import dry_run as count
    from ..distill.training.train import train as start

    models_dir = settings_for(None).models_dir
    told: _Told | None = None
    with training_progress(settings.method) as bar:
        if dry_run:
            plan = count(settings, bench=bench, models_dir=models_dir, notice=bar.notice)
            told = _Told(plan, lambda: _show_plan(plan))
        else:
            result = start(
                settings,
                watches=watching,
                bench=bench,
                models_dir=models_dir,
                resume=resume,
                notice=bar.notice,
                advance=bar.advance,
            )
            if result.speaks:
                told = _Told(result.record, lambda: _show_run(result.record))
    if told and as_json:
        print_json(told.document.model_dump(mode="json"))
    elif told:
        told.show()


def _show_plan(plan: "TrainingPlan") -> None:
    from rich.table import Table

    table = Table("", "", show_header=False)
    table.add_row("rows", f"{plan.rows:,}")
    for reason, count in plan.left_out.items():
        table.add_row(f"  left out: {reason}", f"{count:,}")
    if plan.effective_rows is not None:
        table.add_row("  effective, by weight", f"{plan.effective_rows:,.0f}")
    table.add_row("validation rows", f"{plan.validation_rows:,}")
    table.add_row(
        "tokens a pass", f"{plan.tokens:,} ({plan.learnt_tokens:,} learnt; longest {plan.longest:,})"
    )
    table.add_row("weights trained", f"{plan.trainable:,}")
    table.add_row("steps", f"{plan.steps:,} of {plan.rows_per_step} rows ({plan.epochs:g} passes)")
    if plan.seconds is not None:
        table.add_row("about", f"{plan.seconds:,.0f} s ({plan.seconds_per_step:.2f} s a step)")
    out.print(table)
    out.print("dry run: nothing was written")


def _show_run(record: "RunRecord") -> None:
    from rich.table import Table

    from ..distill.training.run_report import ends

    first, last = ends(record)
    table = Table("metric", "first", "last")
    for name, value in first.items():
        table.add_row(name, f"{value:.4g}", f"{last[name]:.4g}")
    out.print(table)
    if record.message:
        say(f"stopped: {record.message}")
    told = f"{record.steps} steps in {record.seconds:,.0f} s; written to {record.identity.settings.out}"
    say(told)
