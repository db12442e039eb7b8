"""The simplest systems: what everybody chooses, what follows the last item, and chance."""

from collections.abc import Mapping

import numpy as np
from pydantic import NonNegativeFloat

from ...records import Record
from ...tools.matrices import add_up, dense
from ..dataset import FloatArray
from ..options import NoOptions, named, read_options
from ..splits import Past, Queries
from ..system import System
from ..workspace import Workspace


class BigramOptions(Record):
    """Settings of the bigram."""

    popularity: NonNegativeFloat = 1e-6
    """Weight of an item's count, which ranks what never followed the last item; 0 leaves those tied."""


class Popularity:
    """Scores an item by how often it was chosen."""

    name = "popularity"

    def fit(self, past: Past) -> None:
        """Count."""
        self._counts = np.bincount(past.events.item, minlength=past.n_items).astype(np.float32)

    def score(self, queries: Queries) -> FloatArray:
        """Give everybody the same scores."""
        return np.tile(self._counts, (len(queries), 1))


class Bigram:
    """Scores an item by how often it came right after the last one.

    Args:
        options: Weight of popularity.
    """

    def __init__(self, options: BigramOptions | None = None) -> None:
        self.options = options or BigramOptions()
        self.name = named("bigram", self.options)

    def fit(self, past: Past) -> None:
        """Count pairs of neighbours in the users' sequences."""
        user, item = past.events.user, past.events.item
        counts = np.bincount(item, minlength=past.n_items)
        self._behind = (counts * self.options.popularity).astype(np.float32)
        same = user[1:] == user[:-1]
        ones = np.ones(int(same.sum()), dtype=np.float32)
        self._follows = add_up(item[:-1][same], item[1:][same], ones, (past.n_items, past.n_items))

    def score(self, queries: Queries) -> FloatArray:
        """Look up what follows the last item; an empty history leaves popularity."""
        scores = np.tile(self._behind, (len(queries), 1))
        told = np.flatnonzero(np.diff(queries.starts))
        scores[told] += dense(self._follows[queries.history.item[queries.starts[told + 1] - 1]])
        return scores


class RandomScores:
    """Scores by chance: the same for a user at a moment, whatever the batch."""

    name = "random"

    def fit(self, past: Past) -> None:
        """Take the seed."""
        self._seed, self._items = past.seed, past.n_items

    def score(self, queries: Queries) -> FloatArray:
        """Draw uniform scores."""
        scores = np.empty((len(queries), self._items), dtype=np.float32)
        for row, (user, moment) in enumerate(zip(queries.user, queries.as_of, strict=True)):
            # A seed is of natural numbers, and moments before 1970 are negative.
            rng = np.random.default_rng([self._seed, int(user), int(moment) % 2**63])
            rng.random(dtype=np.float32, out=scores[row])
        return scores


def make_popularity(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build `popularity` from a spec's options."""
    del workspace
    read_options(NoOptions, "popularity", options)
    return Popularity()


def make_bigram(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build `bigram` from a spec's options."""
    del workspace
    return Bigram(read_options(BigramOptions, "bigram", options))


def make_random(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build `random` from a spec's options."""
    del workspace
    read_options(NoOptions, "random", options)
    return RandomScores()
