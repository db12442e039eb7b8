"""PrefEval in the suite `qa`: advice that respects a preference, among four."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...records import Usage
from ...settings import NO_MODEL
from ...tools.prompt import load_prompt
from ..answering import open_questioner
from ..chat_portraits import Chatter, draw_chats
from ..conditions import Condition, QaOptions, Told
from ..contexts import HISTORY, PROFILE
from ..grading import by_group
from ..painters import EXTRACTIVE
from ..prefeval import Preference, form_of, prefeval_card, sample_prefeval
from ..provenance import data_card
from ..questions import Choice, arrange, chance_level
from ..results import Cost, DataCard, Measured, Probe
from ..suite import Task
from ..waiting import wait_for
from ..workspace import Workspace

PREFERENCE = load_prompt("answer_preference")

SLACK = 3
"""Questions by which a constant letter may beat chance before the places of right answers are called uneven."""


def measure_prefeval(task: Task, folder: Path, condition: Condition, options: QaOptions) -> Measured:
    """Ask every sampled question in one condition."""
    sample = sample_prefeval(folder, options.form, count=task.users, seed=task.seed)
    questions = prefeval_questions(sample, task.seed)
    dataset = f"prefeval-{options.form}"
    told = prefeval_contexts(task.workspace, sample, condition, dataset)
    started = time.perf_counter()

    async def ask() -> Measured:
        settings = task.workspace.settings
        store = settings.model_copy(update={"store": task.workspace.folder / "answers"})
        async with open_questioner(store, notice=task.workspace.notice) as questioner:
            answered = await questioner.choose(
                PREFERENCE, questions, told.contexts, condition=condition.name, rotations=options.rotations
            )
        cost = Cost(
            fit_seconds=told.seconds,
            score_seconds=time.perf_counter() - started,
            queries=len(questions),
            usage=Usage.total((told.usage, *answered.usage)),
        )
        return Measured(
            system=condition.name,
            dataset=dataset,
            split="questions",
            users=answered.ids,
            per_query=answered.values | by_group(answered.values, answered.groups),
            whole={f"chance {name}": value for name, value in answered.chance.items()},
            cost=cost,
            notes=tuple(f"{condition.name}: {note}" for note in (*told.notes, *answered.notes)),
        )

    return wait_for(ask())


def prefeval_questions(sample: Sequence[Preference], seed: int) -> list[Choice]:
    """Return the questions with their options arranged."""
    return list(arrange((preference.question for preference in sample), seed))


def guard_prefeval(
    task: Task, folder: Path, options: QaOptions
) -> tuple[Sequence[DataCard], Sequence[Probe]]:
    """Return the card, and whether the places of the right answers give them away."""
    sample = sample_prefeval(folder, options.form, count=task.users, seed=task.seed)
    probe = constant_letter(prefeval_questions(sample, task.seed), f"prefeval-{options.form}")
    return [data_card(folder, prefeval_card(folder, form_of(options.form)))], [probe]


def constant_letter(questions: Sequence[Choice], dataset: str) -> Probe:
    """Probe what the best answerer scores that always says the same letter: it must be chance."""
    places = np.bincount([question.right for question in questions], minlength=1)
    limit = chance_level(questions) + SLACK / max(len(questions), 1)
    value = float(places.max()) / max(len(questions), 1)
    return Probe(
        name="constant letter",
        dataset=dataset,
        passed=value <= limit,
        value=value,
        limit=limit,
        detail="accuracy of always answering the one best letter; at most chance and a little",
    )


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
    overrides = {
        "store": folder,
        "model": NO_MODEL if writer == EXTRACTIVE else writer,
        "tenant": "default",
        "database_url": None,
        "chroma_url": None,
    }
    settings = workspace.settings.model_copy(update=overrides)
    portraits = wait_for(draw_chats(settings, chatters, notice=workspace.notice))
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
    )


def prefeval_contexts(
    workspace: Workspace, sample: Sequence[Preference], condition: Condition, dataset: str
) -> Told:
    """Return what a condition tells about each person."""
    if condition.given == HISTORY:
        return Told([preference.conversation() for preference in sample])
    if condition.given == PROFILE:
        chatters = [preference.chatter() for preference in sample]
        return draw_chatters(workspace, chatters, condition.writer, dataset)
    return Told([""] * len(sample))
