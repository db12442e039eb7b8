"""`distill pairs`: pairs whose outcome is known, graded and logged to learn from."""

import random
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import BudgetExceededError, InputError
from ..face import Limner
from ..records import Usage
from .common import (
    AsOfOption,
    JsonOption,
    ModelOption,
    StoreOption,
    given,
    note,
    print_json,
    run,
    say,
    settings_for,
    wants_json,
)
from .drawing import BudgetCalls, BudgetMoney, BudgetTokens, moment_of
from .progress import CountedProgress, counted_progress, index_progress

if TYPE_CHECKING:
    from ..agents.drawing import Drawing
    from ..agents.pairing.rehearsal import Scene
    from ..tools.budget import Budget

_AT_ONCE = 2
_WORDS = {
    "logged": "written and logged",
    "there": "in the log already",
    "skipped": "skipped: too little to write from",
    "unfinished": "unfinished: a call failed or the budget ended; the same command goes on",
}


def pairs(
    users: Annotated[int | None, typer.Option("--users", min=1, help="So many, drawn at random.")] = None,
    per_user: Annotated[int, typer.Option("--per-user", min=1, help="Newest interactions of each.")] = 2,
    negatives: Annotated[
        int, typer.Option("--negatives", min=0, help="Items not chosen, for each interaction.")
    ] = 3,
    drafts: Annotated[int | None, typer.Option("--drafts", min=1, help="Drafts of each pair.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of users, sampling and negatives.")] = 0,
    model: ModelOption = None,
    as_of: AsOfOption = None,
    budget_calls: BudgetCalls = None,
    budget_tokens: BudgetTokens = None,
    budget_money: BudgetMoney = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count passes and calls.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write pairs for past interactions as if they were still to come, and log them graded by what came.

    For each: the item that was chosen and some that were not, from what was known before that moment. Passes that
    are in the log are left out, so the same command goes on where it stopped.

    Examples:  limner distill pairs --users 200 --store training-store  ·  limner distill pairs --dry-run
    """
    as_json = wants_json(as_json)
    settings = settings_for(
        store,
        model=model,
        drafting=given(drafts=drafts, rounds=0, seed=seed),
        budget=given(calls=budget_calls, tokens=budget_tokens, money=budget_money),
    )

    async def work() -> dict[str, int | float]:
        async with Limner(settings) as limner:
            with index_progress() as progress:
                drawing = await limner.prepare(progress)
            chosen = await _chosen(limner, users, seed)
            moment = moment_of(as_of) or drawing.deps.clock.now()
            with counted_progress("Looking back", len(chosen)) as bar:
                scenes = await _scenes(drawing, chosen, moment, per_user, negatives, bar)
            if dry_run:
                return _foreseen(drawing, len(chosen), scenes)
            logged = await _logged(limner)
            with counted_progress("Pairing", len(scenes)) as bar:
                return await _rehearse(drawing, scenes, limner.new_budget(), logged, bar)

    counts = run(work, as_json=as_json, resume="the same command; passes in the log stay")
    if as_json:
        return print_json(counts)
    for name, count in counts.items():
        say(f"{count:,} {_WORDS.get(name, name.replace('_', ' '))}")


async def _chosen(limner: Limner, users: int | None, seed: int) -> list[str]:
    ids = [user async for user in limner.users()]
    if not ids:
        raise InputError(f"{limner.settings.store} holds no users; fill it with `limner import` or `stock`")
    return sorted(random.Random(seed).sample(ids, min(users or len(ids), len(ids))))


async def _scenes(
    drawing: "Drawing",
    users: list[str],
    moment: datetime,
    per_user: int,
    negatives: int,
    bar: CountedProgress,
) -> list["Scene"]:
    from ..agents.pairing.rehearsal import scenes_of

    scenes: list[Scene] = []
    for user_id in users:
        scenes += await scenes_of(drawing.deps, user_id, as_of=moment, per_user=per_user, negatives=negatives)
        bar.advance()
    return scenes


async def _logged(limner: Limner) -> frozenset[str]:
    """Return the passes that are in the log."""
    return frozenset([rollout.run_id async for rollout in limner.rollouts() if rollout.outcome is not None])


def _foreseen(drawing: "Drawing", users: int, scenes: list["Scene"]) -> dict[str, int | float]:
    """Count at most: drafts and a verdict on each, and on what is extractive; notes are not foreseen."""
    from ..agents.pairing.pair_judge import asks_judge

    deps = drawing.deps
    parts = 1 if deps.settings.pairing.paired else 2
    drafts = 0 if deps.chat is None else deps.settings.drafting.drafts
    calls = len(scenes) * (drafts * parts + (drafts + 2) * asks_judge(deps))
    return {"users": users, "passes": len(scenes), "calls_at_most_without_notes": calls}


async def _rehearse(
    drawing: "Drawing", scenes: list["Scene"], budget: "Budget", logged: frozenset[str], bar: CountedProgress
) -> dict[str, int | float]:
    """Write scene by scene, several at once; a budget that ends leaves the rest for the next time."""
    from ..agents.pairing.rehearsal import Rehearsed, rehearse
    from ..streaming import bounded

    async def one(scene: "Scene") -> Rehearsed:
        try:
            budget.check()
            return await rehearse(drawing, scene, budget=budget, logged=logged)
        except BudgetExceededError:
            return Rehearsed(scene, "unfinished", Usage())

    counts: Counter[str] = Counter()
    spent = Usage()
    async for done in bounded(scenes, one, _AT_ONCE):
        counts[done.state] += 1
        spent += done.usage
        bar.notice(f"{spent.calls} calls · {spent.tokens:,} tokens")
        bar.advance()
    if counts["unfinished"]:
        note("Some passes are unfinished; what they paid for is kept, and the same command goes on.")
    cost = {"calls": spent.calls, "tokens": spent.tokens, "dollars": round(spent.cost, 6)}
    return {name: counts[name] for name in _WORDS} | cost
