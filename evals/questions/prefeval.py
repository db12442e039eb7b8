"""PrefEval: does a model act on a preference that its user let slip earlier?

Each question asks for advice and offers four answers, one of which respects the preference. The preference was
stated outright, shown by a choice among options, or dropped in a longer chat. In the files the right answer is always
the first; it is in its own place only after `arrange`.

Source:
    Zhao et al. 2025, https://arxiv.org/abs/2502.09597. Differs: options are placed by seed, and graded by
    log-probability where the backend gives it.
"""

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from ...agents.case import one_line
from ...errors import BadRowError, UnknownFormatError
from ..dataset import Card
from ..loading.cards import NAMED
from ..portraits.chats import Chatter, Turn
from .choices import Choice

Form = Literal["persona", "choice", "explicit"]

QUESTIONS = "mcq.jsonl.gz"
_FILES: dict[Form, str] = {
    "persona": "implicit_persona.jsonl.gz",
    "choice": "implicit_choice.jsonl.gz",
    "explicit": "explicit.jsonl.gz",
}
_START = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Preference:
    """One person, what was said, and the question that tests it."""

    question: Choice
    """Right option first."""

    turns: tuple[tuple[str, str], ...]
    """What the person said and what the assistant answered, oldest first; an answer may be empty."""

    def chatter(self) -> Chatter:
        """Return the person's own turns, a minute apart."""
        said = [user for user, _ in self.turns]
        turns = tuple(Turn(_START + timedelta(minutes=ix), text) for ix, text in enumerate(said))
        return Chatter(user_id=self.question.id, turns=turns)

    def conversation(self) -> str:
        """Return the whole chat, one turn a line."""
        lines: list[str] = []
        for user, assistant in self.turns:
            lines.append(f"Person: {one_line(user)}")
            if assistant:
                lines.append(f"Assistant: {one_line(assistant)}")
        return "\n".join(lines)


def load_prefeval(folder: Path, form: Form) -> Iterator[Preference]:
    """Yield every question with its conversation, in the order of the files.

    Args:
        folder: Holds `mcq.jsonl.gz` and the form's conversations.
        form: `persona`: a longer chat in which the preference is dropped; `choice`: one choice among options;
            `explicit`: the preference as one sentence.

    Raises:
        UnknownFormatError: A file is missing.
        BadRowError: A row lacks a field, or the files' rows do not go together.
    """
    questions, chats = _rows(folder / QUESTIONS), _rows(folder / _FILES[form])
    pairs = zip_longest(questions, chats, fillvalue=None)
    for line, (asked, said) in enumerate(pairs, start=1):
        name = _FILES[form]
        if asked is None or said is None or _key(asked) != _key(said):
            raise BadRowError(name, line, "index", f"does not belong to line {line} of {QUESTIONS}")
        try:
            yield Preference(question=_question(asked), turns=_turns(said, form))
        except (KeyError, TypeError, AttributeError) as error:
            raise BadRowError(name, line, "row", f"lacks {error}") from error


def sample_prefeval(folder: Path, form: Form, *, count: int | None, seed: int) -> list[Preference]:
    """Draw questions over all topics by seed; a larger sample begins with the smaller one."""
    everything = list(load_prefeval(folder, form))
    random.Random(seed).shuffle(everything)
    return everything[:count]


def prefeval_card(folder: Path, form: Form) -> Card:
    """Count the set and say what to mind."""
    users = turns = longest = 0
    for preference in load_prefeval(folder, form):
        users += 1
        turns += len(preference.turns)
        lengths = [len(text) for text in preference.question.options]
        longest += lengths[0] == max(lengths)
    origin = NAMED["prefeval"]
    return Card(
        name=f"prefeval-{form}",
        source=origin.source,
        terms=origin.terms,
        users=users,
        items=0,
        events=turns,
        clock="order",
        text_by_model=origin.text_by_model,
        notes=(
            *origin.notes,
            f"the right answer is the longest in {longest / max(users, 1):.0%} of the questions (25 % by chance)",
        ),
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        raise UnknownFormatError(str(path), "is missing; give the folder that holds it")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise BadRowError(path.name, number, "row", f"is not JSON: {error}") from error


def _key(row: dict[str, Any]) -> tuple[object, object]:
    return row.get("topic"), row.get("index")


def _question(row: dict[str, Any]) -> Choice:
    return Choice(
        id=f"{row['topic']}/{row['index']}",
        text=one_line(row["question"]),
        options=tuple(one_line(text) for text in row["classification_task_options"]),
        right=0,
        group=str(row["topic"]),
    )


def _turns(row: dict[str, Any], form: Form) -> tuple[tuple[str, str], ...]:
    if form == "explicit":
        return ((row["preference"], ""),)
    chat = row["conversation"]
    if form == "choice":
        return (
            (chat["query"], chat["assistant_options"]),
            (chat["user_selection"], chat["assistant_acknowledgment"]),
        )
    ordered = sorted(chat, key=int)
    return tuple((chat[place]["user"], chat[place]["assistant"]) for place in ordered)
