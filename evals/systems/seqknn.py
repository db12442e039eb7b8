"""seqKNN: items that followed, or went before, the newest items of a history in other users' sequences.

Recipe (measured by the project, training-free): counts of ordered pairs at distance `d` within a window weigh
`delta ** (d - 1)`, backwards half of that; rows and columns are divided by a small power of how often their item
was chosen; the newest items of a history vote, each older one with a smaller voice; a little cosine of attributes
carries items that few sequences hold.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt

from ...records import Item, Record
from ..dataset import FloatArray, IntArray
from ..matrices import Matrix, add_up, dense, newest_items, sparse
from ..metrics import measure
from ..options import named, read_options
from ..places import place
from ..spans import owners
from ..splits import Answers, Past, Problem, Queries
from ..system import System
from ..workspace import Workspace

_WORD = re.compile(r"\w+")

TUNED_ON = 2000
"""Validation users at most that decide the settings."""

GRID: Mapping[str, Sequence[float]] = {
    "row_power": (0.0, 0.15, 0.3, 0.5),
    "column_power": (0.0, 0.15, 0.3, 0.5),
    "window": (3, 5, 10),
    "delta": (0.6, 0.7, 0.8, 0.9),
    "decay": (0.5, 0.6, 0.7, 0.8, 0.9),
    "attribute_weight": (0.0, 0.05, 0.1, 0.2, 0.4, 0.8),
}
"""Values tried, one setting after the other."""

Power = Annotated[float, Field(ge=0.0, le=1.0)]


class SeqKnnOptions(Record):
    """Settings of the matrix and of the vote; those left out are chosen on validation users."""

    window: PositiveInt = 5
    """Greatest distance of two items of a sequence that counts."""

    delta: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    """Weight of a pair relative to one that is a place closer."""

    backward: NonNegativeFloat = 0.5
    """Weight of a pair the other way round."""

    row_power: Power = 0.15
    """Power of an item's frequency that divides what it votes for."""

    column_power: Power = 0.3
    """Power of an item's frequency that divides the votes it gets."""

    last: PositiveInt = 10
    """Newest items of a history that vote."""

    decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    """Voice of an item relative to the next newer one."""

    attributes: Literal["words", "none"] = "words"
    """`words`: of titles, with brand, categories and tags where there are; `none`: sequences only."""

    attribute_weight: NonNegativeFloat = 0.1
    """Weight of the cosine of attributes."""


class SeqKnn:
    """Neighbours in sequences, without training.

    Args:
        options: Settings; those that were given are not tuned.
    """

    def __init__(self, options: SeqKnnOptions | None = None) -> None:
        self.options = options or SeqKnnOptions()
        self.name = named("seqknn", self.options, defaults=True)
        self._fixed = frozenset(self.options.model_fields_set)

    @property
    def chosen(self) -> Mapping[str, object]:
        """The settings in use."""
        return self.options.model_dump()

    def fit(self, past: Past) -> None:
        """Count pairs in the past, and weigh the attributes of the catalogue."""
        self._past = past
        self._attributes = attribute_vectors(past.items) if self.options.attributes == "words" else None
        self._build()

    def tune(self, queries: Queries, answers: Answers) -> None:
        """Choose what was not given by NDCG@10, one setting after the other, twice over."""
        some = np.random.default_rng(self._past.seed).permutation(len(queries))[:TUNED_ON]
        problem = Problem(queries=queries, answers=answers).take(np.sort(some))
        open_names = [name for name in GRID if name not in self._fixed and self._matters(name)]
        best, value = self.options, self._ndcg(problem) if open_names else 0.0
        tried = [best]
        for name in [*open_names, *open_names]:
            for setting in GRID[name]:
                self.options = best.model_copy(update={name: setting})
                if self.options in tried:
                    continue
                tried.append(self.options)
                self._build()
                if (found := self._ndcg(problem)) > value:
                    best, value = self.options, found
        self.options = best
        self._build()

    def score(self, queries: Queries) -> FloatArray:
        """Let the newest items vote; an empty history scores all items alike."""
        votes = newest_items(queries, self._past.n_items, last=self.options.last, decay=self.options.decay)
        if self._attributes is not None:
            votes = sparse.hstack(
                [votes, votes @ self._attributes * self.options.attribute_weight], format="csr"
            )
        return dense(votes @ self._right)

    def _matters(self, name: str) -> bool:
        return name != "attribute_weight" or self._attributes is not None

    def _build(self) -> None:
        pairs = pair_matrix(self._past, self.options)
        if self._attributes is not None:
            pairs = sparse.vstack([pairs, self._attributes.T], format="csr")
        self._right = pairs

    def _ndcg(self, problem: Problem) -> float:
        places = place(self.score(problem.queries), problem, system=self.name)
        return float(np.mean(measure(places, cutoffs=(10,))["ndcg@10"]))


