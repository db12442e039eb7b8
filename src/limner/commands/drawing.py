"""Commands that draw and show: `profile`, `pair`, `show`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..batch_verbs import Engine
from ..doors import open_only_store
from ..errors import InputError, SettingsError, UnknownUserError
from ..face import Limner
from ..models import Profile
from ..outcome import Outcome
from ..settings import Settings
from .batching import at_batch_price, batching
from .common import (
    AsOfOption,
    EngineOption,
    JsonArray,
    JsonOption,
    ModelOption,
    PartsOption,
    RetryOption,
    StoreOption,
    err,
    fail,
    given,
    note,
    out,
    print_json,
    run,
    settings_for,
    wants_json,
)
from .parts import require_parts, show_batch
from .portraits import evidence_titles, pair_titles, print_pair, print_profile
from .progress import BatchProgress, index_progress, parts_progress

if TYPE_CHECKING:
    from ..agents.estimate import Estimate

BudgetCalls = Annotated[int | None, typer.Option("--budget-calls", min=1, help="Most model calls.")]
BudgetTokens = Annotated[int | None, typer.Option("--budget-tokens", min=1, help="Most tokens.")]
BudgetMoney = Annotated[float | None, typer.Option("--budget-money", min=0.0, help="Most US dollars.")]
Drafts = Annotated[int | None, typer.Option("--drafts", min=1, help="First drafts per user.")]
Rounds = Annotated[int | None, typer.Option("--rounds", min=0, help="Revision rounds at most.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of sampling, negatives and ties.")]


def profile(
    users: Annotated[list[str] | None, typer.Argument(help="User ids.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="The first N users of the store.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every user of the store.")] = False,
    model: ModelOption = None,
    drafts: Drafts = None,
    rounds: Rounds = None,
    as_of: AsOfOption = None,
    budget_calls: BudgetCalls = None,
    budget_tokens: BudgetTokens = None,
    budget_money: BudgetMoney = None,
    at_once: Annotated[int | None, typer.Option("--at-once", min=1, help="Users in flight.")] = None,
    seed: Seed = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only estimate calls, tokens and money.")
    ] = False,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="Ask through the Batch API: half the price, answers within a day."),
    ] = False,
    engine: EngineOption = "asyncio",
    parts: PartsOption = None,
    retry_failed: RetryOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw portraits; those that are up to date are left as they are.

    Examples:  limner profile ada  ·  limner profile --limit 20 --model gpt-5-mini --budget-money 0.50  ·
    limner profile --all --out portraits --engine ray
    """
    as_json = wants_json(as_json)
    if sum((bool(users), limit is not None, everybody)) != 1:
        fail(InputError("name users, or give --limit N, or --all"), as_json=as_json)
    require_parts(engine, parts, as_json=as_json)
    if batch and engine != "asyncio":
        fail(InputError("--batch gathers the requests of one process; leave --engine out"), as_json=as_json)
    settings = settings_for(
        store,
        model=model,
        drafting=given(drafts=drafts, rounds=rounds, seed=seed),
        budget=given(calls=budget_calls, tokens=budget_tokens, money=budget_money),
    )

    async def work() -> None:
        async with batching(settings) if batch and not dry_run else Limner(settings) as limner:
            with index_progress() as progress:
                await limner.prepare(progress)
            if not users and not (await limner.counts()).users:
                raise InputError(f"the store {settings.store} holds nobody; `limner import FILE` first")
            chosen = users or (None if limit is None else await _first_users(limner, limit))
            moment = moment_of(as_of)
            if dry_run:
                found = await limner.estimate(chosen, as_of=moment)
                found = at_batch_price(found, settings) if batch else found
                return _print_estimate(found, limner.settings, as_json)
            flying = at_once or (settings.batch.users if batch else None)
            if parts:
                await _draw_to(parts, limner, chosen, moment, flying, engine, retry_failed, as_json)
            else:
                await _draw(limner, chosen, moment, flying, as_json)

    run(work, as_json=as_json, resume="the same command; finished users are skipped")


async def _draw_to(
    folder: Path,
    limner: Limner,
    users: list[str] | None,
    moment: datetime | None,
    at_once: int | None,
    engine: Engine,
    retry_failed: bool,
    as_json: bool,
) -> None:
    """Draw into a folder of parts."""
    with parts_progress("Drawing") as progress:
        report = await limner.profiles_to(
            folder,
            users,
            as_of=moment,
            at_once=at_once,
            engine=engine,
            retry_failed=retry_failed,
            progress=progress,
        )
    show_batch(report, as_json=as_json)


