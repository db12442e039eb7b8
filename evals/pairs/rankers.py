"""Everything that can judge pairs, asked in one way: catalogue systems, raters, and Limner's own pairs."""

from typing import Protocol

import numpy as np

from ..dataset import FloatArray, IntArray
from ..options import name_in, read_spec
from ..ranking import BLOCK
from ..registry import JOINT, build
from ..splits import Past, Queries
from ..system import Rater, System
from ..systems.raters import PLAIN, WITH_OPTIONS, make_rater
from ..workspace import Workspace
from .drawn import PairRanker
from .options import KINDS, read_plan

RATERS = (*PLAIN, *WITH_OPTIONS)
"""Names of those who predict ratings."""


class Ranker(Protocol):
    """Judges candidates of users at a moment."""

    name: str
    """Name in tables."""

    @property
    def inner(self) -> object:
        """Who does it, which may say what it spent, chose and doubts, as any system may."""
        ...

    def fit(self, past: Past) -> None:
        """Learn from the past; called once, before anything else."""
        ...

    def order(self, queries: Queries, items: IntArray) -> FloatArray:
        """Score `items[i]` for query `i`, higher is better; both of shape `(Q, K)`."""
        ...

    def rate(self, queries: Queries, items: IntArray) -> FloatArray | None:
        """Predict the rating that query `i` gives to `items[i]`, shape `(Q,)`; absent if it predicts none."""
        ...


class CatalogueRanker:
    """A system that scores the whole catalogue; of its scores, those of the candidates count."""

    def __init__(self, system: System) -> None:
        self.name, self.inner = system.name, system

    def fit(self, past: Past) -> None:
        """Fit the system."""
        self.inner.fit(past)

    def order(self, queries: Queries, items: IntArray) -> FloatArray:
        """Take the candidates' columns."""
        scores = np.empty(items.shape, dtype=np.float32)
        for first in range(0, len(queries), BLOCK):
            rows = np.arange(first, min(first + BLOCK, len(queries)))
            scores[rows] = np.take_along_axis(self.inner.score(queries.take(rows)), items[rows], axis=1)
        return scores

    def rate(self, queries: Queries, items: IntArray) -> FloatArray | None:
        """Predict nothing."""
        return None


class RatingRanker:
    """A rater; candidates stand in the order of the ratings that it predicts."""

    def __init__(self, rater: Rater) -> None:
        self.name, self.inner = rater.name, rater

    def fit(self, past: Past) -> None:
        """Fit the rater."""
        self.inner.fit(past)

    def order(self, queries: Queries, items: IntArray) -> FloatArray:
        """Rate every candidate."""
        asked = queries.take(np.repeat(np.arange(len(queries)), items.shape[1]))
        return self.inner.rate(asked, items.ravel()).reshape(items.shape)

    def rate(self, queries: Queries, items: IntArray) -> FloatArray | None:
        """Rate one item a query."""
        return self.inner.rate(queries, items)


def make_ranker(spec: str, workspace: Workspace) -> Ranker:
    """Make whatever a spec names, not fitted yet: a rater, a way of pairs, or a system of the registry.

    Raises:
        SettingsError: The spec cannot be read, a name or option is unknown, or a value is out of range.
        MissingExtraError: The system needs a library that is not installed.
    """
    name, alone = name_in(spec), JOINT.search(spec.strip()) is None
    if alone and name in RATERS:
        return RatingRanker(make_rater(*read_spec(spec), workspace))
    for kind in KINDS:
        if alone and name == kind:
            return PairRanker(read_plan(kind, read_spec(spec).options, workspace), workspace)
    return CatalogueRanker(build(spec, workspace))
