"""PrefEval in the suite `qa`: advice that respects a preference, among four."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...records import Usage
from ...tools.prompt import load_prompt
from ...tools.waiting import wait_for
from ..provenance import data_card
from ..questions.answering import open_questioner
from ..questions.chat_contexts import draw_chatters
from ..questions.choices import Choice, arrange, chance_level
from ..questions.conditions import HISTORY, PROFILE, Condition, Told
from ..questions.grading import by_group
from ..questions.prefeval import Preference, prefeval_card, sample_prefeval
from ..results import Cost, DataCard, Measured, Probe
from ..suite import Task
from ..workspace import Workspace
from .qa_options import QaOptions

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
        async with open_questioner(task.workspace) as questioner:
            answered = await questioner.choose(
                PREFERENCE, questions, told.contexts, label=condition.name, rotations=options.rotations
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
            complete=told.complete and answered.complete,
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
    return [data_card(folder, prefeval_card(folder, options.form))], [probe]


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