async def _draw(
    limner: Limner, users: list[str] | None, moment: datetime | None, at_once: int | None, as_json: bool
) -> None:
    """Draw and print; users named in the command in its order, everybody as they finish and without keeping them."""
    from ..agents.colophon import INCOMPLETE

    total = len(users) if users is not None else (await limner.counts()).users
    failed: list[Outcome] = []
    drawn = without_model = 0
    array = JsonArray(order=users) if as_json else None
    with BatchProgress("Drawing", total) as progress:
        async for outcome in limner.profiles(users, as_of=moment, at_once=at_once):
            progress.advance(outcome)
            if outcome.profile is None:
                failed.append(outcome)
                continue
            drawn += 1
            without_model += outcome.profile.fingerprint.startswith(INCOMPLETE)
            if array:
                array.add(outcome.user_id, outcome.profile.model_dump(mode="json"))
            else:
                print_profile(outcome.profile, await evidence_titles(limner.doors.store, outcome.profile))
    if array:
        array.close()
    if without_model:
        err.print(
            f"{without_model} of {drawn} portraits lack the model's words, for the reasons in their notes; "
            "the same command tries again",
            highlight=False,
        )
    _report_failures(failed)
    if drawn and without_model == drawn:
        raise typer.Exit(1)


def pair(
    user: Annotated[str, typer.Argument(help="User id.")],
    item: Annotated[str, typer.Argument(help="Item id.")],
    model: ModelOption = None,
    drafts: Drafts = None,
    rounds: Rounds = None,
    as_of: AsOfOption = None,
    budget_calls: BudgetCalls = None,
    budget_tokens: BudgetTokens = None,
    budget_money: BudgetMoney = None,
    seed: Seed = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a user profile and an item profile for each other, and say how well they fit and why.

    Example:  limner pair ada b1
    """
    as_json = wants_json(as_json)
    settings = settings_for(
        store,
        model=model,
        drafting=given(drafts=drafts, rounds=rounds, seed=seed),
        budget=given(calls=budget_calls, tokens=budget_tokens, money=budget_money),
    )

    async def work() -> None:
        async with Limner(settings) as limner:
            with index_progress() as progress:
                await limner.prepare(progress)
            written = await limner.pair(user, item, as_of=moment_of(as_of))
            if as_json:
                print_json(written.model_dump(mode="json"))
            else:
                print_pair(written, await pair_titles(limner.doors.store, written))

    run(work, as_json=as_json)


def show(
    user: Annotated[str, typer.Argument(help="User id.")],
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Which version (default: newest).")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a published portrait; nothing is drawn.

    Example:  limner show ada --version 1
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)

    async def work() -> tuple[Profile, dict[str, str]]:
        async with open_only_store(settings) as opened:
            found = await opened.profile(user, version=version)
            if found is None and not await opened.has_user(user):
                raise UnknownUserError(user)
            if found is None:
                wanted = f"version {version}" if version else "portrait"
                raise InputError(f"user_id={user!r} has no {wanted} yet; run `limner profile {user}`")
            return found, await evidence_titles(opened, found)

    found, titles = run(work, as_json=as_json)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_profile(found, titles)


async def _first_users(limner: Limner, limit: int) -> list[str]:
    users: list[str] = []
    async for user in limner.users():
        users.append(user)
        if len(users) == limit:
            break
    return users


def moment_of(text: str | None) -> datetime | None:
    """Read an option's moment; one without a time zone is in UTC.

    Raises:
        SettingsError: It is not an ISO 8601 moment.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            "as_of", f"{text!r} is not an ISO 8601 moment, such as 2026-05-01T12:00"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print_estimate(estimate: "Estimate", settings: Settings, as_json: bool) -> None:
    if as_json:
        return print_json(estimate.model_dump(mode="json"))
    cost = "price unknown" if estimate.cost is None else f"about ${estimate.cost:.4f}"
    low, high = estimate.calls
    out.print(
        f"{estimate.users} to draw with {settings.model}, {estimate.up_to_date} up to date, "
        f"{estimate.skipped} without usable history\n"
        f"{low:,} to {high:,} calls, about {estimate.prompt_tokens:,} tokens read and "
        f"{estimate.completion_tokens:,} written, {cost}",
        highlight=False,
        soft_wrap=True,
    )


def _report_failures(failed: list[Outcome]) -> None:
    for outcome in failed[:10]:
        note(f"{outcome.user_id}: {outcome.error}")
    if len(failed) > 10:
        err.print(f"… and {len(failed) - 10} more")
    if failed:
        raise typer.Exit(1)
