"""The command that describes items: `cards`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ..cards import CardOutcome
from ..errors import InputError
from ..face import Limner
from ..records import Usage
from ..settings import Settings
from .common import (
    AsOfOption,
    JsonArray,
    JsonOption,
    ModelOption,
    StoreOption,
    fail,
    given,
    note,
    print_json,
    run,
    say,
    settings_for,
    wants_json,
)
from .drawing import BudgetCalls, BudgetMoney, BudgetTokens, moment_of
from .portraits import print_card
from .progress import BatchProgress, index_progress

if TYPE_CHECKING:
    from ..agents.cards.card_estimate import CardEstimate

_FAILURES_SHOWN = 10


def cards(
    items: Annotated[list[str] | None, typer.Argument(help="Item ids.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="The first N items of the catalogue.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every item of the catalogue.")] = False,
    model: ModelOption = None,
    per_call: Annotated[int | None, typer.Option("--per-call", min=1, help="Items in one call.")] = None,
    as_of: AsOfOption = None,
    budget_calls: BudgetCalls = None,
    budget_tokens: BudgetTokens = None,
    budget_money: BudgetMoney = None,
    at_once: Annotated[int | None, typer.Option("--at-once", min=1, help="Calls in flight.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only estimate calls, tokens and money.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Describe items: who would like them, who would not, what sets them apart. Finished cards cost nothing.

    Examples:  limner cards b1  ·  limner cards --all --model gpt-5-mini --budget-money 2
    """
    as_json = wants_json(as_json)
    if sum((bool(items), limit is not None, every)) != 1:
        fail(InputError("name items, or give --limit N, or --all"), as_json=as_json)
    settings = settings_for(
        store,
        model=model,
        cards=given(per_call=per_call),
        budget=given(calls=budget_calls, tokens=budget_tokens, money=budget_money),
    )

    async def work() -> None:
        async with Limner(settings) as limner:
            with index_progress() as progress:
                await limner.prepare(progress)
            chosen = items or (None if limit is None else await _first_items(limner, limit))
            moment = moment_of(as_of)
            if dry_run:
                estimate = await limner.estimate_cards(chosen, as_of=moment)
                return _print_estimate(estimate, limner.settings, as_json)
            total = len(chosen) if chosen is not None else (await limner.counts()).items
            with BatchProgress("Describing", total) as bar:
                await _describe(limner, chosen, bar, as_json, moment=moment, at_once=at_once)

    run(work, as_json=as_json, resume="the same command; finished cards are skipped")


async def _describe(
    limner: Limner,
    items: list[str] | None,
    bar: BatchProgress,
    as_json: bool,
    *,
    moment: datetime | None,
    at_once: int | None,
) -> None:
    """Describe and print; items named in the command in its order, the whole catalogue as they finish."""
    from ..agents.colophon import INCOMPLETE

    failed: list[CardOutcome] = []
    described = without_model = 0
    array = JsonArray(order=items) if as_json else None
    async for outcome in limner.cards(items, as_of=moment, at_once=at_once):
        card = outcome.card
        bar.count(card.usage if card and outcome.fresh else Usage())
        if card is None:
            failed = [*failed, outcome][: _FAILURES_SHOWN + 1]
            continue
        described += 1
        without_model += card.fingerprint.startswith(INCOMPLETE)
        if array:
            array.add(outcome.item_id, card.model_dump(mode="json"))
        else:
            print_card(card)
    if array:
        array.close()
    if without_model:
        note(
            f"{without_model} of {described} cards lack the model's words, for the reasons in their notes; "
            "the same command tries again"
        )
    _report_failures(failed)
    if described and without_model == described:
        raise typer.Exit(1)


async def _first_items(limner: Limner, limit: int) -> list[str]:
    found: list[str] = []
    async for batch in limner.doors.store.all_items(limit):
        found += [item.item_id for item in batch]
        break
    return found


def _print_estimate(estimate: "CardEstimate", settings: Settings, as_json: bool) -> None:
    if as_json:
        return print_json(estimate.model_dump(mode="json"))
    cost = "price unknown" if estimate.cost is None else f"about ${estimate.cost:.4f}"
    say(
        f"{estimate.items:,} cards to write with {settings.model}, {estimate.up_to_date:,} up to date, "
        f"{estimate.shared:,} shared, {estimate.skipped:,} skipped"
    )
    say(
        f"{estimate.calls:,} calls (three an item would be {3 * (estimate.items + estimate.shared):,}), about "
        f"{estimate.prompt_tokens:,} tokens read and {estimate.completion_tokens:,} written, {cost}"
    )


def _report_failures(failed: list[CardOutcome]) -> None:
    for outcome in failed[:_FAILURES_SHOWN]:
        note(f"{outcome.item_id}: {outcome.error}")
    if len(failed) > _FAILURES_SHOWN:
        note("… and more")
    if failed:
        raise typer.Exit(1)
