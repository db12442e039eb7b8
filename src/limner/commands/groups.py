"""Commands of groups: `refresh`, `group`, `groups`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group as Lines
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..communities import Community, Group, RefreshReport
from ..errors import InputError
from ..face import Limner
from .common import (
    AsOfOption,
    EngineOption,
    JsonOption,
    ModelOption,
    StoreOption,
    fail,
    given,
    note,
    out,
    print_json,
    run,
    say,
    settings_for,
    wants_json,
)
from .drawing import BudgetCalls, BudgetMoney, BudgetTokens, moment_of
from .progress import index_progress, stepped_progress

_SHOWN = 20
_WORDS = 4


def refresh(
    as_of: AsOfOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="Recompute everybody and find the groups anew.")
    ] = False,
    portraits: Annotated[
        bool | None,
        typer.Option("--portraits/--no-portraits", help="Draw the portraits of changed users first."),
    ] = None,
    size: Annotated[int | None, typer.Option("--size", min=1, help="Members of a group, about.")] = None,
    minimum: Annotated[
        int | None, typer.Option("--minimum", min=2, help="Fewest members of a group.")
    ] = None,
    model: ModelOption = None,
    budget_calls: BudgetCalls = None,
    budget_tokens: BudgetTokens = None,
    budget_money: BudgetMoney = None,
    at_once: Annotated[int | None, typer.Option("--at-once", min=1, help="Portraits in flight.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be recomputed and what it would cost.")
    ] = False,
    engine: EngineOption = "asyncio",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find groups of like-minded users, or bring them up to date; only who changed is recomputed.

    Examples:  limner refresh --dry-run  ·  limner refresh --portraits --budget-calls 500
    """
    as_json = wants_json(as_json)
    settings = settings_for(
        store,
        model=model,
        groups=given(portraits=portraits, size=size, minimum=minimum),
        budget=given(calls=budget_calls, tokens=budget_tokens, money=budget_money),
    )

    async def work() -> RefreshReport:
        async with Limner(settings) as limner:
            with index_progress() as progress:
                await limner.prepare(progress)
            with stepped_progress() as step:
                return await limner.refresh(
                    as_of=moment_of(as_of),
                    dry_run=dry_run,
                    full=full,
                    at_once=at_once,
                    engine=engine,
                    progress=step,
                )

    report = run(work, as_json=as_json, resume="the same command; finished portraits are skipped")
    if as_json:
        return print_json(report.model_dump(mode="json"))
    _print_report(report)


def group(
    user: Annotated[str, typer.Argument(help="User id.")],
    as_of: AsOfOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show whom a user is like, what they share, and what of it is news to the user. Members stay unnamed.

    Example:  limner group ada
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)

    async def work() -> Group:
        async with Limner(settings) as limner:
            with index_progress() as progress:
                await limner.prepare(progress)
            return await limner.group(user, as_of=moment_of(as_of))

    found = run(work, as_json=as_json)
    if as_json:
        return print_json(found.model_dump(mode="json"))
    _print_group(found)


