"""What a system may see, what it is asked, and what it must not see: kept apart by type.

A system is fitted on a `Past` and asked with `Queries`; the right `Answers` are held by the harness alone, so no
system can read them, whatever it does. The builders (`leave_one_out`, `global_time`) guarantee that no history
contains an event at or after its query's `as_of`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from ..records import Item
from ..tools.spans import spans
from .dataset import Card, Dataset, Events, FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class Past:
    """Everything a system may be fitted on."""

    card: Card
    items: Sequence[Item]
    """The whole catalogue, also what nobody chose yet; an item's number is its place here."""

    user_ids: Sequence[str]
    """The source's ids, by user number; for storing, never for a model to see."""

    events: Events
    """What happened, ordered by user, then time."""

    as_of: int | None
    """Nothing at or after this is in `events`; absent if each user has a moment of its own (leave-one-out)."""

    seed: int
    """For whatever a system draws at random."""

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return len(self.items)

    def ids_of(self, users: IntArray) -> list[str]:
        """Return the source's ids of some users."""
        return [self.user_ids[number] for number in users.tolist()]


@dataclass(frozen=True, kw_only=True)
class Queries:
    """Users at a moment: what will they choose next?"""

    user: IntArray
    """User numbers, shape `(Q,)`."""

    as_of: IntArray
    """The moment of each question, shape `(Q,)`; in the unit of `Events.at`."""

    history: Events
    """Histories one after the other, each oldest first and strictly before its `as_of`."""

    starts: IntArray
    """First row of each history, and their end; shape `(Q + 1,)`."""

    def __len__(self) -> int:
        return len(self.user)

    def history_of(self, query: int) -> Events:
        """Return one history, oldest first."""
        return self.history.take(slice(int(self.starts[query]), int(self.starts[query + 1])))

    def items_of(self, query: int) -> IntArray:
        """Return the item numbers of one history, oldest first."""
        return self.history.item[self.starts[query] : self.starts[query + 1]]

    def take(self, queries: IntArray) -> Self:
        """Return some queries, in the order given."""
        rows, starts = spans(self.starts[queries], self.starts[queries + 1])
        return type(self)(
            user=self.user[queries], as_of=self.as_of[queries], history=self.history.take(rows), starts=starts
        )


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the users of `Queries` did choose; never given to a system, except to tune on validation users."""

    item: IntArray
    """Chosen items, one query after the other; each new to its user."""

    rating: FloatArray
    """Their ratings; NaN where there is none."""

    starts: IntArray
    """First answer of each query, and their end; shape `(Q + 1,)`; every query has at least one."""

    def take(self, queries: IntArray) -> Self:
        """Return the answers of some queries, in the order given."""
        rows, starts = spans(self.starts[queries], self.starts[queries + 1])
        return type(self)(item=self.item[rows], rating=self.rating[rows], starts=starts)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Questions with their answers."""

    queries: Queries
    answers: Answers

    def take(self, queries: IntArray) -> Self:
        """Return some of the problem, in the order given."""
        return type(self)(queries=self.queries.take(queries), answers=self.answers.take(queries))


@dataclass(frozen=True, kw_only=True)
class Split:
    """A data set taken apart for one evaluation."""

    name: str
    """`leave-one-out` or `global-time`, with what sets it apart from others of its kind."""

    past: Past
    """What systems are fitted on; holds nothing of any answer."""

    validation: Problem
    """For settings, weights and stopping."""

    test: Problem
    """For the table, once."""

    notes: tuple[str, ...] = ()
    """What was left out, and how much of it."""

    rebuild: "Callable[[Dataset], Split] | None" = field(default=None, repr=False, compare=False)
    """Splits another data set in the same way, for the canary; absent if a split was made by hand."""
