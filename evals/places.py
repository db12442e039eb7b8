"""Where the right answers stand in a full ranking, ties kept as ties.

All that a metric of accuracy needs of a row of scores is how many candidates score better than an answer and how
many score the same, so a row is counted once and thrown away. The candidates of a query are the whole catalogue
without the query's history; an answer that is in the history stays a candidate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..tools.spans import owners, spans
from .dataset import FloatArray, IntArray
from .splits import Problem

BoolArray = NDArray[np.bool_]

_ANSWERS_AT_ONCE = 32  # their rows stay in the processor's cache


class ScoresError(InputError):
    """A system's scores cannot be ranked."""

    code = "bad_scores"

    def __init__(self, system: str, reason: str) -> None:
        self.system, self.reason = system, reason
        super().__init__(system, reason)

    def __str__(self) -> str:
        return f"scores of system {self.system!r}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Standings of all answers; those of one query lie side by side."""

    better: IntArray
    """Candidates that score strictly better than the answer, other answers among them; shape `(A,)`."""

    tied: IntArray
    """Other candidates with the answer's score, other answers among them; shape `(A,)`."""

    starts: IntArray
    """First answer of each query, and their end; shape `(Q + 1,)`."""

    candidates: IntArray
    """How many items were ranked for each query; shape `(Q,)`."""

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def query(self) -> IntArray:
        """The query of each answer, shape `(A,)`."""
        return owners(self.starts)

    @classmethod
    def concatenate(cls, parts: Sequence["Places"]) -> "Places":
        """Join what was placed in batches, in the order given."""
        none = np.empty(0, dtype=np.int64)
        counts = np.concatenate([none, *(np.diff(part.starts) for part in parts)])
        return cls(
            better=np.concatenate([none, *(part.better for part in parts)]),
            tied=np.concatenate([none, *(part.tied for part in parts)]),
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            candidates=np.concatenate([none, *(part.candidates for part in parts)]),
        )

    def take(self, queries: IntArray) -> Self:
        """Return some queries, in the order given."""
        rows, starts = spans(self.starts[queries], self.starts[queries + 1])
        return type(self)(
            better=self.better[rows], tied=self.tied[rows], starts=starts, candidates=self.candidates[queries]
        )

    def only(self, answers: BoolArray) -> Self:
        """Keep some answers, and the queries that still have any.

        The others stay competitors, so a place does not change.

        Args:
            answers: Which to keep, shape `(A,)`.
        """
        counts = np.bincount(self.query[answers], minlength=len(self))
        left = counts > 0
        starts = np.concatenate([[0], np.cumsum(counts[left])]).astype(np.int64)
        return type(self)(
            better=self.better[answers],
            tied=self.tied[answers],
            starts=starts,
            candidates=self.candidates[left],
        )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of scores, and what a problem says about each."""

    scores: FloatArray
    system: str
    users: IntArray

    first: int
    """The query of the first row."""

    answers: IntArray
    """Right items, one query after the other."""

    starts: IntArray
    """First answer of each query, and their end."""

    hidden: IntArray
    """Items that are no candidates, each once, one query after the other."""

    hidden_starts: IntArray
    """First hidden item of each query, and their end."""

    def rows(self) -> Iterator[tuple[FloatArray, IntArray]]:
        """Yield each query's scores and the items that are no candidates.

        Raises:
            ScoresError: A score is NaN.
        """
        bounds: list[int] = self.hidden_starts.tolist()
        for query, row in enumerate(self.scores):
            if np.isnan(row.min()):
                raise self.not_a_number(query)
            yield row, self.hidden[bounds[query] : bounds[query + 1]]

    def hidden_of(self, queries: IntArray) -> tuple[IntArray, IntArray]:
        """Return the places in `queries` and the items of all that is hidden from them."""
        rows, starts = spans(self.hidden_starts[queries], self.hidden_starts[queries + 1])
        return owners(starts), self.hidden[rows]

    def not_a_number(self, query: int) -> ScoresError:
        """Return the error for a row with NaN."""
        item = int(np.isnan(self.scores[query]).argmax())
        return ScoresError(
            self.system,
            f"NaN for item {item} of query {self.first + query} (user {self.users[query]}); "
            "give an item that cannot be scored the lowest score",
        )


def place(scores: FloatArray, problem: Problem, *, first: int = 0, system: str = "unnamed") -> Places:
    """Count who stands before and beside each answer.

    Args:
        scores: Scores of the whole catalogue, higher is better, shape `(Q, N)`; left as they are.
        problem: What was asked.
        first: The query of the first row, where a batch is placed.
        system: Name for an error.

    Raises:
        ScoresError: A score is NaN, or the shape does not fit the problem.
    """
    batch = batch_of(scores, problem, first=first, system=system)
    query = owners(batch.starts)
    better, least = np.empty_like(query), np.empty_like(query)
    for start in range(0, len(query), _ANSWERS_AT_ONCE):
        some = slice(start, start + _ANSWERS_AT_ONCE)
        better[some], least[some] = _count(batch, query[some], batch.answers[some])
    return Places(
        better=better,
        tied=least - better - 1,
        starts=batch.starts,
        candidates=scores.shape[1] - np.diff(batch.hidden_starts),
    )


def _count(batch: Batch, query: IntArray, answers: IntArray) -> tuple[IntArray, IntArray]:
    """Count the candidates that score better than each answer, and at least as well, itself among them."""
    alone = query[-1] - query[0] + 1 == len(query)  # one answer a query: no need to copy rows
    rows = batch.scores[query[0] : query[-1] + 1] if alone else batch.scores[query]
    lowest = rows.min(axis=1)
    if np.isnan(lowest).any():
        raise batch.not_a_number(int(query[np.isnan(lowest).argmax()]))
    own = rows[np.arange(len(rows)), answers][:, None]
    owner, hidden = batch.hidden_of(query)
    hidden_scores, rivals = rows[owner, hidden], own[owner, 0]
    found: list[IntArray] = []
    for compare in (np.greater, np.greater_equal):
        # Counting row by row is several times as fast as summing a matrix of booleans.
        everybody = np.array([np.count_nonzero(row) for row in compare(rows, own)], dtype=np.int64)
        beaten = np.bincount(owner[compare(hidden_scores, rivals)], minlength=len(query))
        found.append(everybody - beaten)
    return found[0], found[1]


def batch_of(scores: FloatArray, problem: Problem, *, first: int, system: str) -> Batch:
    """Return rows of scores with what was asked of them.

    Raises:
        ScoresError: The shape does not fit the problem.
    """
    last = first + len(scores)
    if scores.ndim != 2 or last > len(problem.queries):
        asked = len(problem.queries) - first
        raise ScoresError(system, f"shape {scores.shape} for {asked} queries, wanted (queries, items)")
    queries, answers = problem.queries, problem.answers
    taken = queries.history.item[queries.starts[first] : queries.starts[last]]
    right = answers.item[answers.starts[first] : answers.starts[last]]
    most, width = max(taken.max(initial=-1), right.max(initial=-1)), scores.shape[1]
    if most >= width:
        raise ScoresError(system, f"{width} columns, but an item has number {most}; score every item")
    rows = np.arange(len(scores) + 1)
    starts = answers.starts[first : last + 1] - answers.starts[first]
    taken_key = np.repeat(rows[:-1], np.diff(queries.starts[first : last + 1])) * width + taken
    key: IntArray = np.setdiff1d(taken_key, np.repeat(rows[:-1], np.diff(starts)) * width + right)
    return Batch(
        scores=scores,
        system=system,
        users=queries.user[first:last],
        first=first,
        answers=right,
        starts=starts,
        hidden=key % width,
        hidden_starts=np.searchsorted(key, np.asarray(rows * width, dtype=np.int64)),
    )
