"""seqKNN: items that followed, or went before, the newest items of a history in other users' sequences.

The recipe is in `tools.recommender.seqknn`, which the product recommends with too.
"""

from collections.abc import Mapping

import numpy as np

from ...tools.recommender.seqknn import (
    GRID,
    Neighbours,
    SeqKnnOptions,
    attribute_vectors,
    choose,
    pair_matrix,
)
from ..dataset import FloatArray
from ..metrics import measure
from ..options import named, read_options
from ..places import place
from ..splits import Answers, Past, Problem, Queries
from ..system import System
from ..workspace import Workspace

TUNED_ON = 2000
"""Validation users at most that decide the settings."""


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
        self._neighbours = self._build(self.options)

    def tune(self, queries: Queries, answers: Answers) -> None:
        """Choose what was not given by NDCG@10, one setting after the other, twice over."""
        some = np.random.default_rng(self._past.seed).permutation(len(queries))[:TUNED_ON]
        problem = Problem(queries=queries, answers=answers).take(np.sort(some))
        open_names = [name for name in GRID if name not in self._fixed and self._matters(name)]
        self.options = choose(
            self.options, open_names, lambda options: self._ndcg(self._build(options), problem)
        )
        self._neighbours = self._build(self.options)

    def score(self, queries: Queries) -> FloatArray:
        """Let the newest items vote; an empty history scores all items alike."""
        return self._neighbours.vote(queries.history.item, queries.starts)

    def _matters(self, name: str) -> bool:
        return name != "attribute_weight" or self._attributes is not None

    def _build(self, options: SeqKnnOptions) -> Neighbours:
        events = self._past.events
        pairs = pair_matrix(events.user, events.item, self._past.n_items, options)
        return Neighbours.of(pairs, self._attributes, options)

    def _ndcg(self, neighbours: Neighbours, problem: Problem) -> float:
        scores = neighbours.vote(problem.queries.history.item, problem.queries.starts)
        return float(np.mean(measure(place(scores, problem, system=self.name), cutoffs=(10,))["ndcg@10"]))


def make(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build the system from a spec's options."""
    del workspace
    return SeqKnn(read_options(SeqKnnOptions, "seqknn", options))
