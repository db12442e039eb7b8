"""`distill stock`: a store of what may be learned from in a data set, and of nothing else."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..face import Limner
from ..settings import NO_MODEL
from .common import JsonOption, StoreOption, note, print_json, run, say, settings_for, wants_json


def stock(
    data: Annotated[Path, typer.Option("--data", help="Folder of a data set, as `limner eval` reads it.")],
    seed: Annotated[int, typer.Option("--seed", help="Seed of the ties between events of one moment.")] = 0,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fill a new store with the train part of a data set: of each user, what came before the questions.

    The split is leave-one-out, as in `limner eval sequential`: whatever is drawn, logged and learned in this
    store has seen neither the validation nor the test event of anybody who is asked about.

    Example:  limner distill stock --data data/video_games --store training-store
    """
    as_json = wants_json(as_json)
    settings = settings_for(store, model=NO_MODEL)

    async def work() -> dict[str, int]:
        from ..evals.leave_one_out import leave_one_out
        from ..evals.loading.load import load
        from ..evals.portraits.studio import fill_store
        from ..evals.workspace import Workspace

        past = leave_one_out(load(data, seed=seed)).past
        _claim(settings.store, f"{past.card.name} leave-one-out {seed}")
        async with Limner(settings) as limner:
            await fill_store(limner, past, Workspace.of(settings, seed=seed, notice=note))
            counts = await limner.counts()
        return {"users": counts.users, "items": counts.items, "interactions": counts.interactions}

    counts = run(work, as_json=as_json, resume="the same command")
    if as_json:
        return print_json(counts)
    held = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    say(f"{settings.store} holds {held}")


def _claim(folder: Path, content: str) -> None:
    """Make a folder the store of one data set alone.

    Raises:
        InputError: It holds something else.
    """
    note = folder / "stocked"
    if not folder.exists() or not any(folder.iterdir()):
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(content, encoding="utf-8")
    elif not note.exists() or note.read_text(encoding="utf-8") != content:
        raise InputError(f"{folder} holds other data already; name a new folder with --store")
