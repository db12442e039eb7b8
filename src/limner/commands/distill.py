"""Commands that make a profiler of the log: `distill prepare`, and a module for each other one."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from pydantic import ValidationError

from ..doors import open_only_store
from ..errors import InputError, SettingsError
from ..face import Limner
from ..faults import first_fault
from ..settings import Settings
from .common import JsonOption, StoreOption, err, out, print_json, run, say, settings_for, shared, wants_json
from .distill_embed import embed
from .distill_eval import evaluate
from .distill_explore import explore
from .distill_export import export
from .distill_pairs import pairs
from .distill_promote import promote
from .distill_rollout_files import rollout_files
from .distill_scorer import scorer
from .distill_stock import stock
from .distill_train import train

if TYPE_CHECKING:
    from ..distill.log.manifest import Manifest, Recipe
    from ..distill.log.prepare import Knows
    from ..distill.log.rescoring import Rescore
    from ..tools.store import Store

app = typer.Typer(no_args_is_help=True, help="Learn from the log of drafts.")


class _Doors(NamedTuple):
    """What is open while a training set is made."""

    store: "Store | None"
    knows: "Knows | None"
    rescore: "Rescore | None"


app.command("stock")(stock)
app.command("explore")(explore)
app.command("embed")(embed)
app.command("pairs")(pairs)
app.command("scorer")(scorer)
app.command("eval")(evaluate)
app.command("promote")(promote)
app.command("export")(export)
app.command("train")(train)
app.command("rollout-files")(rollout_files)


@app.command("prepare")
def prepare(
    folder: Annotated[Path, typer.Option("--out", help="Folder to write; must be new or empty.")],
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            help="Parquet file by `limner export rollouts` (default: the store's log). Forgotten users are "
            "then left out only if `--store` is given too.",
        ),
    ] = None,
    boundary: Annotated[
        str | None,
        typer.Option(
            "--boundary",
            help="ISO 8601 moment: train lies before it, validation and test do not "
            "(default: `--before` decides).",
        ),
    ] = None,
    before: Annotated[
        float, typer.Option("--before", help="Share of the drafts before the boundary, if none is given.")
    ] = 0.8,
    validation: Annotated[float, typer.Option("--validation", help="Share of users for validation.")] = 0.1,
    test: Annotated[float, typer.Option("--test", help="Share of users for test.")] = 0.1,
    keep_early: Annotated[
        bool, typer.Option("--keep-early", help="Validation and test keep drafts from before the boundary.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the split of users.")] = 0,
    epsilon: Annotated[
        float, typer.Option("--epsilon", help="Drop groups whose rewards differ by less.")
    ] = 0.01,
    min_margin: Annotated[
        float, typer.Option("--min-margin", help="Least reward between the two sides of a preference pair.")
    ] = 0.05,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature", help="Of AWR's weights, in deviations of a group; smaller is greedier."
        ),
    ] = 0.5,
    pairs: Annotated[bool, typer.Option("--pairs", help="Keep drafts of pairs of user and item.")] = False,
    critic: Annotated[
        str | None, typer.Option("--critic", help="Critic version wanted (default: the log's only one).")
    ] = None,
    rescore: Annotated[
        bool,
        typer.Option("--rescore", help="Grade drafts of another critic again, by the settings' critic."),
    ] = False,
    exclude: Annotated[
        Path | None, typer.Option("--exclude", help="File of user ids to leave out, one a line.")
    ] = None,
    require_consent: Annotated[
        bool, typer.Option("--require-consent", help="Leave out users unless every draft says they agreed.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count everything; write nothing.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a training set of the log: filtered, split by user and time, ready for trainers.

    Examples:  limner distill prepare --out training/  ·  limner distill prepare --out t/ --log drafts.parquet --dry-run
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)
    values = {
        "critic_version": critic,
        "filters": {"epsilon": epsilon, "pairs": pairs, "require_consent": require_consent},
        "splitting": {
            "validation": validation,
            "test": test,
            "seed": seed,
            "boundary": boundary,
            "before": before,
            "keep_early": keep_early,
        },
        "weighting": {"temperature": temperature, "min_margin": min_margin},
    }

    async def work() -> "Manifest":
        from ..distill.log.prepare import Source
        from ..distill.log.prepare import prepare as make
        from ..distill.log.rollout_log import STORE, read_parquet, read_store

        recipe, excluded = _recipe(values), _listed(exclude)
        look_up = log is None or (store or shared.store) is not None
        async with _open(settings, look_up=look_up, rescore=rescore, from_file=log is not None) as doors:
            if log is not None:
                source = Source(log.name, read_parquet(log))
            else:
                assert doors.store is not None, "a log that is no file is the store's"
                source = Source(STORE, read_store(doors.store))
            with err.status("reading the log"):
                return await make(
                    source,
                    None if dry_run else folder,
                    recipe,
                    excluded=excluded,
                    knows=doors.knows if look_up else None,
                    rescore=doors.rescore,
                )

    manifest = run(work, as_json=as_json)
    if as_json:
        return print_json(manifest.model_dump(mode="json"))
    _show(manifest, None if dry_run else folder)


@asynccontextmanager
async def _open(
    settings: Settings, *, look_up: bool, rescore: bool, from_file: bool
) -> "AsyncGenerator[_Doors]":
    """Open what is needed and no more: the whole of Limner to grade again, the store to look up users."""
    from ..distill.log.forgotten import known_by

    if rescore:
        from ..distill.log.rescoring import StoreCritic
        from ..distill.rewards.bench import settings_for_rewards

        grading = settings_for_rewards(settings, {"limner": 1.0})
        async with Limner(grading) as limner:
            drawing = await limner.prepare()
            opened = limner.doors.store
            yield _Doors(opened, known_by(opened, from_file=from_file), StoreCritic(drawing.deps))
    elif look_up:
        async with open_only_store(settings) as opened:
            yield _Doors(opened, known_by(opened, from_file=from_file), None)
    else:
        yield _Doors(None, None, None)


def _recipe(values: Mapping[str, object]) -> "Recipe":
    from ..distill.log.manifest import Recipe

    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        fault = first_fault(error)
        raise SettingsError(fault.field, str(fault)) from None


def _listed(path: Path | None) -> frozenset[str]:
    """Read user ids, one a line."""
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--exclude {path}: {error}") from error
    return frozenset(line.strip() for line in lines if line.strip())


def _show(manifest: "Manifest", folder: Path | None) -> None:
    from rich.table import Table

    funnel = manifest.funnel
    steps = Table("drafts", "", show_header=False)
    steps.add_row("in the log", f"{funnel.rollouts:,}")
    for reason, count in funnel.dropped.items():
        if count:
            steps.add_row(f"  dropped: {reason}", f"-{count:,}")
    steps.add_row("kept", f"{funnel.kept:,}")
    out.print(steps)
    splits = Table("split", "users", "prompts", "groups", "drafts")
    for split, counts in funnel.splits.items():
        numbers = (counts.users, counts.prompts, counts.groups, counts.drafts)
        splits.add_row(split, *(f"{number:,}" for number in numbers))
    out.print(splits)
    for note in manifest.notes:
        say(note)
    told = f"written to {folder}" if folder else "dry run: nothing was written"
    say(told)