def pair_matrix(past: Past, options: SeqKnnOptions) -> Matrix:
    """Return the weights of items (columns) given an earlier one (rows), shape `(n_items, n_items)`."""
    user, item = past.events.user, past.events.item
    rows: list[IntArray] = []
    columns: list[IntArray] = []
    weights: list[FloatArray] = []
    for distance in range(1, options.window + 1):
        same = np.flatnonzero(user[distance:] == user[:-distance])
        earlier, later = item[same], item[same + distance]
        weight = options.delta ** (distance - 1)
        rows += [earlier, later]
        columns += [later, earlier]
        weights += [
            np.full(len(same), weight, dtype=np.float32),
            np.full(len(same), weight * options.backward, dtype=np.float32),
        ]
    shape = (past.n_items, past.n_items)
    counts = add_up(np.concatenate(rows), np.concatenate(columns), np.concatenate(weights), shape)
    degree = np.maximum(np.bincount(item, minlength=past.n_items), 1).astype(np.float32)
    return (
        sparse.diags_array(degree**-options.row_power)
        @ counts
        @ sparse.diags_array(degree**-options.column_power)
    ).tocsr()


def attribute_vectors(items: Sequence[Item]) -> Matrix:
    """Return unit-norm vectors of the items' attributes, rare ones weighing more; shape `(n_items, V)`.

    The weight of an attribute of `n` among `N` items is `log(N / n)`, so one that all have counts nothing.
    """
    numbers: dict[str, int] = {}
    columns: list[int] = []
    ends = [0]
    for item in items:
        columns += sorted(numbers.setdefault(word, len(numbers)) for word in set(attributes_of(item)))
        ends.append(len(columns))
    column = np.array(columns, dtype=np.int64)
    held_by = np.bincount(column, minlength=len(numbers))
    weights = np.log(len(items) / np.maximum(held_by, 1)).astype(np.float32)[column]
    owner = owners(np.array(ends))
    norms = np.sqrt(np.bincount(owner, weights=weights**2, minlength=len(items))).astype(np.float32)
    weights /= np.where(norms > 0, norms, 1)[owner]
    return sparse.csr_array((weights, column, ends), shape=(len(items), len(numbers)))


def attributes_of(item: Item) -> Iterable[str]:
    """Yield the words of an item's title, and its brand, categories and tags as wholes.

    Examples:
        >>> list(attributes_of(Item(item_id="1", title="Red pen", brand="Acme Inc", tags=("ink",))))
        ['red', 'pen', 'brand acme inc', 'tag ink']
    """
    yield from _WORD.findall(item.title.casefold())
    if item.brand:
        yield f"brand {item.brand.casefold()}"
    yield from (f"category {category.casefold()}" for category in item.categories)
    yield from (f"tag {tag.casefold()}" for tag in item.tags)


def make(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build the system from a spec's options."""
    del workspace
    return SeqKnn(read_options(SeqKnnOptions, "seqknn", options))
