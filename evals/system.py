"""What the harness measures: anything that scores a catalogue for users.

A system of one's own needs a `name` and two methods:

    class Newest:
        name = "newest"

        def fit(self, past: Past) -> None:
            self.seen_at = np.zeros(past.n_items, dtype=np.float32)
            np.maximum.at(self.seen_at, past.events.item, past.events.at)

        def score(self, queries: Queries) -> FloatArray:
            return np.tile(self.seen_at, (len(queries), 1))
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from ..records import Usage
from .dataset import FloatArray, IntArray
from .splits import Answers, Past, Queries


class System(Protocol):
    """Ranks the whole catalogue."""

    name: str
    """Name in tables; two settings of one system have two names."""

    def fit(self, past: Past) -> None:
        """Learn from the past; called once, before anything else."""
        ...

    def score(self, queries: Queries) -> FloatArray:
        """Score every item for every query, shape `(len(queries), past.n_items)`, higher is better.

        The harness masks histories, breaks no ties in anybody's favour and calls this in batches. A NaN is an
        error; an item that cannot be scored gets the lowest score, and shares its place with the others.
        """
        ...


@runtime_checkable
class Tunable(Protocol):
    """A system with something to choose on validation users, called after `fit`."""

    def tune(self, queries: Queries, answers: Answers) -> None:
        """Choose settings; the users may be test users, their answers here never are."""
        ...


@runtime_checkable
class Demanding(Protocol):
    """A system that chooses much on validation users says how many of them it can use."""

    @property
    def validation_queries(self) -> int:
        """Validation queries at most; systems that do not say get fewer."""
        ...


@runtime_checkable
class Movable(Protocol):
    """A system that can answer about a catalogue it was not fitted on, by text alone."""

    def move(self, past: Past) -> None:
        """Answer about another catalogue from here on; keep what was learned and tuned.

        Args:
            past: The other catalogue; `past.events` is empty.
        """
        ...


@runtime_checkable
class Learning(Protocol):
    """A system that reads texts, and may learn from events how to read them."""

    @property
    def learns(self) -> bool:
        """Whether `fit` looks at events; what it learned then stays when it is fitted on a bare catalogue."""
        ...


@runtime_checkable
class Spending(Protocol):
    """A system that calls models says what they cost so far, over everything it did."""

    @property
    def usage(self) -> Usage:
        """Calls, tokens and money."""
        ...


@runtime_checkable
class Choosing(Protocol):
    """A system that chose something says what, for the notes of its result."""

    @property
    def chosen(self) -> Mapping[str, object]:
        """Settings or weights by name."""
        ...


@runtime_checkable
class Mixing(Protocol):
    """A system that mixes others says how much each counts, for a table of its own."""

    @property
    def shares(self) -> Mapping[str, Mapping[str, float]]:
        """For each bucket of users (`all` if there is one), the parts' names and shares, together 1."""
        ...


@runtime_checkable
class Doubtful(Protocol):
    """A system that says what a reader of its numbers should know."""

    @property
    def caveats(self) -> Sequence[str]:
        """One sentence each; what stood in for what, and how often."""
        ...


@runtime_checkable
class Dependent(Protocol):
    """A system that asks models says whether all of them answered."""

    @property
    def complete(self) -> bool:
        """False once something stood in for what a model or the budget refused; such a result is made again."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """A system that takes what models made in an earlier run says how long that took."""

    @property
    def kept_seconds(self) -> float:
        """Seconds of those calls of `usage` that were made in an earlier run."""
        ...


@runtime_checkable
class Telling(Protocol):
    """A system that writes texts about users shows them, so that the target can be looked for in them."""

    def texts_seen(self, queries: Queries) -> Sequence[str]:
        """Return one text a query, of what was scored by; empty where there is none. Nothing is made for this."""
        ...


@runtime_checkable
class Reading(Protocol):
    """A rater that reads answers says which it could read."""

    @property
    def readable(self) -> FloatArray | None:
        """For each rating of the last `rate` 1, 0, or NaN where there was no answer; absent if nobody was asked."""
        ...


class Rater(Protocol):
    """Predicts ratings."""

    name: str
    """Name in tables."""

    def fit(self, past: Past) -> None:
        """Learn from the past."""
        ...

    def rate(self, queries: Queries, items: IntArray) -> FloatArray:
        """Predict the rating that query `i` gives to `items[i]`, shape `(len(queries),)`."""
        ...
