"""`distill promote`: the gate between a comparison and what is served."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import JsonOption, print_json, run, say, settings_for, wants_json

if TYPE_CHECKING:
    from ..tools.promotion import Promotion


def promote(
    evaluation: Annotated[Path, typer.Option("--evaluation", help="Folder by `limner distill eval`.")],
    margin: Annotated[
        float,
        typer.Option("--margin", min=0.0, help="What the whole interval of the primary gain must exceed."),
    ] = 0.0,
    least_users: Annotated[
        int, typer.Option("--least-users", min=2, help="Fewest users that the primary gain may rest on.")
    ] = 100,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try the gate; record nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a profiler the embedded default, if it gained significantly and harmed nothing.

    Examples:  limner distill promote --evaluation raft-vs-base/  ·  limner distill promote --evaluation e/ --dry-run
    """
    as_json = wants_json(as_json)

    async def work() -> "Promotion":
        from datetime import UTC, datetime

        from ..distill.judging.gate import GateRule
        from ..distill.judging.gate import promote as pass_gate

        rule = GateRule(margin=margin, users=least_users)
        models_dir = settings_for(None).models_dir
        return pass_gate(evaluation, models_dir, at=datetime.now(UTC), rule=rule, dry_run=dry_run)

    promotion = run(work, as_json=as_json)
    if as_json:
        return print_json(promotion.model_dump(mode="json"))
    gain, low, high = promotion.figures[promotion.primary]
    say(
        f"{promotion.name} {'would be' if dry_run else 'is'} the embedded default: {promotion.primary} {gain:+.4f} "
        f"over {promotion.baseline} (95 % interval {low:+.4f} to {high:+.4f})"
    )
    return None
