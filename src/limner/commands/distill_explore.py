"""`distill explore`: graded drafts to learn from, without a model."""

import random
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from ..face import Limner
from ..settings import NO_MODEL
from .common import AsOfOption, JsonOption, StoreOption, print_json, run, say, settings_for, wants_json
from .drawing import moment_of
from .progress import counted_progress, index_progress

if TYPE_CHECKING:
    from ..agents.state import Deps

_AT_ONCE = 4


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
    say(
        f"{counts['drafts']:,} drafts of {counts['users']:,} users logged; "
        f"{counts['skipped']:,} users have too little history to grade drafts with"
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
    with counted_progress("Exploring", len(users)) as bar:
        async for logged in bounded(users, one, _AT_ONCE):
            counts["drafts"] += logged
            counts["users" if logged else "skipped"] += 1
            bar.advance()
    return counts