def groups(
    describe: Annotated[
        bool, typer.Option("--describe", help="Every group with its interests, counts and top items.")
    ] = False,
    members: Annotated[
        str | None, typer.Option("--members", help="List the users of one group, for a campaign.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="PNG or SVG file to draw.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The N largest groups.")] = None,
    as_of: AsOfOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the groups of the last refresh: size, what members share with lift, what they had.

    Examples:  limner groups --describe  ·  limner groups --json  ·  limner groups --plot groups.png
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)
    if plot is not None and plot.suffix not in (".png", ".svg"):
        fail(InputError(f"--plot {str(plot)!r} must end in .png or .svg"), as_json=as_json)

    async def work() -> tuple[list[Community], list[str]]:
        async with Limner(settings) as limner:
            found = [each async for each in limner.groups(as_of=moment_of(as_of))]
            if members is None:
                return found, []
            if members not in {each.group_id for each in found}:
                raise InputError(f"group {members!r} is unknown; `limner groups` lists them")
            return found, [user async for user in limner.group_members(members)]

    found, users = run(work, as_json=as_json)
    if members is not None:
        return print_json(users) if as_json else say("\n".join(users))
    shown = found[:limit] if limit else found
    if plot is not None:
        from ..tools.grouping.group_plot import draw_groups

        draw_groups(shown[:_SHOWN], plot)
        note(f"drawn to {plot}")
    if as_json:
        return print_json([each.model_dump(mode="json") for each in shown])
    if not describe:
        return _print_table(shown if limit else shown[:_SHOWN], len(found))
    for community in shown:
        _print_community(community)


def _print_report(report: RefreshReport) -> None:
    would = "would be " if report.dry_run else ""
    say(f"{report.users:,} users with {report.items:,} items; {report.recomputed:,} {would}recomputed")
    if report.left_out:
        say(f"{report.left_out:,} users have nothing that can be compared")
    if report.dry_run:
        if report.estimate:
            low, high = report.estimate.calls
            cost = "price unknown" if report.estimate.cost is None else f"about ${report.estimate.cost:.4f}"
            say(f"{low:,} to {high:,} model calls, {cost}; from scratch {report.calls_from_scratch:,}")
        else:
            say(f"no model calls; from scratch {report.calls_from_scratch:,}")
        return
    how = "found anew" if report.refitted else f"moved, {report.kept:,} kept their id"
    say(f"{report.groups:,} groups, {how}, in {report.seconds:.1f} s")
    for each in report.rounds:
        gain = "" if each.gain is None else f"NDCG {each.gain:.4f}, "
        say(f"round {each.round}: {gain}{each.groups:,} groups, {each.seconds:.2f} s, {each.calls} calls")
    if report.portraits or report.failed:
        say(f"{report.portraits:,} portraits, {report.failed:,} to try again, {report.usage.calls:,} calls")


def _print_group(found: Group) -> None:
    lines = [Text(found.name, style="bold"), Text("")]
    news = {interest.phrase for interest in found.news}
    for interest in found.shared:
        mark = "  new to you" if interest.phrase in news else ""
        lines.append(
            Text(f"• {interest.phrase}: {interest.members} members, {interest.lift:.1f} times as often{mark}")
        )
    if found.items:
        lines.append(Text("\nmembers had: " + ", ".join(item.title or item.item_id for item in found.items)))
    lines += [Text(f"note: {note}", style="yellow") for note in found.notes]
    others = ", ".join(f"{place.group_id} {place.weight:.0%}" for place in found.also)
    subtitle = f"{found.size} members · belongs {found.weight:.0%}" + (f" · also {others}" if others else "")
    out.print(
        Panel(
            Lines(*lines),
            title=escape(f"{found.user_id} in {found.group_id}"),
            subtitle=escape(subtitle),
            title_align="left",
        )
    )


def _print_community(community: Community) -> None:
    table = Table("interest", "members", "share", "lift", box=None, pad_edge=False)
    for interest in community.interests:
        table.add_row(
            escape(interest.phrase), str(interest.members), f"{interest.share:.0%}", f"{interest.lift:.1f}"
        )
    titles = [
        f"{item.title or item.item_id} ({item.members}, lift {item.lift:.1f})" for item in community.items
    ]
    below = Text("had: " + "; ".join(titles)) if titles else Text("no item is shared by enough members")
    out.print(
        Panel(
            Lines(table, below),
            title=escape(f"{community.group_id}  {community.name}"),
            subtitle=f"{community.size} members, {community.share:.1%} of all",
            title_align="left",
        )
    )


def _print_table(shown: Sequence[Community], total: int) -> None:
    table = Table("group", "size", "share", "interests (lift)", "had most")
    for community in shown:
        words = ", ".join(f"{each.phrase} ({each.lift:.1f})" for each in community.interests[:_WORDS])
        had = ", ".join(item.title or item.item_id for item in community.items[:2])
        table.add_row(
            community.group_id,
            str(community.size),
            f"{community.share:.1%}",
            escape(words) or "mixed",
            escape(had),
        )
    out.print(table)
    if len(shown) < total:
        say(f"{len(shown)} of {total} groups; --limit N shows more, --describe all of what is known")
