"""`rank`: candidates for one user, best first."""

import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import typer
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..errors import BadRowError, InputError
from ..face import Limner
from ..pairings import RankedItem, Ranking
from .common import (
    AsOfOption,
    JsonOption,
    ModelOption,
    StoreOption,
    fail,
    given,
    out,
    print_json,
    run,
    say,
    settings_for,
    wants_json,
)
from .drawing import BudgetCalls, BudgetMoney, BudgetTokens, Drafts, Seed, moment_of
from .progress import index_progress

if TYPE_CHECKING:
    from ..agents.ranking.rank_estimate import RankEstimate

_TITLE = 40
_SHOWN_BEYOND = 5


def rank(
    user: Annotated[str, typer.Argument(help="User id.")],
    items: Annotated[list[str] | None, typer.Argument(help="Candidates by id.")] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--items", metavar="FILE", help="Candidates, one id or JSON object a line; - for stdin."
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", min=1, help="Places that matter (default 10); none below costs a call."),
    ] = None,
    mode: Annotated[
        Literal["factored", "joint"],
        typer.Option("--mode", help="`joint` pairs every candidate alone, at many times the price."),
    ] = "factored",
    model: ModelOption = None,
    drafts: Drafts = None,
    as_of: AsOfOption = None,
    budget_calls: BudgetCalls = None,
    budget_tokens: BudgetTokens = None,
    budget_money: BudgetMoney = None,
    seed: Seed = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only estimate calls and tokens.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank candidates for a user; pairs are written only where they can change the top.

    Examples:  limner rank ada b1 b2 b3  ·  limner rank ada --items candidates.txt --budget-calls 5 --top 3
    """
    as_json = wants_json(as_json)
    try:
        candidates = [*(items or []), *(_read(file) if file else [])]
    except InputError as error:
        fail(error, as_json=as_json)
    settings = settings_for(
        store,
        model=model,
        drafting=given(drafts=drafts, seed=seed),
        budget=given(calls=budget_calls, tokens=budget_tokens, money=budget_money),
    )

    async def work() -> None:
        async with Limner(settings) as limner:
            with index_progress() as progress:
                await limner.prepare(progress)
            moment = moment_of(as_of)
            if dry_run:
                said = await limner.estimate_rank(user, candidates, as_of=moment, top=top, mode=mode)
                return _show_estimate(said, as_json)
            stream = limner.rank_stream(user, candidates, as_of=moment, top=top, mode=mode)
            titles = {item.item_id: item.title for item in (await limner.items(candidates)).values()}
            shown = _Shown(titles, quiet=as_json)
            async with aclosing(stream) as rankings:
                with shown:
                    async for ranking in rankings:
                        shown.update(ranking)
            if as_json:
                print_json(shown.newest.model_dump(mode="json"))

    run(work, as_json=as_json, resume="the same command; finished pairs are kept")


class _Shown:
    """A table that is drawn again as the ranking gets better; only its last state where nobody sees it move."""

    def __init__(self, titles: Mapping[str, str], *, quiet: bool) -> None:
        self._titles, self._quiet = titles, quiet
        self._live = Live(console=out, transient=True, auto_refresh=False)
        self._newest: Ranking | None = None

    @property
    def newest(self) -> Ranking:
        """The last ranking that came."""
        assert self._newest is not None, "a stream of rankings has at least one"
        return self._newest

    def __enter__(self) -> Self:
        if self._moves:
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._moves:
            self._live.stop()
        if self._newest and not self._quiet:
            out.print(table_of(self._newest, self._titles))

    def update(self, ranking: Ranking) -> None:
        """Show a better ranking."""
        self._newest = ranking
        if self._moves:
            self._live.update(table_of(ranking, self._titles), refresh=True)

    @property
    def _moves(self) -> bool:
        return out.is_terminal and not self._quiet


def table_of(ranking: Ranking, titles: Mapping[str, str]) -> Group:
    """Lay a ranking out: its top, a few places below, and why."""
    table = Table(title=escape(f"For {ranking.user_id}"), title_justify="left")
    for name in ("rank", "item", "score", "8 of 10 in", "by", "because"):
        table.add_column(name, overflow="fold")
    shown = ranking.items[: ranking.top + _SHOWN_BEYOND]
    for place, item in enumerate(shown, start=1):
        table.add_row(*_row(item, titles), style="" if place <= ranking.top else "dim")
    left = len(ranking.items) - len(shown)
    state = "" if ranking.final else " · still looking"
    spent = f"{ranking.calls} calls · {ranking.usage.tokens:,} tokens · scorer {ranking.scorer}{state}"
    lines = [Text(f"… and {left} more", style="dim")] if left else []
    lines += [Text(f"note: {note}", style="yellow") for note in ranking.notes]
    return Group(table, *lines, Text(spent, style="dim"))


def _row(item: RankedItem, titles: Mapping[str, str]) -> list[Text]:
    title = titles.get(item.item_id, "")[:_TITLE]
    cells = (
        f"{item.rank:g}",
        f"{item.item_id} {title}".strip(),
        f"{item.score:.2f}",
        f"{item.low:.2f} to {item.high:.2f}",
        item.source,
        item.because,
    )
    return [Text(cell) for cell in cells]


def _read(file: str) -> list[str]:
    """Read candidates, one a line: an id, or a JSON object with `item_id`; empty lines are passed over.

    Raises:
        InputError: The file cannot be read.
        BadRowError: A line is neither.
    """
    if file == "-":
        return list(_candidates("stdin", sys.stdin))
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: cannot be read: {error}; give a text file with one item id a line"
        ) from error
    return list(_candidates(file, text.splitlines()))


def _candidates(name: str, lines: Iterable[str]) -> Iterable[str]:
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        yield _id_of(name, number, text) if text.startswith("{") else text


def _id_of(name: str, number: int, text: str) -> str:
    try:
        item_id = json.loads(text)["item_id"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadRowError(name, number, "item_id", "the line is no JSON object with `item_id`") from error
    if not isinstance(item_id, str) or not item_id:
        raise BadRowError(name, number, "item_id", f"must be a text that is not empty, got {item_id!r}")
    return item_id


def _show_estimate(said: "RankEstimate", as_json: bool) -> None:
    if as_json:
        return print_json(said.model_dump(mode="json"))
    low, high = said.calls
    say(
        f"{said.candidates} candidates, {said.promising} could change the top, {said.up_to_date} of them are "
        "paired already"
    )
    say(
        f"{low:,} to {high:,} calls, about {said.prompt_tokens:,} tokens read and {said.completion_tokens:,} "
        "written at most"
    )
