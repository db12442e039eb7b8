"""The command that recommends: `recommend`."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..errors import InputError
from ..face import Limner
from ..recommendations import Filters, RecommendationOutcome, Recommendations
from .common import (
    AsOfOption,
    EngineOption,
    JsonOption,
    ModelOption,
    PartsOption,
    RetryOption,
    StoreOption,
    fail,
    given,
    note,
    out,
    print_json,
    run,
    settings_for,
    wants_json,
)
from .drawing import BudgetCalls, BudgetMoney, BudgetTokens, moment_of
from .parts import require_parts, show_batch
from .progress import index_progress, parts_progress


def recommend(
    user: Annotated[str | None, typer.Argument(help="User id.")] = None,
    everybody: Annotated[
        bool, typer.Option("--all", help="Every user of the store, one JSON document a line.")
    ] = False,
    k: Annotated[int, typer.Option("-k", min=1, help="How many items.")] = 10,
    category: Annotated[
        list[str] | None, typer.Option("--category", help="Only items with this category; may be repeated.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="No item with this category; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="Item id to leave out; may be repeated.")
    ] = None,
    had: Annotated[bool, typer.Option("--had", help="Recommend also what the user had already.")] = False,
    diversity: Annotated[
        float, typer.Option("--diversity", min=0.0, max=1.0, help="0: best first; 1: each unlike the others.")
    ] = 0.0,
    rerank: Annotated[
        int, typer.Option("--rerank", min=0, help="First items to rank again by pairs; asks the model.")
    ] = 0,
    generate: Annotated[
        bool, typer.Option("--generate", help="Let the model write the next item in words, and look near it.")
    ] = False,
    model: ModelOption = None,
    as_of: AsOfOption = None,
    budget_calls: BudgetCalls = None,
    budget_tokens: BudgetTokens = None,
    budget_money: BudgetMoney = None,
    engine: EngineOption = "asyncio",
    parts: PartsOption = None,
    retry_failed: RetryOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recommend what a user may choose next, and say why.

    Examples:  limner recommend ada -k 5  ·  limner recommend --all > next.jsonl
    """
    as_json = wants_json(as_json)
    if (user is None) is not everybody:
        fail(InputError("name one user, or give --all"), as_json=as_json)
    require_parts(engine, parts, as_json=as_json)
    settings = settings_for(
        store, model=model, budget=given(calls=budget_calls, tokens=budget_tokens, money=budget_money)
    )
    asked: dict[str, Any] = {
        "k": k,
        "as_of": moment_of(as_of),
        "filters": Filters(
            had=not had,
            unavailable=frozenset(exclude or ()),
            categories=frozenset(category or ()),
            without=frozenset(without or ()),
        ),
        "diversity": diversity,
        "explain": True,
        "rerank": rerank,
        "generate": generate,
    }

    async def work() -> int:
        async with Limner(settings) as limner:
            with index_progress() as progress:
                await limner.prepare(progress)
            if parts:
                with parts_progress("Recommending") as progress:
                    report = await limner.recommend_to(
                        parts,
                        None if user is None else [user],
                        engine=engine,
                        retry_failed=retry_failed,
                        progress=progress,
                        **asked,
                    )
                show_batch(report, as_json=as_json)
                return 0
            if user is None:
                return await _stream(limner, asked)
            found = await limner.recommend(user, **asked)
        if as_json:
            print_json(found.model_dump(mode="json"))
        else:
            _print(found)
        return 0

    if run(work, as_json=as_json):
        raise typer.Exit(1)


async def _stream(limner: Limner, asked: dict[str, Any]) -> int:
    """Write one line a user as they finish; return how many failed."""
    failed = 0
    async for outcome in limner.recommend_many(**asked):
        failed += outcome.recommendations is None
        sys.stdout.write(json.dumps(_line(outcome), ensure_ascii=False) + "\n")
        sys.stdout.flush()
    return failed


def _line(outcome: RecommendationOutcome) -> dict[str, Any]:
    if outcome.recommendations is not None:
        return outcome.recommendations.model_dump(mode="json")
    assert outcome.error is not None, "an outcome has one of the two"
    return {
        "user_id": outcome.user_id,
        "error": {"code": outcome.error.code, "message": str(outcome.error)},
    }


def _print(found: Recommendations) -> None:
    table = Table(
        "", "item", "because", "signals", title=escape(f"For {found.user_id}"), title_justify="left"
    )
    for one in found.items:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in list(one.shares.items())[:3])
        named = Text(f"{one.title or one.item_id}\n").append(one.item_id, style="dim")
        table.add_row(str(one.place), named, Text(one.because), shares)
    out.print(table)
    for text in found.notes:
        note(text, style="yellow")
