"""Late fusion: a weighted sum of the z-scores of any systems, its weights fitted on validation users.

How shares are found is in `tools.recommender.blending`. A part that earns nothing on users that did not choose its weight is
dropped, so that noise costs nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt

from ...records import Record, Usage
from ...tools.recommender.blending import Weights, climb, earning_parts, weights_of_bucket, z_scores
from ..dataset import FloatArray, IntArray
from ..metrics import Values, measure
from ..places import Places, place
from ..splits import Answers, Past, Problem, Queries
from ..system import Dependent, Doubtful, Keeping, Spending, System, Telling, Tunable

EDGES = (5, 10, 20)
"""Longest histories of the buckets but the last."""

BLOCK = 512
"""Queries whose scores are held at once."""


class FusionOptions(Record):
    """How weights are fitted."""

    by: Literal["none", "history"] = "none"
    """`history`: other weights for users with other lengths of history, where that pays."""

    deep: NonNegativeFloat = 0.3
    """Weight of the share of the log-rank that is saved, beside NDCG@10: moves places that NDCG does not see."""

    users: PositiveInt = 2000
    """Validation users at most that decide."""

    cells: PositiveInt = 60_000_000
    """Scores at most that are kept while fitting, 4 bytes each; fewer users if need be."""


class Fitting(NamedTuple):
    """What the weights are fitted on."""

    parts: FloatArray
    """z-scores, shape `(parts, Q, n_items)`."""

    problem: Problem
    """Validation users with their answers."""

    deep: float
    """As in the options."""

    @property
    def n_parts(self) -> int:
        """How many parts there are."""
        return len(self.parts)

    @property
    def n_queries(self) -> int:
        """How many queries there are."""
        return len(self.problem.queries)

    def take(self, rows: IntArray) -> "Fitting":
        """Keep some queries."""
        return Fitting(self.parts[:, rows], self.problem.take(rows), self.deep)

    def halves(self) -> "tuple[Fitting, Fitting]":
        """Split the queries; both share memory with the whole."""
        odd = np.arange(len(self.problem.queries)) % 2
        one, two = (self.problem.take(np.flatnonzero(odd == side)) for side in (0, 1))
        return Fitting(self.parts[:, ::2], one, self.deep), Fitting(self.parts[:, 1::2], two, self.deep)

    def value(self, weights: Weights) -> Values:
        """Return what every query gains from some weights, shape `(Q,)`."""
        _, n_queries, n_items = self.parts.shape
        scores = np.zeros((n_queries, n_items), dtype=np.float32)
        for part in np.flatnonzero(weights):
            scores += self.parts[part] * np.float32(weights[part])
        places = place(scores, self.problem)
        value: Values = measure(places, cutoffs=(10,))["ndcg@10"] + self.deep * _saved(places)
        return value


class Fusion:
    """Mixes systems.

    Args:
        systems: At least one; fitted and tuned here.
        options: How weights are fitted.
        notice: Takes a line when weights are known.
    """

    def __init__(
        self,
        systems: Sequence[System],
        options: FusionOptions | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        if not systems:
            raise ValueError("`systems` is empty; a fusion needs at least one")
        self.systems = tuple(systems)
        self.options = options or FusionOptions()
        even = np.full(len(systems), 1 / len(systems))
        self._edges: tuple[int, ...] = EDGES if self.options.by == "history" else ()
        self.weights: tuple[Weights, ...] = (even,) * (len(self._edges) + 1)
        self.name = " + ".join(system.name for system in self.systems)
        if self.options.by == "history":
            self.name = f"fusion:by=history + {self.name}"
        self._notice = notice
        self._seed = 0

    @property
    def shares(self) -> Mapping[str, Mapping[str, float]]:
        """The weights in use, by bucket, in the order of the parts."""
        return {
            bucket: dict(zip((part.name for part in self.systems), weights.round(3).tolist(), strict=True))
            for bucket, weights in zip(self._buckets(), self.weights, strict=True)
        }

    @property
    def chosen(self) -> Mapping[str, object]:
        """What the parts chose; the weights are in `shares`."""
        parts = {part.name: getattr(part, "chosen", None) for part in self.systems}
        return {name: chosen for name, chosen in parts.items() if chosen}

    @property
    def usage(self) -> Usage:
        """What the parts' models cost so far."""
        return sum((part.usage for part in self.systems if isinstance(part, Spending)), Usage())

    @property
    def caveats(self) -> Sequence[str]:
        """What a reader should know of the parts."""
        return [
            f"{part.name}: {caveat}"
            for part in self.systems
            if isinstance(part, Doubtful)
            for caveat in part.caveats
        ]

    @property
    def kept_seconds(self) -> float:
        """Seconds of the parts' calls that an earlier run made."""
        return sum(part.kept_seconds for part in self.systems if isinstance(part, Keeping))

    @property
    def complete(self) -> bool:
        """Whether every part has what it needs of models."""
        return all(part.complete for part in self.systems if isinstance(part, Dependent))

    def texts_seen(self, queries: Queries) -> Sequence[str]:
        """Return what the parts show, joined."""
        shown = [part.texts_seen(queries) for part in self.systems if isinstance(part, Telling)]
        return ["\n".join(texts) for texts in zip(*shown, strict=True)] if shown else [""] * len(queries)

    def fit(self, past: Past) -> None:
        """Fit every part."""
        self._seed = past.seed
        for system in self.systems:
            system.fit(past)

    def tune(self, queries: Queries, answers: Answers) -> None:
        """Tune every part, then the weights on some of the same users."""
        for system in self.systems:
            if isinstance(system, Tunable):
                system.tune(queries, answers)
        if len(self.systems) == 1:
            return
        fitting = self._fitting(Problem(queries=queries, answers=answers))
        whole = climb(fitting, earning_parts(fitting))
        bucket = self._bucket_of(fitting.problem.queries)
        self.weights = tuple(
            weights_of_bucket(fitting.take(np.flatnonzero(bucket == number)), whole) if self._edges else whole
            for number in range(len(self.weights))
        )
        if self._notice is not None:
            self._notice(f"{self.name}: weights {self.shares}")

    def score(self, queries: Queries) -> FloatArray:
        """Add up weighted z-scores; a part without weight is not asked."""
        table = np.stack(self.weights)[self._bucket_of(queries)].astype(np.float32)
        blocks = [
            self._score_block(queries.take(rows), table[rows])
            for rows in np.array_split(np.arange(len(queries)), max(1, -(-len(queries) // BLOCK)))
        ]
        return np.concatenate(blocks)

    def _score_block(self, queries: Queries, table: FloatArray) -> FloatArray:
        asked = [place for place in range(len(self.systems)) if table[:, place].any()] or [0]
        scores = self._unit(asked[0], queries) * table[:, asked[0], None]
        for part in asked[1:]:
            scores += self._unit(part, queries) * table[:, part, None]
        return scores

    def _unit(self, part: int, queries: Queries) -> FloatArray:
        return z_scores(self.systems[part].score(queries), queries.history.item, queries.starts)

    def _fitting(self, problem: Problem) -> Fitting:
        first = problem.take(np.arange(1))
        n_items = self.systems[0].score(first.queries).shape[1]
        most = max(1, min(self.options.users, self.options.cells // (n_items * len(self.systems))))
        rows = np.random.default_rng(self._seed).permutation(len(problem.queries))[:most]
        some = problem.take(rows)
        parts = np.empty((len(self.systems), len(rows), n_items), dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            block = some.queries.take(np.arange(start, min(start + BLOCK, len(rows))))
            for number in range(len(self.systems)):
                parts[number, start : start + BLOCK] = self._unit(number, block)
        return Fitting(parts, some, self.options.deep)

    def _bucket_of(self, queries: Queries) -> IntArray:
        return np.searchsorted(np.array(self._edges, dtype=np.int64), np.diff(queries.starts))

    def _buckets(self) -> list[str]:
        if not self._edges:
            return ["all"]
        upto = [f"history up to {edge}" for edge in self._edges]
        return [*upto, f"history over {self._edges[-1]}"]


def _saved(places: Places) -> Values:
    """Return the share of the log-rank that is saved, shape `(Q,)`: 1 for the first place, 0 for the last.

    The mean over the places that tied items may take, not the log of the middle one: spreading ties by chance
    would seem to gain.
    """
    most = int(places.candidates.max(initial=1))
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
    mean = (logs[places.better + places.tied + 1] - logs[places.better]) / (places.tied + 1)
    longest = np.log(np.maximum(places.candidates, 2))
    answers = np.maximum(np.diff(places.starts), 1)
    saved: Values = 1 - np.bincount(places.query, weights=mean, minlength=len(places)) / answers / longest
    return saved
