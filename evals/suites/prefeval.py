"""PrefEval in the suite `qa`: advice that respects a preference, among four."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...records import Usage
from ...tools.prompt import load_prompt
from ...tools.waiting import wait_for
from ..bills import Bill, bill_of
from ..provenance import data_card
from ..questions.answering import CHOICE_TOKENS, open_questioner, render_choice
from ..questions.chat_contexts import ChatQuestion, draw_chatters, tell_chatters
from ..questions.choices import Choice, arrange, chance_level
from ..questions.conditions import HISTORY, LIMNER, PROFILE, Condition, Told, cut_note
from ..questions.grading import by_group
from ..questions.prefeval import Preference, prefeval_card, prefeval_name, sample_prefeval
from ..questions.windows import Window, length_columns, newest_that_fit
from ..results import Cost, DataCard, Measured, Probe
from ..suite import Task
from ..workspace import Workspace
from .qa_options import QaOptions

PREFERENCE = load_prompt("answer_preference")

SLACK = 3
"""Questions by which a constant letter may beat chance before the places of right answers are called uneven."""


def measure_prefeval(task: Task, folder: Path, condition: Condition, options: QaOptions) -> Measured:
    """Ask every sampled question in one condition."""
    sample = _sample(task, folder, options)
    questions = prefeval_questions(sample, task.seed)
    dataset, window = prefeval_name(options.form, options.chats), options.window(task.workspace.settings)
    told = prefeval_contexts(task.workspace, sample, condition, store_name(task, options), window)
    lengths = [window.count(preference.conversation()) for preference in sample]
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
        by_length = length_columns(answered.values, told.contexts, lengths, window.count)
        return Measured(
            system=condition.name,
            dataset=dataset,
            split="questions",
            users=answered.ids,
            per_query=answered.values | by_length | by_group(answered.values, answered.groups),
            whole={f"chance {name}": value for name, value in answered.chance.items()},
            cost=cost,
            probes=told.probes,
            complete=told.complete and answered.complete,
            notes=tuple(f"{condition.name}: {note}" for note in (*told.notes, *answered.notes)),
        )

    return wait_for(ask())


def bill_prefeval(task: Task, folder: Path, condition: Condition, options: QaOptions) -> Bill:
    """Count the questions of one condition; nothing is asked or drawn."""
    sample, window = _sample(task, folder, options), options.window(task.workspace.settings)
    told = prefeval_contexts(task.workspace, sample, condition.foreseen, "", window)
    prompts = (
        render_choice(PREFERENCE, question, context)
        for question, context in zip(prefeval_questions(sample, task.seed), told.contexts, strict=True)
    )
    bill = bill_of(
        prompts, window.count, beside=condition.beside, answer=CHOICE_TOKENS, times=options.rotations
    )
    return bill._replace(left_out=condition.left_out)


def prefeval_questions(sample: Sequence[Preference], seed: int) -> list[Choice]:
    """Return the questions with their options arranged."""
    return list(arrange((preference.question for preference in sample), seed))


def guard_prefeval(
    task: Task, folder: Path, options: QaOptions
) -> tuple[Sequence[DataCard], Sequence[Probe]]:
    """Return the card, and whether the places of the right answers give them away."""
    name = prefeval_name(options.form, options.chats)
    probe = constant_letter(prefeval_questions(_sample(task, folder, options), task.seed), name)
    return [data_card(folder, prefeval_card(folder, options.form, options.chats))], [probe]


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
    workspace: Workspace, sample: Sequence[Preference], condition: Condition, name: str, window: Window
) -> Told:
    """Return what a condition tells about each person.

    Args:
        workspace: Where portraits are kept.
        sample: Who is asked about.
        condition: What the model is given.
        name: Of the store of these people.
        window: Of the model that answers.
    """
    if condition.given == HISTORY:
        told = [newest_that_fit(preference.lines(), window) for preference in sample]
        return Told(
            [text for text, _ in told], notes=cut_note(sum(cut for _, cut in told), len(told), window)
        )
    chatters = [preference.chatter() for preference in sample]
    if condition.given == PROFILE:
        return draw_chatters(workspace, chatters, condition.writer, name)
    if condition.given == LIMNER:
        asked = [
            ChatQuestion(preference.question.id, preference.question.text, condition.tokens)
            for preference in sample
        ]
        return tell_chatters(
            workspace, chatters, asked, writer=condition.writer, name=name, count=window.count
        )
    return Told([""] * len(sample))


def store_name(task: Task, options: QaOptions) -> str:
    """Return the name of a store; histories of several chats depend on the seed."""
    name = prefeval_name(options.form, options.chats)
    return name if options.chats == 1 else f"{name}-seed-{task.seed}"


def _sample(task: Task, folder: Path, options: QaOptions) -> list[Preference]:
    return sample_prefeval(folder, options.form, count=task.users, seed=task.seed, chats=options.chats)
