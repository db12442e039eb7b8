"""Split: each user's last event is to be foretold from those before it."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..tools.spans import spans
from .dataset import Dataset, IntArray
from .guards import check_split
from .problems import moment_starts, past_of, problem_of, repeats, sample
from .splits import Problem, Split

OTHERS = (
    "Only each user's own future is hidden; what others did later is hidden by the split `global-time` alone."
)


def leave_one_out(dataset: Dataset, *, seed: int | None = None, users: int | None = None) -> Split:
    """Ask for each user's last event (test) and the one before it (validation).

    A history has what came before its answer; where the source has times, not what happened at the very moment
    of the answer, because nobody knows which came first. An answer that its user had chosen before is no
    question, nor is one without a history: such queries are left out and counted in `notes`. The past holds
    what each user did before the first question asked about them, and everything of users nobody asks about,
    such as those with fewer than three events.

    Other users' events may be later than a question: this split keeps only each user's own future hidden. For a
    past that ends at one moment there is `global_time`.

    Args:
        dataset: What to take apart.
        users: Ask only so many test users, drawn at random; absent for all. The validation users are all.
        seed: Draws the test users; also the seed of the past. Absent for that of the data set.
    """
    seed = dataset.seed if seed is None else seed
    starts, events = dataset.starts, dataset.events
    asked = np.flatnonzero(np.diff(starts) >= 3)
    first, last = starts[asked], starts[asked + 1] - 1
    moment, repeated = moment_starts(events), repeats(events)
    notes: list[str] = []
    limit = starts[1:].copy()

    def problem(kind: str, answer: IntArray) -> Problem:
        again, unknown = repeated[answer], moment[answer] == first
        for dropped, why in ((again, "the answer was a repeat"), (unknown & ~again, "there was no history")):
            notes.extend(_note(kind, dropped, why))
        kept = ~(again | unknown)
        rows = answer[kept]
        limit[asked[kept]] = np.minimum(limit[asked[kept]], moment[rows])
        return problem_of(
            dataset,
            user=asked[kept],
            as_of=events.at[rows],
            history=spans(first[kept], moment[rows]),
            answers=spans(rows, rows + 1),
        )

    validation, test = problem("validation", last - 1), problem("test", last)
    split = Split(
        name="leave-one-out",
        past=past_of(dataset, spans(starts[:-1], limit).rows, as_of=None, seed=seed),
        validation=validation,
        test=sample(test, users, seed=seed),
        notes=(OTHERS, *notes),
        rebuild=partial(leave_one_out, seed=seed),
    )
    check_split(split)
    return split


def _note(kind: str, dropped: NDArray[np.bool_], why: str) -> list[str]:
    return [f"{int(dropped.sum()):,} {kind} queries left out: {why}"] if dropped.any() else []
