"""Multiple-choice questions put to a chat model."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

LETTERS = "ABCDEFGH"


class Option(NamedTuple):
    """One answer to choose from, as prompts show it."""

    letter: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A question with several answers to choose from."""

    id: str
    """Unique within one set of questions; the same question has the same id in every run."""

    text: str = ""
    """The question's own words; empty where the prompt asks the same of everybody."""

    options: tuple[str, ...]
    """Two to eight answers, each in one line."""

    right: int
    """Place of the right one."""

    group: str = ""
    """Topic or bucket, for tables; empty if there is none."""

    def shown(self) -> list[Option]:
        """Return the options with their letters."""
        return [Option(*pair) for pair in zip(LETTERS, self.options, strict=False)]

    def rotated(self, by: int) -> "Choice":
        """Return the question with its options moved so many places on.

        Examples:
            >>> turned = Choice(id="q", options=("red", "blue", "green"), right=0).rotated(1)
            >>> turned.options, turned.right
            (('green', 'red', 'blue'), 1)
        """
        size = len(self.options)
        order = [(place - by) % size for place in range(size)]
        options = tuple(self.options[old] for old in order)
        return replace(self, options=options, right=order.index(self.right))


def arrange(questions: Iterable[Choice], seed: int) -> Iterator[Choice]:
    """Shuffle the options of each question.

    Within every so many questions as there are options, the right one stands once in each place: a model that
    always says the same letter scores chance, exactly. The first questions are arranged alike however many follow.
    """
    turns: dict[int, list[int]] = {}
    for ix, question in enumerate(questions):
        size = len(question.options)
        if not turns.get(size):
            turns[size] = random.Random(f"{seed} {size} {ix}").sample(range(size), size)
        wrong = [text for place, text in enumerate(question.options) if place != question.right]
        random.Random(f"{seed} {question.id}").shuffle(wrong)
        place = turns[size].pop()
        options = (*wrong[:place], question.options[question.right], *wrong[place:])
        yield replace(question, options=options, right=place)


def chance_level(questions: Sequence[Choice]) -> float:
    """Return the share of right answers that guessing gives.

    Examples:
        >>> chance_level([Choice(id="q", options=("a", "b", "c", "d"), right=2)])
        0.25
    """
    return sum(1 / len(question.options) for question in questions) / max(len(questions), 1)
