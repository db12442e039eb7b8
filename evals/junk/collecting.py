"""The cues that the product stores about people, collected with what they rest on."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from ...agents.extract_cues import shelf_of
from ...face import Limner
from ...records import Usage
from ...tools.waiting import wait_for
from ..portraits.chats import Chatter
from ..portraits.heard import hear, moment_after
from ..portraits.painters import EXTRACTIVE
from ..portraits.portraits import Portraits, alone_in
from ..prepared import Prepared, prepare
from ..provenance import data_card
from ..questions.chat_contexts import portrait_notes, settings_of_chats
from ..questions.locomo import DIALOGUES, locomo_card, sample_locomo
from ..questions.prefeval import QUESTIONS, Form, prefeval_card, prefeval_name, sample_prefeval
from ..results import DataCard, Probe
from ..suite import Task
from .exhibits import Exhibit, exhibits_of

_FORM: Form = "persona"


class Collected(NamedTuple):
    """Every stored cue of some people."""

    exhibits: list[Exhibit]
    people: int
    dataset: str
    usage: Usage
    notes: tuple[str, ...]
    complete: bool


def collect(task: Task, writer: str) -> Collected:
    """Let the product take people in, chats by listening and interactions by drawing, and read back what it noted.

    Args:
        task: Data, users and workspace.
        writer: `extractive`, or a LiteLLM model string.
    """
    [folder] = task.data
    if (folder / QUESTIONS).exists():
        sample = sample_prefeval(folder, _FORM, count=task.users, seed=task.seed)
        name = prefeval_name(_FORM)
        return _from_chats(task, [preference.chatter() for preference in sample], writer, name)
    if (folder / DIALOGUES).exists():
        drawn = sample_locomo(folder, count=None, seed=task.seed)
        chatters = [chatter for dialogue, _ in drawn for chatter in dialogue.chatters()]
        return _from_chats(task, chatters[: task.users], writer, "locomo")
    return _from_interactions(task, prepare(task, folder), writer)


def _from_chats(task: Task, chatters: Sequence[Chatter], writer: str, name: str) -> Collected:
    workspace = task.workspace
    settings, moment = settings_of_chats(workspace, writer, name), moment_after(chatters)
    budget = None if writer == EXTRACTIVE else workspace.budget

    async def work() -> Collected:
        async with Limner(settings) as limner:
            drawn, usage = await hear(limner, chatters, as_of=moment, budget=budget, notice=workspace.notice)
            users = [chatter.user_id for chatter in chatters]
            portraits = list(drawn.values())
            return Collected(
                await _read(limner, users, moment),
                len(users),
                name,
                usage,
                portrait_notes(portraits, writer),
                all(portrait.complete for portrait in portraits),
            )

    with alone_in(settings.store, workspace):
        return wait_for(work())


def _from_interactions(task: Task, prepared: Prepared, writer: str) -> Collected:
    past, queries = prepared.split.past, prepared.test.queries
    portraits = Portraits(task.workspace, writer=writer)
    portraits.fit(past)
    portraits.draw(queries)
    users = list(dict.fromkeys(past.ids_of(queries.user)))

    return Collected(
        portraits.in_store(lambda limner: _read(limner, users, datetime.now(UTC))),
        len(users),
        past.card.name,
        portraits.usage,
        (*prepared.notes, *portraits.caveats),
        portraits.complete,
    )


async def _read(limner: Limner, users: Sequence[str], as_of: datetime) -> list[Exhibit]:
    deps = (await limner.prepare()).deps
    scale = await deps.store.rating_scale(as_of=as_of)
    found: list[Exhibit] = []
    for user_id in users:
        cues = await deps.store.cues(shelf_of(deps, f"user:{user_id}"))
        history = await limner.history(user_id, as_of=as_of)
        items = await limner.items(list({event.item_id for event in history if event.item_id}))
        found += exhibits_of(user_id, cues, history, items, scale)
    return found


def card_of_data(task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
    """Return the card of a task's data, and what the probes for leaks found in it."""
    [folder] = task.data
    if (folder / QUESTIONS).exists():
        return [data_card(folder, prefeval_card(folder, _FORM))], []
    if (folder / DIALOGUES).exists():
        return [data_card(folder, locomo_card(folder))], []
    prepared = prepare(task, folder)
    return [prepared.data], prepared.probes
