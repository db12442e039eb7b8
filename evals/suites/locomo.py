"""LoCoMo in the suite `qa`: short answers about two people, a secondary number and never a headline."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...records import Usage
from ...tools.prompt import load_prompt
from ...tools.waiting import wait_for
from ..bills import Bill, bill_of
from ..provenance import data_card
from ..questions.answering import Request, open_questioner
from ..questions.chat_contexts import ChatQuestion, draw_chatters, tell_chatters
from ..questions.conditions import HISTORY, LIMNER, PROFILE, Condition, Told, cut_note
from ..questions.grading import Reply, by_group, summarise_failures
from ..questions.locomo import Dialogue, DialogueQuestion, answer_tokens, locomo_card, sample_locomo, token_f1
from ..questions.windows import Window, length_columns
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
    window = options.window(task.workspace.settings)
    told = locomo_contexts(task.workspace, sample, condition, window)
    questions = _questions(sample)
    requests = _requests(sample, told.contexts)
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
    lengths = [window.count(dialogue.conversation()) for dialogue, asked in sample for _ in asked]
    by_length = length_columns(grades, told.contexts, lengths, window.count)
    return Measured(
        system=condition.name,
        dataset="locomo",
        split="questions",
        users=[question.id for question in questions],
        per_query=grades | by_length | by_group(grades, [question.category for question in questions]),
        cost=cost,
        probes=told.probes,
        complete=told.complete and all(reply.result is not None for reply in replies),
        notes=tuple(f"{condition.name}: {note}" for note in (*told.notes, *summarise_failures(replies))),
    )


def bill_locomo(task: Task, folder: Path, condition: Condition, options: QaOptions) -> Bill:
    """Count the questions of one condition; nothing is asked or drawn.

    Where a backend keeps prompts, what the questions about one dialogue share is read once.
    """
    sample = sample_locomo(folder, count=task.users, seed=task.seed)
    window = options.window(task.workspace.settings)
    told = locomo_contexts(task.workspace, sample, condition.foreseen, window)
    prompts = (request.messages for request in _requests(sample, told.contexts))
    bill = bill_of(prompts, window.count, beside=condition.beside, answer=LONGEST)
    return bill._replace(left_out=condition.left_out)


def guard_locomo(folder: Path) -> tuple[Sequence[DataCard], Sequence[Probe]]:
    """Return the card; free answers have no places that could give them away."""
    return [data_card(folder, locomo_card(folder))], []


def _questions(sample: Sample) -> list[DialogueQuestion]:
    return [question for _, asked in sample for question in asked]


def _requests(sample: Sample, contexts: Sequence[str]) -> list[Request]:
    return [
        Request(
            subject=question.id,
            prompt=DIALOGUE,
            messages=DIALOGUE.render(context=context, question=question.text),
        )
        for question, context in zip(_questions(sample), contexts, strict=True)
    ]


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


def locomo_contexts(workspace: Workspace, sample: Sample, condition: Condition, window: Window) -> Told:
    """Return what a condition tells before each question, those of one dialogue side by side."""
    if condition.given == HISTORY:
        return _histories(sample, window)
    if condition.given == PROFILE:
        return _portraits(workspace, sample, condition.writer)
    if condition.given == LIMNER:
        return _told(workspace, sample, condition, window)
    return Told([""] * len(_questions(sample)))


def _histories(sample: Sample, window: Window) -> Told:
    contexts: list[str] = []
    cut = 0
    for dialogue, asked in sample:
        shown = dialogue.conversation(window.room, window.count)
        contexts += [shown] * len(asked)
        cut += len(asked) * (shown != dialogue.conversation())
    return Told(contexts, notes=cut_note(cut, len(contexts), window))


def _portraits(workspace: Workspace, sample: Sample, writer: str) -> Told:
    chatters = [chatter for dialogue, _ in sample for chatter in dialogue.chatters()]
    drawn = draw_chatters(workspace, chatters, writer, "locomo")
    texts = [
        "\n".join(
            f"{speaker}: {text}"
            for speaker, text in zip(dialogue.speakers, drawn.contexts[2 * ix : 2 * ix + 2], strict=True)
        )
        for ix, (dialogue, _) in enumerate(sample)
    ]
    contexts = [text for text, (_, asked) in zip(texts, sample, strict=True) for _ in asked]
    return drawn._replace(contexts=contexts)


class _Half(NamedTuple):
    """What one speaker's context is asked for."""

    number: int
    """Of the question."""

    heading: str
    question: ChatQuestion


def _told(workspace: Workspace, sample: Sample, condition: Condition, window: Window) -> Told:
    """Let the product tell about whom each question names, about both where it names none or both."""
    halves = list(_halves(sample, condition.tokens, window))
    chatters = [chatter for dialogue, _ in sample for chatter in dialogue.chatters()]
    told = tell_chatters(
        workspace,
        chatters,
        [half.question for half in halves],
        writer=condition.writer,
        name="locomo",
        count=window.count,
    )
    parts: defaultdict[int, list[str]] = defaultdict(list)
    for half, text in zip(halves, told.contexts, strict=True):
        parts[half.number].append(f"{half.heading}{text}")
    return told._replace(contexts=["\n".join(parts[number]) for number in sorted(parts)])


def _halves(sample: Sample, tokens: int, window: Window) -> Iterator[_Half]:
    number = 0
    for dialogue, asked in sample:
        for question in asked:
            named = [speaker for speaker in dialogue.speakers if speaker in question.text]
            whom = named or list(dialogue.speakers)
            for speaker in whom:
                heading = f"{speaker}:\n"
                room = tokens // len(whom) - window.count(f"{heading}\n")
                about = ChatQuestion(f"{dialogue.id}/{speaker}", question.text, max(room, 1))
                yield _Half(number, heading, about)
            number += 1
