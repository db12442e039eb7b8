"""The suite `qa`: what a chat model answers that is given nothing, the whole history or the product's context.

A system here is what the model is given (see `conditions`). On interactions the next item is asked for among four
and the rating is guessed; on PrefEval and LoCoMo their own questions are asked. Every condition is asked the same
questions, so that conditions compare pairwise. Options and items are described, never named by id.
"""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ...errors import SettingsError
from ...records import Usage
from ...settings import NO_MODEL
from ...tools.prompt import load_prompt
from ...tools.rating_levels import ShownScale
from ...tools.waiting import wait_for
from ..bills import Bill, bill_of
from ..dataset import FloatArray
from ..encoding import Encoding
from ..prepared import own_options, prepare
from ..questions.answering import CHOICE_TOKENS, Questioner, open_questioner, render_choice
from ..questions.choices import Choice, arrange
from ..questions.conditions import MEASURED, Condition, contexts_for, history_lines, read_condition
from ..questions.grading import Answered
from ..questions.locomo import DIALOGUES
from ..questions.next_item import NextItemQuestions, describe_items
from ..questions.prefeval import QUESTIONS
from ..questions.rating_questions import ITEM_TOKENS, Guesses, guess_ratings, rating_prompt, scale_of
from ..questions.windows import Count, length_columns
from ..results import Cost, DataCard, Measured, Probe, Values
from ..splits import Past, Problem, Queries
from ..suite import Task
from ..target_texts import target_in_prompts
from ..workspace import Workspace
from .locomo import bill_locomo, guard_locomo, measure_locomo
from .prefeval import bill_prefeval, guard_prefeval, measure_prefeval
from .qa_options import QaOptions

NEXT_ITEM = load_prompt("answer_next")


