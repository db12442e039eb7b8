"""What is told about people who chatted before a question: their portraits, or the product's contexts."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...records import Usage
from ...settings import Settings
from ...tools.waiting import wait_for
from ..portraits.chats import ChatPortrait, Chatter, draw_chats
from ..portraits.heard import Asked, hear_and_tell, moment_after
from ..portraits.painters import EXTRACTIVE
from ..portraits.portraits import alone_in, settings_of_store
from ..provenance import code_hash
from ..workspace import Workspace
from .conditions import Told
from .context_probes import budget_probe
from .windows import Count


class ChatQuestion(NamedTuple):
    """One thing that an assistant wants to know."""

    user_id: str
    query: str
    tokens: int
    """Most tokens of the context."""


def draw_chatters(workspace: Workspace, chatters: Sequence[Chatter], writer: str, name: str) -> Told:
    """Draw people who chatted, in a store of the workspace; what is there already is not drawn again.

    Args:
        workspace: Where the store lies, and how models are reached.
        chatters: Who said what.
        writer: `extractive`, or a LiteLLM model string.
        name: Of the data set; each has its own store.
    """
    started = time.perf_counter()
    folder = workspace.folder / "portraits" / _slug(name, writer)
    settings = settings_of_store(workspace.settings, folder, writer)
    budget = None if writer == EXTRACTIVE else workspace.budget  # without a model there is nothing to refuse
    portraits = wait_for(draw_chats(settings, chatters, budget=budget, notice=workspace.notice))
    return Told(
        [portrait.text for portrait in portraits],
        Usage.total(portrait.usage for portrait in portraits),
        time.perf_counter() - started,
        portrait_notes(portraits, writer),
        complete=all(portrait.complete for portrait in portraits),
    )


def tell_chatters(
    workspace: Workspace,
    chatters: Sequence[Chatter],
    questions: Sequence[ChatQuestion],
    *,
    writer: str,
    name: str,
    count: Count,
) -> Told:
    """Let the product listen to people, draw them, and tell an assistant about them; one context a question.

    Args:
        workspace: Where the store lies, and how models are reached.
        chatters: Who said what.
        questions: What is asked, at the midnight after the last turn of anybody.
        writer: `extractive`, or a LiteLLM model string.
        name: Of the data set; each has its own store.
        count: The tokens of a text to the model that answers.
    """
    started = time.perf_counter()
    settings = settings_of_chats(workspace, writer, name)
    moment = moment_after(chatters)
    reader = workspace.settings.model
    asked = [Asked(each.user_id, each.query, moment, each.tokens, reader) for each in questions]
    with alone_in(settings.store, workspace):
        answered = wait_for(
            hear_and_tell(
                settings,
                chatters,
                asked,
                budget=None if writer == EXTRACTIVE else workspace.budget,
                notice=workspace.notice,
            )
        )
    portraits = list(answered.portraits.values())
    unknown = sum(not context.known for context in answered.contexts)
    notes = [*portrait_notes(portraits, writer)]
    if unknown:
        notes.append(f"{unknown} of {len(asked)} contexts say that nothing is known")
    return Told(
        [context.text for context in answered.contexts],
        answered.usage,
        time.perf_counter() - started,
        tuple(notes),
        complete=all(portrait.complete for portrait in portraits),
        probes=(budget_probe(answered.contexts, [each.tokens for each in questions], count, name),),
    )


def settings_of_chats(workspace: Workspace, writer: str, name: str) -> Settings:
    """Return settings of the store that listens to a data set's chats; one for each state of the code."""
    folder = workspace.folder / "heard" / _slug(name, writer, code_hash()[:8])
    return settings_of_store(workspace.settings, folder, writer)


def portrait_notes(portraits: Iterable[ChatPortrait], writer: str) -> tuple[str, ...]:
    """Say which people have no portrait, or one that the writer did not write."""
    drawn = list(portraits)
    missing = [portrait.note for portrait in drawn if portrait.note]
    by_rule = sum(portrait.source == "extractive" for portrait in drawn)
    notes: list[str] = []
    if missing:
        notes.append(f"{len(missing)} of {len(drawn)} people have no portrait: {missing[0]}")
    if by_rule and writer != EXTRACTIVE:
        notes.append(f"{by_rule} of {len(drawn)} portraits fell back to the extractive one")
    return tuple(notes)


def _slug(*names: str) -> Path:
    return Path("-".join(names).replace("/", "-").replace(":", "-"))
