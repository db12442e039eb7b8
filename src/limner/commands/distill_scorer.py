"""`distill scorer`: a scorer of pairs, taught by outcomes that are known."""

import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from ..face import Limner
from ..settings import NO_MODEL
from .common import (
    AsOfOption,
    JsonOption,
    ModelOption,
    StoreOption,
    note,
    print_json,
    run,
    settings_for,
    show_facts,
    wants_json,
)
from .drawing import moment_of
from .progress import index_progress

if TYPE_CHECKING:
    from ..agents.state import Deps
    from ..distill.pairs.examples import Example


def scorer(
    target: Annotated[Path, typer.Option("--out", help="File of the scorer; one that is there is replaced.")],
    users: Annotated[
        int,
        typer.Option(
            "--users",
            min=0,
            help="Users whose past teaches beside the log, drawn at random; 0 for the log alone.",
        ),
    ] = 300,
    per_user: Annotated[int, typer.Option("--per-user", min=1, help="Newest interactions of each.")] = 3,
    negatives: Annotated[
        int, typer.Option("--negatives", min=1, help="Items not chosen, for each interaction.")
    ] = 9,
    model: ModelOption = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of users, negatives, split and trees.")
    ] = 0,
    as_of: AsOfOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what there is to learn from; write nothing.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach the scorer that `limner rank` scores unwritten pairs with; no model is asked.

    Learns from logged passes whose outcome is known (`limner distill pairs`), which tell how far a pass can be
    trusted, and from the store's own past, each pair described by what was known before its moment. A fifth of the
    users is held back to report on. `--model` names whose notes describe the sides.

    Examples:  limner distill scorer --out games.scorer --store training-store
    ·  LIMNER_PAIRING__SCORER=games.scorer limner rank ada --items candidates.txt
    """
    as_json = wants_json(as_json)
    settings = settings_for(store, model=model or NO_MODEL, drafting={"seed": seed})

    async def work() -> dict[str, Any]:
        async with Limner(settings) as limner:
            with index_progress() as progress:
                deps = (await limner.prepare(progress)).deps
            moment = moment_of(as_of) or deps.clock.now()
            ids = [user async for user in limner.users()]
            if not ids:
                raise InputError(f"{settings.store} holds no users; fill it with `limner import` or `stock`")
            chosen = sorted(random.Random(seed).sample(ids, min(users, len(ids))))
            logged, past = await _examples(deps, chosen, moment, per_user, negatives)
            if dry_run:
                return _counted(logged, past)
            return await _teach(deps, [*logged, *past], target, seed)

    found = run(work, as_json=as_json)
    if as_json:
        return print_json(found)
    show_facts(found)


async def _examples(
    deps: "Deps", users: list[str], moment: Any, per_user: int, negatives: int
) -> tuple[list["Example"], list["Example"]]:
    """Collect what the log and the past say, outcomes before the moment alone."""
    from ..distill.pairs.examples import logged_examples, past_examples

    logged = [one for one in await logged_examples(deps) if one.as_of < moment]
    drawn = past_examples(deps, users, as_of=moment, per_user=per_user, negatives=negatives)
    return logged, [one async for one in drawn]


def _counted(logged: list["Example"], past: list["Example"]) -> dict[str, Any]:
    return {
        "users": len({one.user_id for one in (*logged, *past)}),
        "logged_passes": len(logged),
        "pairs_of_the_past": len(past),
        "chosen": sum(one.outcome.chosen for one in (*logged, *past)),
    }


async def _teach(deps: "Deps", examples: list["Example"], target: Path, seed: int) -> dict[str, Any]:
    from ..agents.ranking.rank_state import encoder_of
    from ..distill.pairs.examples import table_of
    from ..distill.pairs.teach import teach_scorer
    from ..tools.cross_scorer import save_scorer

    table = await table_of(deps, examples, notice=note)
    taught = teach_scorer(table, encoder=encoder_of(deps), seed=seed)
    save_scorer(taught.scorer, target)
    return {"file": str(target), "scorer": taught.scorer.name, **taught.report}