class Qa:
    """Multiple choice, ratings and short answers by a chat model."""

    name = "qa"
    together = False
    default_systems = MEASURED
    """All of them are always needed to judge one."""

    def measure(self, task: Task) -> Sequence[Measured]:
        """Ask every question of one data set in one condition."""
        [folder] = task.data
        if task.workspace.settings.model == NO_MODEL:
            raise SettingsError("model", "is `none`, and the suite `qa` needs a chat model that answers")
        condition, options = read_condition(task.system, task.workspace), own_options(task, QaOptions)
        if (folder / QUESTIONS).exists():
            return [measure_prefeval(task, folder, condition, options)]
        if (folder / DIALOGUES).exists():
            return [measure_locomo(task, folder, condition, options)]
        prepared = prepare(task, folder)
        asked = _measure(task.workspace, prepared.split.past, prepared.test, condition, options, task.seed)
        return [
            Measured(
                system=condition.name,
                dataset=prepared.dataset.card.name,
                split=prepared.split.name,
                users=prepared.split.past.ids_of(prepared.test.queries.user),
                per_query=asked.values,
                whole=asked.whole,
                cost=asked.cost,
                complete=asked.complete,
                probes=asked.probes,
                notes=(*prepared.notes, *asked.notes),
            )
        ]

    def bill(self, task: Task) -> Bill:
        """Count the questions of one data set in one condition; nothing is asked or drawn."""
        [folder] = task.data
        condition, options = read_condition(task.system, task.workspace), own_options(task, QaOptions)
        if (folder / QUESTIONS).exists():
            return bill_prefeval(task, folder, condition, options)
        if (folder / DIALOGUES).exists():
            return bill_locomo(task, folder, condition, options)
        prepared = prepare(task, folder)
        return _bill(task, prepared.split.past, prepared.test, condition, options)

    def guard(self, task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
        """Return the card of the data, and what the probes found in it."""
        [folder] = task.data
        options = own_options(task, QaOptions)
        if (folder / QUESTIONS).exists():
            return guard_prefeval(task, folder, options)
        if (folder / DIALOGUES).exists():
            return guard_locomo(folder)
        prepared = prepare(task, folder)
        return [prepared.data], prepared.probes


class Responses(NamedTuple):
    """What one condition answered."""

    values: dict[str, Values]
    whole: dict[str, float]
    cost: Cost
    probes: tuple[Probe, ...]
    notes: tuple[str, ...]
    complete: bool


def next_item_questions(
    past: Past, problem: Problem, *, seed: int, vectors: FloatArray | None = None
) -> tuple[list[int], list[Choice]]:
    """Return which queries are asked about, and their questions with the options arranged.

    Args:
        past: What is popular and what goes together.
        problem: Histories and what came next.
        seed: Draws wrong options and places.
        vectors: Unit vectors of the catalogue, to find near options by text; absent to find them by users.
    """
    made = list(NextItemQuestions(past, seed=seed, vectors=vectors).make(problem))
    return [ix for ix, _ in made], list(arrange((question for _, question in made), seed))


def spread_words(places: Sequence[int], questions: Sequence[Choice], size: int) -> list[str]:
    """Return what each user says next: the options between which there is to choose, nothing without a question."""
    words = [""] * size
    for place, question in zip(places, questions, strict=True):
        words[place] = "\n".join(question.options)
    return words


def history_lengths(past: Past, queries: Queries, scale: ShownScale | None, count: Count) -> list[int]:
    """Return the tokens of each query's whole history."""
    return [count("\n".join(lines)) for lines in history_lines(past, queries, scale)]


def _measure(
    workspace: Workspace, past: Past, problem: Problem, condition: Condition, options: QaOptions, seed: int
) -> Responses:
    scale = scale_of(past.events.rating)
    vectors = None
    if options.near == "text":
        vectors = Encoding(workspace.settings.embedder, workspace).encode_items(past.items)
    places, questions = next_item_questions(past, problem, seed=seed, vectors=vectors)
    window, asked = options.window(workspace.settings), spread_words(places, questions, len(problem.queries))
    told = contexts_for(condition, past, problem.queries, scale, workspace, asked=asked, window=window)
    lengths = history_lengths(past, problem.queries, scale, window.count)
    started = time.perf_counter()

    async def ask() -> tuple[Answered, Guesses]:
        async with open_questioner(workspace) as questioner:
            chosen = await questioner.choose(
                NEXT_ITEM,
                questions,
                [told.contexts[place] for place in places],
                label=condition.name,
                rotations=options.rotations,
            )
            return chosen, await _guess(questioner, past, problem, scale, told.contexts, condition.name)

    chosen, guessed = wait_for(ask())
    cost = Cost(
        fit_seconds=told.seconds,
        score_seconds=time.perf_counter() - started,
        queries=len(problem.queries),
        usage=Usage.total((told.usage, *chosen.usage, *guessed.usage)),
    )
    values = {name: _spread(column, places, len(problem.queries)) for name, column in chosen.values.items()}
    values |= length_columns(values, told.contexts, lengths, window.count)
    values["rating_mae"] = np.abs(guessed.ratings - _first_ratings(problem)).astype(np.float64)
    values["rating_readable"] = guessed.readable.astype(np.float64)
    whole = {f"chance {name}": value for name, value in chosen.chance.items()}
    right: list[int] = problem.answers.item[problem.answers.starts[:-1]].tolist()
    titles = [past.items[item].title for item in right]
    notes = [*told.notes, *_notes(len(problem.queries) - len(questions), chosen, guessed)]
    leak = target_in_prompts(told.contexts, titles, dataset=past.card.name)
    complete = told.complete and chosen.complete and guessed.complete
    named = tuple(f"{condition.name}: {note}" for note in notes)
    return Responses(values, whole, cost, (leak, *told.probes), named, complete)


def _bill(task: Task, past: Past, problem: Problem, condition: Condition, options: QaOptions) -> Bill:
    scale, window = scale_of(past.events.rating), options.window(task.workspace.settings)
    told = contexts_for(condition.foreseen, past, problem.queries, scale, task.workspace, window=window)
    places, questions = next_item_questions(past, problem, seed=task.seed)
    choices = (
        render_choice(NEXT_ITEM, question, told.contexts[place])
        for place, question in zip(places, questions, strict=True)
    )
    asked = bill_of(
        choices, window.count, beside=condition.beside, answer=CHOICE_TOKENS, times=options.rotations
    )
    rated = np.flatnonzero(~np.isnan(_first_ratings(problem))).tolist() if scale else []
    ratings = (rating_prompt(scale, told.contexts[place], "") for place in rated) if scale else ()
    guessed = bill_of(ratings, window.count, beside=condition.beside + ITEM_TOKENS, answer=CHOICE_TOKENS)
    return (asked + guessed)._replace(left_out=condition.left_out)


def _notes(left_out: int, chosen: Answered, guessed: Guesses) -> Iterator[str]:
    if left_out:
        yield f"{left_out} queries had no next-item question (no text, too few wrong options)"
    yield from (f"next item: {note}" for note in chosen.notes)
    yield from (f"rating: {note}" for note in guessed.notes)


async def _guess(
    questioner: Questioner,
    past: Past,
    problem: Problem,
    scale: ShownScale | None,
    contexts: Sequence[str],
    label: str,
) -> Guesses:
    """Guess the rating of each query's next item, where it has one."""
    actual = _first_ratings(problem)
    rated = np.flatnonzero(~np.isnan(actual))
    if scale is None or scale.levels < 2 or not len(rated):
        nothing = np.full(len(actual), np.nan, dtype=np.float32)
        return Guesses(nothing, nothing, (), ())
    queries, answers = problem.queries, problem.answers
    guesses = await guess_ratings(
        questioner,
        scale,
        past.ids_of(queries.user[rated]),
        describe_items(past.items, answers.item[answers.starts[rated]]),
        [contexts[place] for place in rated.tolist()],
        label=f"{label}, ratings",
    )
    ratings, readable = (
        _spread(column, rated.tolist(), len(actual)).astype(np.float32)
        for column in (guesses.ratings, guesses.readable)
    )
    return guesses._replace(ratings=ratings, readable=readable)


def _first_ratings(problem: Problem) -> FloatArray:
    """Return the rating of each query's first answer; NaN where there is none."""
    return problem.answers.rating[problem.answers.starts[:-1]]


def _spread(column: Values, places: Sequence[int], size: int) -> Values:
    """Put values at their queries, NaN elsewhere."""
    spread = np.full(size, np.nan)
    spread[list(places)] = column
    return spread
