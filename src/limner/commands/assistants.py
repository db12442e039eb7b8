"""Commands of assistants: `context`, `listen`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..contexts import Context, Heard
from ..errors import BudgetExceededError
from ..face import Limner
from ..records import FEWEST_TOKENS, Usage
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

if TYPE_CHECKING:
    from ..tools.budget import Budget
    from ..tools.conversations import Conversation

_SHOWN = 20


def context(
    user: Annotated[str, typer.Argument(help="User id.")],
    query: Annotated[
        str | None, typer.Option("--query", "-q", help="What the user asks (default: what is newest).")
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", help=f"Most tokens, at least {FEWEST_TOKENS}.")
    ] = 400,
    reader: Annotated[
        str | None, typer.Option("--reader", help="Model string of who reads it and counts the tokens.")
    ] = None,
    as_of: AsOfOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an assistant should know of a user; nothing is drawn and no model is asked.

    Example:  limner context ada --query "a present for my sister" --max-tokens 200
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)

    async def work() -> Context:
        async with Limner(settings) as limner:
            return await limner.context(
                user, query, max_tokens=max_tokens, as_of=moment_of(as_of), model=reader
            )

    told = run(work, as_json=as_json)
    if as_json:
        return print_json({**told.model_dump(mode="json"), "text": told.text})
    say(told.text)
    version = f"version {told.version}" if told.version else "no portrait yet"
    note(f"{told.tokens} tokens, {told.stable_tokens} of them stable · {version}", style="dim")


def listen(
    user: Annotated[str, typer.Argument(help="User id of who speaks in the role `user`.")],
    file: Annotated[
        Path,
        typer.Argument(help="OpenAI messages (JSON or JSONL), or conversations.json of a ChatGPT export."),
    ],
    model: ModelOption = None,
    budget_calls: BudgetCalls = None,
    budget_tokens: BudgetTokens = None,
    budget_money: BudgetMoney = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take chats as behaviour: keep the user's own turns and note what they tell. Hearing a file again changes nothing.

    Example:  limner listen ada conversations.json
    """
    as_json = wants_json(as_json)
    settings = settings_for(
        store, model=model, budget=given(calls=budget_calls, tokens=budget_tokens, money=budget_money)
    )

    async def work() -> Heard:
        from ..tools.conversations import read_conversations

        talks = read_conversations(file)
        async with Limner(settings) as limner:
            shared = limner.new_budget()
            return _together(user, [await _hear(limner, user, talk, shared) for talk in talks])

    found = run(work, as_json=as_json, resume="the same command; turns that were heard are skipped")
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print_heard(found)
    if set(found.failed) - {BudgetExceededError.code}:
        note(
            f"{', '.join(found.failed)}: the turns are recorded, but a model did not read all of them; mend what the "
            "notes say and repeat the command",
            style="red",
        )
        raise typer.Exit(1)


async def _hear(limner: Limner, user: str, talk: "Conversation", budget: "Budget") -> Heard:
    return await limner.listen(
        user, talk.messages, conversation_id=talk.conversation_id, at=talk.at, budget=budget
    )


def _together(user: str, heard: Sequence[Heard]) -> Heard:
    """Add up what several conversations gave."""
    return Heard(
        user_id=user,
        recorded=sum(each.recorded for each in heard),
        repeated=sum(each.repeated for each in heard),
        cues=tuple(cue for each in heard for cue in each.cues),
        retracted=tuple(cue for each in heard for cue in each.retracted),
        forgotten=tuple(event_id for each in heard for event_id in each.forgotten),
        usage=Usage.total(each.usage for each in heard),
        failed=tuple(dict.fromkeys(code for each in heard for code in each.failed)),
        notes=tuple(dict.fromkeys(line for each in heard for line in each.notes)),
    )


def _print_heard(heard: Heard) -> None:
    say(
        f"{heard.recorded} turns recorded, {heard.repeated} repeated, {len(heard.cues)} observations, "
        f"{len(heard.retracted)} taken back, {len(heard.forgotten)} forgotten"
    )
    for cue in heard.cues[:_SHOWN]:
        say(f"  {cue.polarity} {cue.facet}: {cue.text}")
    if len(heard.cues) > _SHOWN:
        say(f"  … and {len(heard.cues) - _SHOWN} more")
    for line in heard.notes:
        note(f"note: {line}", style="yellow")
    note(f"{heard.usage.calls} calls, {heard.usage.tokens:,} tokens", style="dim")
