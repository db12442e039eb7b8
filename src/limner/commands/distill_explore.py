"""Commands that make experience to learn from: `distill stock`, `distill explore`."""

import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import InputError
from ..face import Limner
from ..settings import NO_MODEL
from .common import AsOfOption, JsonOption, StoreOption, err, out, print_json, run, settings_for, wants_json
from .drawing import moment_of
from .progress import index_progress

if TYPE_CHECKING:
    from ..agents.state import Deps

_AT_ONCE = 4


class _Dealt(NamedTuple):
    """What one user gave."""

    user_id: str
    drafts: int
    reason: str


def stock(
    data: Annotated[Path, typer.Option("--data", help="Folder of a data set, as `limner eval` reads it.")],
    seed: Annotated[int, typer.Option("--seed", help="Seed of the ties between events of one moment.")] = 7,
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
            told = Workspace(
                folder=settings.store / "evals",
                seed=seed,
                settings=settings,
                notice=lambda line: err.print(line),
            )
            await fill_store(limner, past, told)
            counts = await limner.counts()
        return {"users": counts.users, "items": counts.items, "interactions": counts.interactions}

    counts = run(work, as_json=as_json, resume="the same command")
    if as_json:
        return print_json(counts)
    held = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    out.print(f"{settings.store} holds {held}", markup=False, highlight=False, soft_wrap=True)


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


def explore(
    users: Annotated[int | None, typer.Option("--users", min=1, help="So many, drawn at random.")] = None,
    drafts: Annotated[int, typer.Option("--drafts", min=2, help="Drafts of each user.")] = 16,
    seed: Annotated[int, typer.Option("--seed", help="Seed of users and drafts.")] = 0,
    as_of: AsOfOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Log graded drafts dealt at random among grounded phrases; no model is asked, nothing is published.

    The same command again adds nothing.

    Example:  limner distill explore --users 2000 --drafts 16 --store training-store
    """
    as_json = wants_json(as_json)
    settings = settings_for(store, model=NO_MODEL)

    async def work() -> Counter[str]:
        async with Limner(settings) as limner:
            with index_progress() as progress:
                drawing = await limner.prepare(progress)
            ids = [user async for user in limner.users()]
            if not ids:
                raise InputError(f"{settings.store} holds no users; fill it with `limner import` or `stock`")
            chosen = sorted(random.Random(seed).sample(ids, min(users or len(ids), len(ids))))
            return await _explore(limner, drawing.deps, chosen, drafts, seed, as_of)

    counts = run(work, as_json=as_json, resume="the same command; drafts in the log stay")
    if as_json:
        return print_json(dict(counts))
    out.print(
        f"{counts['drafts']:,} drafts of {counts['users']:,} users logged; "
        f"{counts['skipped']:,} users have too little history to grade drafts with",
        highlight=False,
        soft_wrap=True,
    )


async def _explore(
    limner: Limner, deps: "Deps", users: list[str], drafts: int, seed: int, as_of: str | None
) -> Counter[str]:
    """Deal, grade and log user by user, several at once."""
    from ..agents.exploring import explore as deal
    from ..errors import EmptyHistoryError, NoTextError
    from ..streaming import bounded

    moment = moment_of(as_of) or deps.clock.now()

    async def one(user_id: str) -> int:
        try:
            found = await deal(deps, user_id, as_of=moment, drafts=drafts, seed=seed)
        except (EmptyHistoryError, NoTextError):
            return 0
        if found:
            await limner.doors.store.log(found)
        return len(found)

    counts: Counter[str] = Counter(users=0, drafts=0, skipped=0)
    columns = (TextColumn("Exploring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("explore", total=len(users))
        async for logged in bounded(users, one, _AT_ONCE):
            counts["drafts"] += logged
            counts["users" if logged else "skipped"] += 1
            bar.advance(task)
    return counts
