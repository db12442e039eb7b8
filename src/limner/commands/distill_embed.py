"""The command that teaches a text space: `distill embed`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from ..errors import LimnerError, SettingsError
from ..settings import Settings
from .common import (
    INTERRUPTED,
    JsonOption,
    StoreOption,
    fail,
    note,
    print_json,
    settings_for,
    show_facts,
    wants_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..distill.space.adapter import Taught
    from ..evals.splits import Past
    from ..evals.workspace import Workspace
    from ..tools.lessons import Lessons
    from ..tools.space import Space

_SENTENCE_TRANSFORMERS = "sentence-transformers/"


class _Asked(NamedTuple):
    """What is taught, and where to."""

    target: Path
    steps: int | None
    portraits: int
    writer: str
    seed: int


def embed(
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Folder of a data set, as `limner eval` reads it.")
    ],
    target: Annotated[
        Path, typer.Option("--out", help="File of the space; with `--full`, new folder of the encoder.")
    ],
    encoder: Annotated[
        str | None, typer.Option("--encoder", help="Frozen encoder below (default: the configured one).")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Steps at most (default: 600; full: 200).")
    ] = None,
    portraits: Annotated[
        int,
        typer.Option(
            "--portraits", min=0, help="Users whose portraits, drawn without a model, teach sentences too."
        ),
    ] = 0,
    writer: Annotated[
        str, typer.Option("--writer", help="Who writes them: `extractive`, or a LiteLLM model string.")
    ] = "extractive",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the teaching.")] = 0,
    split: Annotated[
        Literal["leave-one-out", "global-time"], typer.Option("--split", help="Whose past is learned from.")
    ] = "leave-one-out",
    split_seed: Annotated[
        int, typer.Option("--split-seed", min=0, help="Seed of the split, as `--seed` of `limner eval`.")
    ] = 0,
    full: Annotated[
        bool, typer.Option("--full", help="Tune every weight of a sentence-transformers encoder instead.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what there is to learn from; write nothing.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach a text space where sentences lie near to what their user chooses next.

    Learns from the past of the split alone: neither validation nor test events of `limner eval`.

    Examples:  limner distill embed --data games/ --out games.space  ·  limner eval sequential --data games/
    --system history:form=decayed,space=games.space  ·  LIMNER_CRITIC__SPACE=games.space limner profile ada
    """
    as_json = wants_json(as_json)
    try:
        overrides = {"embedder": encoder} if encoder else {}
        settings = settings_for(store, **overrides)
        past = _past(data, split, split_seed)
        if dry_run:
            return _show(_counts(past), as_json)
        asked = _Asked(target, steps, portraits, writer, seed)
        found = (_tune if full else _teach)(past, _workspace(settings, split_seed), asked)
    except LimnerError as error:
        fail(error, as_json=as_json)
    except KeyboardInterrupt:
        note("Interrupted; nothing was written.")
        raise typer.Exit(INTERRUPTED) from None
    _show(found, as_json)


def _past(data: Path, split: str, seed: int) -> "Past":
    from ..evals.global_time import global_time
    from ..evals.leave_one_out import leave_one_out
    from ..evals.loading.load import load

    dataset = load(data, seed=seed)
    return (global_time if split == "global-time" else leave_one_out)(dataset, seed=seed).past


def _workspace(settings: Settings, seed: int) -> "Workspace":
    from ..evals.workspace import Workspace

    return Workspace.of(settings, seed=seed, notice=lambda line: note(line, style="dim"))


def _teach(past: "Past", workspace: "Workspace", asked: _Asked) -> dict[str, Any]:
    """Teach an adapter as a system of the harness does in `fit`, and save it."""
    from ..distill.space.adapter import teach_adapter
    from ..distill.space.settings import TeachSettings
    from ..evals.registry import build
    from ..tools.space import save_space

    caught: list[Taught] = []

    def teach(lessons: "Lessons", *, seed: int, notice: "Callable[[str], None]") -> "Space":
        chosen = TeachSettings() if asked.steps is None else TeachSettings(steps=asked.steps)
        caught.append(teach_adapter(lessons, seed=seed, notice=notice, settings=chosen))
        return caught[-1].space

    sitting = f"profile:writer={asked.writer},sitters={asked.portraits},"
    name = sitting if asked.portraits else "history:"
    build(f"{name}space=fit,teaching_seed={asked.seed}", replace(workspace, teach=teach)).fit(past)
    [taught] = caught
    save_space(taught.space, asked.target)
    return {
        "file": str(asked.target),
        "space": taught.space.name,
        "before": dict(taught.before),
        "after": dict(taught.after),
        "step": taught.steps,
        "seconds": round(taught.seconds, 1),
    }


def _tune(past: "Past", workspace: "Workspace", asked: _Asked) -> dict[str, Any]:
    """Tune a whole encoder on readings of the past."""
    from ..distill.space.full import TuneSettings, tune_encoder
    from ..evals.readings import readings_of

    name = workspace.settings.embedder
    if not name.startswith(_SENTENCE_TRANSFORMERS):
        raise SettingsError("--encoder", f"{name!r} cannot be tuned; give sentence-transformers/FOLDER")
    readings = readings_of(past, workspace, portraits=asked.portraits, writer=asked.writer)
    chosen = TuneSettings() if asked.steps is None else TuneSettings(steps=asked.steps)
    folder = Path(name.removeprefix(_SENTENCE_TRANSFORMERS))
    tuned = tune_encoder(
        folder, readings, asked.target, seed=asked.seed, notice=workspace.notice, settings=chosen
    )
    return {
        "file": str(asked.target),
        "encoder": f"{_SENTENCE_TRANSFORMERS}{asked.target}",
        "before": {"loss": tuned.losses[0]},
        "after": {"loss": tuned.losses[-1]},
        "step": len(tuned.losses),
        "seconds": round(tuned.seconds, 1),
    }


def _counts(past: "Past") -> dict[str, Any]:
    from ..evals.spaces import sequences_of

    lengths = [len(items) for items in sequences_of(past)]
    return {
        "data": past.card.name,
        "items": past.n_items,
        "users": sum(length >= 2 for length in lengths),
        "moments": sum(max(0, length - 1) for length in lengths),
    }


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return print_json(found)
    show_facts(found)
