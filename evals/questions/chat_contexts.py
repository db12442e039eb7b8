"""What portraits of people who chatted tell before a question."""

import time
from collections.abc import Sequence

from ...records import Usage
from ...tools.waiting import wait_for
from ..portraits.chats import Chatter, draw_chats
from ..portraits.painters import EXTRACTIVE
from ..portraits.portraits import settings_of_store
from ..workspace import Workspace
from .conditions import Told


def draw_chatters(workspace: Workspace, chatters: Sequence[Chatter], writer: str, name: str) -> Told:
    """Draw people who chatted, in a store of the workspace; what is there already is not drawn again.

    Args:
        workspace: Where the store lies, and how models are reached.
        chatters: Who said what.
        writer: `extractive`, or a LiteLLM model string.
        name: Of the data set; each has its own store.
    """
    started = time.perf_counter()
    folder = workspace.folder / "portraits" / f"{name}-{writer}".replace("/", "-").replace(":", "-")
    settings = settings_of_store(workspace.settings, folder, writer)
    budget = None if writer == EXTRACTIVE else workspace.budget  # without a model there is nothing to refuse
    portraits = wait_for(draw_chats(settings, chatters, budget=budget, notice=workspace.notice))
    missing = [portrait.note for portrait in portraits if portrait.note]
    by_rule = sum(portrait.source == "extractive" for portrait in portraits)
    notes: list[str] = []
    if missing:
        notes.append(f"{len(missing)} of {len(portraits)} people have no portrait: {missing[0]}")
    if by_rule and writer != EXTRACTIVE:
        notes.append(f"{by_rule} of {len(portraits)} portraits fell back to the extractive one")
    return Told(
        [portrait.text for portrait in portraits],
        Usage.total(portrait.usage for portrait in portraits),
        time.perf_counter() - started,
        tuple(notes),
        complete=all(portrait.complete for portrait in portraits),
    )
