"""PrefEval: does a model act on a preference that its user let slip earlier?

Each question asks for advice and offers four answers, one of which respects the preference. The preference was
stated outright, shown by a choice among options, or dropped in a longer chat. In the files the right answer is always
the first; it is in its own place only after `arrange`. A person's history is one chat, or several of which the
others are about other topics.

Source:
    Zhao et al. 2025, https://arxiv.org/abs/2502.09597. Differs: options are placed by seed, and graded by
    log-probability where the backend gives it.
"""

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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

Chat = tuple[tuple[str, str], ...]
"""What a person said and what the assistant answered, oldest first; an answer may be empty."""


@dataclass(frozen=True, kw_only=True)
class Preference:
    """One person, what was said, and the question that tests it."""

    question: Choice
    """Right option first."""

    chats: tuple[Chat, ...]
    """Conversations of the person, oldest first; one of them shows the preference."""

    @property
    def turns(self) -> Chat:
        """Everything said, oldest first."""
        return tuple(turn for chat in self.chats for turn in chat)

    def chatter(self) -> Chatter:
        """Return the person's own turns: chats a day apart, turns a minute."""
        turns = tuple(
            Turn(_START + timedelta(days=day, minutes=minute), user, assistant, f"{self.question.id}/{day}")
            for day, chat in enumerate(self.chats)
            for minute, (user, assistant) in enumerate(chat)
        )
        return Chatter(user_id=self.question.id, turns=turns)

    def lines(self) -> list[str]:
        """Return the whole history, one turn a line, oldest first."""
        found: list[str] = []
        for user, assistant in self.turns:
            found.append(f"Person: {one_line(user)}")
            if assistant:
                found.append(f"Assistant: {one_line(assistant)}")
        return found

    def conversation(self) -> str:
        """Return the whole history as one text."""
        return "\n".join(self.lines())


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
            yield Preference(question=_question(asked), chats=(_chat(said, form),))
        except (KeyError, TypeError, AttributeError) as error:
            raise BadRowError(name, line, "row", f"lacks {error}") from error


def sample_prefeval(
    folder: Path, form: Form, *, count: int | None, seed: int, chats: int = 1
) -> list[Preference]:
    """Draw questions over all topics by seed; a larger sample begins with the smaller one.

    Args:
        folder: Holds the files.
        form: How the preference was let slip.
        count: How many questions; absent for all.
        seed: Draws questions, and the other chats.
        chats: Conversations in each person's history: its own, and others drawn from other topics, in an order
            drawn by seed. Fewer where the other topics have no more.
    """
    everything = list(load_prefeval(folder, form))
    random.Random(seed).shuffle(everything)
    sample = everything[:count]
    return [_lengthened(each, everything, chats - 1, seed) for each in sample] if chats > 1 else sample


def prefeval_name(form: Form, chats: int = 1) -> str:
    """Return the data set's name in tables."""
    return f"prefeval-{form}" if chats == 1 else f"prefeval-{form}-{chats}-chats"


def prefeval_card(folder: Path, form: Form, chats: int = 1) -> Card:
    """Count the set and say what to mind."""
    users = turns = longest = 0
    for preference in load_prefeval(folder, form):
        users += 1
        turns += len(preference.turns)
        lengths = [len(text) for text in preference.question.options]
        longest += lengths[0] == max(lengths)
    origin = NAMED["prefeval"]
    mixed = f"a history is {chats} chats by people of different topics, one of which is asked about"
    return Card(
        name=prefeval_name(form, chats),
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
            *((mixed,) if chats > 1 else ()),
        ),
    )


def _lengthened(
    preference: Preference, everything: Sequence[Preference], others: int, seed: int
) -> Preference:
    """Put other people's chats about other topics around one person's own."""
    strange = [each for each in everything if each.question.group != preference.question.group]
    rng = random.Random(f"{seed} {preference.question.id}")
    drawn = rng.sample(strange, min(others, len(strange)))
    chats = [*preference.chats, *(chat for each in drawn for chat in each.chats)]
    rng.shuffle(chats)
    return replace(preference, chats=tuple(chats))


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


def _chat(row: dict[str, Any], form: Form) -> Chat:
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
