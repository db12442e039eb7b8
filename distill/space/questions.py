"""What is learned from and what is held back: moments of sequences, with what came next."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import TooFewLessonsError
from ...tools.embedder import FloatArray
from ...tools.lessons import IntArray, Lessons, PastPortrait

NOTHING = -1
"""Fills up histories shorter than the window."""

_FEWEST_USERS = 20


class Moments(NamedTuple):
    """Moments of sequences, each with its answer."""

    newest: IntArray
    """Items before the moment, newest first, filled up with `NOTHING`; shape `(M, window)`."""

    answer: IntArray
    """The item that came next, shape `(M,)`."""

    def take(self, rows: IntArray) -> "Moments":
        """Return some of them, in the order given."""
        return Moments(self.newest[rows], self.answer[rows])

    def __len__(self) -> int:  # a tuple's own length is that of its fields
        return len(self.answer)


class Spoken(NamedTuple):
    """Portraits side by side, with the moments they were drawn at."""

    moments: Moments
    facets: FloatArray
    """Frozen vectors, filled up with zeros, shape `(S, F, D)`."""

    real: NDArray[np.bool_]
    """Which of `facets` are there, shape `(S, F)`."""

    def take(self, rows: IntArray) -> "Spoken":
        """Return some of them, in the order given."""
        return Spoken(self.moments.take(rows), self.facets[rows], self.real[rows])

    def __len__(self) -> int:  # a tuple's own length is that of its fields
        return len(self.moments)


class Exam(NamedTuple):
    """Held-back users: the last item of each is asked for."""

    moments: Moments
    histories: Sequence[IntArray]
    """Everything before the answer: not to be ranked."""

    spoken: Spoken
    """Portraits of some of them at that very moment."""

    spoken_histories: Sequence[IntArray]
    """Everything before the answers of `spoken`."""


class Course(NamedTuple):
    """Lessons taken apart."""

    moments: Moments
    spoken: Spoken
    exam: Exam


def plan_course(lessons: Lessons, *, window: int, held: int, rng: np.random.Generator) -> Course:
    """Hold some users back, and take everything else apart into moments.

    Users with a portrait that can be asked about are held back first, a fifth of them at most.

    Raises:
        TooFewLessonsError: Fewer than 20 users have two items or more.
    """
    able = [place for place, items in enumerate(lessons.sequences) if len(items) >= 2]
    if len(able) < _FEWEST_USERS:
        raise TooFewLessonsError(len(able), _FEWEST_USERS)
    sitters = {
        each.sequence: each for each in lessons.portraits if each.cut < len(lessons.sequences[each.sequence])
    }
    seated: list[int] = rng.permutation(sorted(sitters))[: min(held, len(sitters) // 5)].tolist()
    others: list[int] = rng.permutation(sorted(set(able) - sitters.keys())).tolist()
    examined = [*seated, *others][: min(held, len(able) // 10)]
    taught = sorted(set(able) - set(examined))
    last = [(place, len(lessons.sequences[place]) - 1) for place in examined]
    return Course(
        moments=_moments(
            lessons, [(place, t) for place in taught for t in range(1, len(lessons.sequences[place]))], window
        ),
        spoken=_spoken(lessons, [sitters[place] for place in taught if place in sitters], window),
        exam=_exam(lessons, last, [sitters[place] for place in examined if place in sitters], window),
    )


def _exam(
    lessons: Lessons, last: Sequence[tuple[int, int]], asked: Sequence[PastPortrait], window: int
) -> Exam:
    return Exam(
        moments=_moments(lessons, last, window),
        histories=[lessons.sequences[place][:t] for place, t in last],
        spoken=_spoken(lessons, asked, window),
        spoken_histories=[lessons.sequences[each.sequence][: each.cut] for each in asked],
    )


def _moments(lessons: Lessons, at: Sequence[tuple[int, int]], window: int) -> Moments:
    newest = np.full((len(at), window), NOTHING, dtype=np.int64)
    answer = np.zeros(len(at), dtype=np.int64)
    for row, (place, t) in enumerate(at):
        items = lessons.sequences[place][max(0, t - window) : t][::-1]
        newest[row, : len(items)] = items
        answer[row] = lessons.sequences[place][t]
    return Moments(newest, answer)


def _spoken(lessons: Lessons, portraits: Sequence[PastPortrait], window: int) -> Spoken:
    """Put portraits side by side; what came right behind each is its answer."""
    width = max((len(each.facets) for each in portraits), default=1)
    table = np.zeros((len(portraits), width, lessons.items.shape[1]), dtype=np.float32)
    real = np.zeros((len(portraits), width), dtype=np.bool_)
    for row, each in enumerate(portraits):
        table[row, : len(each.facets)] = each.facets
        real[row, : len(each.facets)] = True
    at = [(each.sequence, each.cut) for each in portraits]
    return Spoken(_moments(lessons, at, window), table, real)
