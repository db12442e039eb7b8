"""Items that followed, or went before, the newest items of a history in other users' sequences.

Recipe (measured by the project, training-free): counts of ordered pairs at distance `d` within a window weigh
`delta ** (d - 1)`, backwards half of that; rows and columns are divided by a small power of how often their item
was chosen; the newest items of a history vote, each older one with a smaller voice; a little cosine of attributes
carries items that few sequences hold.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt

from ...records import Item, Record
from ..embedder import FloatArray
from ..matrices import Matrix, add_up, dense, sparse, voices
from ..spans import IntArray, owners

_WORD = re.compile(r"\w+")

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


class Neighbours(NamedTuple):
    """Who stands beside whom, ready to vote."""

    options: SeqKnnOptions
    """Weights of the vote."""

    attributes: Matrix | None
    """From `attribute_vectors`; absent to vote by sequences only."""

    right: Matrix
    """What each item, and below that each attribute, votes for."""

    @classmethod
    def of(cls, pairs: Matrix, attributes: Matrix | None, options: SeqKnnOptions) -> Self:
        """Put together what `pair_matrix` and `attribute_vectors` return."""
        right = pairs if attributes is None else sparse.vstack([pairs, attributes.T], format="csr")
        return cls(options, attributes, right)

    def vote(self, items: IntArray, starts: IntArray) -> FloatArray:
        """Let the newest items of histories vote, shape `(Q, N)`; an empty history scores all items alike.

        Args:
            items: Histories one after the other, each oldest first.
            starts: Where each history begins, and their end, shape `(Q + 1,)`.
        """
        options = self.options
        votes = voices(items, starts, self.right.shape[1], last=options.last, decay=options.decay)
        if self.attributes is not None:
            weighted = votes @ self.attributes * options.attribute_weight
            votes = sparse.hstack([votes, weighted], format="csr")
        return dense(votes @ self.right)


def pair_matrix(user: IntArray, item: IntArray, n_items: int, options: SeqKnnOptions) -> Matrix:
    """Return the weights of items (columns) given an earlier one (rows), shape `(n_items, n_items)`.

    Args:
        user: The user of each event, equal ones side by side, shape `(E,)`.
        item: The items, each user's oldest first, shape `(E,)`.
        n_items: Size of the catalogue.
        options: Window, weights and powers.
    """
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
    shape = (n_items, n_items)
    counts = add_up(np.concatenate(rows), np.concatenate(columns), np.concatenate(weights), shape)
    degree = np.maximum(np.bincount(item, minlength=n_items), 1).astype(np.float32)
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


def choose(
    options: SeqKnnOptions, names: Sequence[str], value: Callable[[SeqKnnOptions], float]
) -> SeqKnnOptions:
    """Return the settings of most value, one setting after the other, twice over.

    Args:
        options: Where to start.
        names: Settings that may change, each in `GRID`.
        value: What settings are worth on users that hold nothing back from the past; called once for each.
    """
    best, most = options, value(options) if names else 0.0
    tried = [best]
    for name in (*names, *names):
        for setting in GRID[name]:
            trial = best.model_copy(update={name: setting})
            if trial in tried:
                continue
            tried.append(trial)
            if (found := value(trial)) > most:
                best, most = trial, found
    return best
