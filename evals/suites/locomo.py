"""LoCoMo in the suite `qa`: short answers about two people, a secondary number and never a headline."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...records import Usage
from ...tools.prompt import load_prompt
from ...tools.waiting import wait_for
from ..provenance import data_card
from ..questions.answering import Request, open_questioner
from ..questions.chat_contexts import draw_chatters
from ..questions.conditions import HISTORY, PROFILE, Condition, Told
from ..questions.grading import Reply, by_group, summarise_failures
from ..questions.locomo import Dialogue, DialogueQuestion, answer_tokens, locomo_card, sample_locomo, token_f1
from ..results import Cost, DataCard, Measured, Probe, Values
from ..suite import Task
from ..workspace import Workspace
from .qa_options import QaOptions

DIALOGUE = load_prompt("answer_dialogue")

LONGEST = 32
"""Tokens of an answer at most."""

Sample = Sequence[tuple[Dialogue, tuple[DialogueQuestion, ...]]]


def measure_locomo(task: Task, folder: Path, condition: Condition, options: QaOptions) -> Measured:
    """Ask every sampled question in one condition."""
    sample = sample_locomo(folder, count=task.users, seed=task.seed)
    told = _contexts(task.workspace, sample, condition, options.room)
    questions = [question for _, asked in sample for question in asked]
    requests = [
        Request(
            subject=question.id,
            prompt=DIALOGUE,
            messages=DIALOGUE.render(context=context, question=question.text),
        )
        for (_, asked), context in zip(sample, told.contexts, strict=True)
        for question in asked
    ]
    started = time.perf_counter()

    async def ask() -> list[Reply]:
        async with open_questioner(task.workspace) as questioner:
            return await questioner.ask(requests, max_tokens=LONGEST, label=condition.name)

    replies = wait_for(ask())
    cost = Cost(
        fit_seconds=told.seconds,
        score_seconds=time.perf_counter() - started,
        queries=len(questions),
        usage=Usage.total((told.usage, *(reply.usage for reply in replies))),
    )
    grades = _grade(questions, replies)
    return Measured(
        system=condition.name,
        dataset="locomo",
        split="questions",
        users=[question.id for question in questions],
        per_query=grades | by_group(grades, [question.category for question in questions]),
        cost=cost,
        complete=told.complete and all(reply.result is not None for reply in replies),
        notes=tuple(f"{condition.name}: {note}" for note in (*told.notes, *summarise_failures(replies))),
    )


def guard_locomo(folder: Path) -> tuple[Sequence[DataCard], Sequence[Probe]]:
    """Return the card; free answers have no places that could give them away."""
    return [data_card(folder, locomo_card(folder))], []


def _grade(questions: Sequence[DialogueQuestion], replies: Sequence[Reply]) -> dict[str, Values]:
    """Compare answers with gold; NaN where nothing was answered for want of budget or model."""
    grades = np.full((len(questions), 2), np.nan)
    for ix, (question, reply) in enumerate(zip(questions, replies, strict=True)):
        if reply.result is not None:
            said = reply.result.text.strip().partition("\n")[0]
            grades[ix] = (
                token_f1(said, question.answer),
                answer_tokens(said) == answer_tokens(question.answer),
            )
    return {"f1": grades[:, 0], "exact_match": grades[:, 1]}


def _contexts(workspace: Workspace, sample: Sample, condition: Condition, room: int) -> Told:
    """Return what a condition tells about each dialogue."""
    if condition.given == HISTORY:
        return Told([dialogue.conversation(room) for dialogue, _ in sample])
    if condition.given != PROFILE:
        return Told([""] * len(sample))
    chatters = [chatter for dialogue, _ in sample for chatter in dialogue.chatters()]
    drawn = draw_chatters(workspace, chatters, condition.writer, "locomo")
    texts = [
        "\n".join(
            f"{speaker}: {text}"
            for speaker, text in zip(dialogue.speakers, drawn.contexts[2 * ix : 2 * ix + 2], strict=True)
        )
        for ix, (dialogue, _) in enumerate(sample)
    ]
    return drawn._replace(contexts=texts)
