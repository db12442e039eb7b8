"""LoCoMo: questions about two people who chatted over months.

About 6 % of its gold answers are wrong, so it is a secondary number and never a headline.

Source:
    Maharana et al. 2024, https://arxiv.org/abs/2402.17753. Differs: F1 without stemming, the same for all
    categories; questions that have no answer (category 5) are left out.
"""

import gzip
import json
import math
import random
import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ...agents.case import one_line
from ...errors import BadRowError, UnknownFormatError
from ..dataset import Card
from ..loading.cards import card_of
from ..portraits.chats import Chatter, Turn

DIALOGUES = "locomo.json.gz"
CATEGORIES: Mapping[int, str] = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SESSION = re.compile(r"session_(\d+)")


@dataclass(frozen=True, kw_only=True)
class Session:
    """One meeting of the two."""

    at: datetime
    turns: tuple[tuple[str, str], ...]
    """Who spoke, and what was said, oldest first."""


@dataclass(frozen=True, kw_only=True)
class DialogueQuestion:
    """One question about a dialogue."""

    id: str
    text: str
    answer: str
    """Gold; wrong in about 6 % of the cases."""

    category: str


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """Two people, their meetings, and what is asked about them."""

    id: str
    speakers: tuple[str, str]
    sessions: tuple[Session, ...]
    questions: tuple[DialogueQuestion, ...]

    def chatters(self) -> tuple[Chatter, Chatter]:
        """Return each speaker's own turns, a second apart within a meeting."""
        first, second = (self._chatter(speaker) for speaker in self.speakers)
        return first, second

    def conversation(self, room: int | None = None, count: Callable[[str], int] = len) -> str:
        """Return the last meetings that fit, oldest first; of one that does not fit whole, its end.

        Args:
            room: Most tokens, line by line; absent for everything.
            count: Tells how many tokens a line is; a line break counts one more.
        """
        left = math.inf if room is None else room
        lines: list[str] = []
        for session in reversed(self.sessions):
            head = f"[{session.at:%d %B %Y}]"
            heading = count(head) + 1
            for speaker, text in reversed(session.turns):
                line = f"{speaker}: {one_line(text)}"
                left -= count(line) + 1
                if left < heading:
                    lines.append(head)
                    return "\n".join(reversed(lines))
                lines.append(line)
            lines.append(head)
            left -= heading
        return "\n".join(reversed(lines))

    def _chatter(self, speaker: str) -> Chatter:
        turns = tuple(turn for number, _ in enumerate(self.sessions) for turn in self._turns(number, speaker))
        return Chatter(user_id=f"{self.id}/{speaker}", turns=turns)

    def _turns(self, number: int, speaker: str) -> Iterator[Turn]:
        """Yield one speaker's turns of a meeting, a second apart, with what the other said until the next."""
        session = self.sessions[number]
        own = [ix for ix, (who, _) in enumerate(session.turns) if who == speaker]
        for ix, following in zip(own, [*own[1:], len(session.turns)], strict=True):
            answer = "\n".join(text for _, text in session.turns[ix + 1 : following])
            at = session.at + timedelta(seconds=ix)
            yield Turn(at, session.turns[ix][1], answer, f"{self.id}/{number}")


def load_locomo(folder: Path) -> Iterator[Dialogue]:
    """Yield the dialogues.

    Raises:
        UnknownFormatError: The file is missing or not JSON.
        BadRowError: A dialogue lacks a field.
    """
    path = folder / DIALOGUES
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows: list[dict[str, Any]] = json.load(file)
    except (OSError, json.JSONDecodeError) as error:
        raise UnknownFormatError(str(path), f"cannot be read: {error}") from error
    for number, row in enumerate(rows, start=1):
        try:
            yield _dialogue(row)
        except (KeyError, TypeError, ValueError) as error:
            raise BadRowError(path.name, number, "dialogue", f"cannot be used: {error}") from error


def sample_locomo(
    folder: Path, *, count: int | None, seed: int
) -> list[tuple[Dialogue, tuple[DialogueQuestion, ...]]]:
    """Draw questions by seed; those of one dialogue stand together, so that its context is read once."""
    dialogues = list(load_locomo(folder))
    places = [(ix, at) for ix, dialogue in enumerate(dialogues) for at in range(len(dialogue.questions))]
    random.Random(seed).shuffle(places)
    chosen = sorted(places[:count])
    return [
        (dialogue, tuple(dialogue.questions[at] for where, at in chosen if where == ix))
        for ix, dialogue in enumerate(dialogues)
        if any(where == ix for where, _ in chosen)
    ]


def locomo_card(folder: Path) -> Card:
    """Count the set and say what to mind."""
    dialogues = list(load_locomo(folder))
    return card_of(
        "locomo",
        users=2 * len(dialogues),
        items=0,
        events=sum(len(session.turns) for dialogue in dialogues for session in dialogue.sessions),
        clock="timestamps",
        notes=(
            "a secondary number, never a headline",
            "questions without an answer (category 5) are left out; F1 without stemming",
        ),
    )


def token_f1(said: str, gold: str) -> float:
    """Return the F1 of two answers' words, articles, case and punctuation aside.

    Examples:
        >>> token_f1("The old red barn.", "a red barn")  # precision 2/3, recall 1
        0.8
        >>> token_f1("", "")
        1.0
    """
    mine, theirs = answer_tokens(said), answer_tokens(gold)
    if not mine or not theirs:
        return float(mine == theirs)
    common = (Counter(mine) & Counter(theirs)).total()
    return 2 * common / (len(mine) + len(theirs))


def answer_tokens(text: str) -> list[str]:
    """Return an answer's words as they are compared.

    Source:
        Rajpurkar et al. 2016, the evaluation script of SQuAD, https://arxiv.org/abs/1606.05250.
    """
    return _ARTICLES.sub(" ", text.casefold().translate(_PUNCTUATION)).split()


def _dialogue(row: dict[str, Any]) -> Dialogue:
    chat, name = row["conversation"], str(row["sample_id"])
    numbers = sorted(int(found[1]) for key in chat if (found := _SESSION.fullmatch(key)))
    questions = [
        DialogueQuestion(
            id=f"{name}/{ix}",
            text=one_line(asked["question"]),
            answer=str(asked["answer"]),
            category=CATEGORIES[asked["category"]],
        )
        for ix, asked in enumerate(row["qa"])
        if asked["category"] in CATEGORIES
    ]
    return Dialogue(
        id=name,
        speakers=(chat["speaker_a"], chat["speaker_b"]),
        sessions=tuple(_session(chat, number) for number in numbers),
        questions=tuple(questions),
    )


def _session(chat: dict[str, Any], number: int) -> Session:
    written = chat[f"session_{number}_date_time"]
    at = datetime.strptime(written, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
    turns = tuple((turn["speaker"], turn["text"]) for turn in chat[f"session_{number}"])
    return Session(at=at, turns=turns)
