"""Biased matrix factorisation of ratings: means, biases, and vectors whose product is what is left."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from ...records import Record
from ..dataset import FloatArray, IntArray
from ..options import named
from ..rating_metrics import mean_of
from ..splits import Answers, Past, Queries

Doubles = NDArray[np.float64]

RIDGES = (2.0, 5.0, 10.0, 20.0, 50.0)
"""Values of `ridge` that validation users choose from."""

_ROWS_AT_ONCE = 1 << 14


class FactorOptions(Record):
    """Settings of biased matrix factorisation."""

    factors: PositiveInt = 16
    """Length of a vector."""

    ridge: PositiveFloat = 10.0
    """Weight of the vectors' size; chosen on validation users where a suite tunes and it is not given."""

    bias: NonNegativeFloat = 5.0
    """Weight of the biases' size: ratings at the mean that everybody is thought to have beside their own."""

    iterations: PositiveInt = 15
    """Rounds over items and users."""


class Side(NamedTuple):
    """What is learned of all users, or of all items."""

    vectors: Doubles
    """Shape `(n, factors)`."""

    biases: Doubles
    """Shape `(n,)`."""

    @property
    def columns(self) -> Doubles:
        """What the other side's unknowns are multiplied with, shape `(n, factors + 1)`: the vector, and 1."""
        return np.column_stack([self.vectors, np.ones(len(self.vectors))])


class Ratings(NamedTuple):
    """Known ratings in columns of shape `(R,)`."""

    row: IntArray
    """Who, or what, the rating is solved for; non-decreasing."""

    column: IntArray
    """The other side."""

    value: Doubles
    """Rating above the mean of all."""


class Factors:
    """Mean + user's bias + item's bias + product of two vectors, solved in turn; a user is solved for its history.

    Args:
        options: Settings.

    Source:
        Koren, Bell & Volinsky 2009, https://doi.org/10.1109/MC.2009.263, eq. 5, by alternating least squares. Differs:
        a user's side is the exact solution for the history at hand, so that it may hold what came after the fit;
        vectors and biases have a ridge each.
    """

    def __init__(self, options: FactorOptions) -> None:
        self.options = options
        self.name = named("mf", options)
        self._ridge = options.ridge
        self._past: Past | None = None
        self.chosen: Mapping[str, object] = {}
        """What `tune` decided."""

    def fit(self, past: Past) -> None:
        """Learn the items' vectors and biases; everybody's mean stands where nothing is rated."""
        self._past, self.mean = past, mean_of(past.events.rating)
        rated = np.flatnonzero(~np.isnan(past.events.rating))
        users, items = past.events.user[rated], past.events.item[rated]
        above = past.events.rating[rated].astype(np.float64) - self.mean
        by_user = Ratings(users, items, above)
        order = np.argsort(items, kind="stable")
        by_item = Ratings(items[order], users[order], above[order])
        rng = np.random.default_rng(past.seed)
        start = rng.normal(scale=0.1, size=(past.n_items, self.options.factors))
        self.items = Side(start, np.zeros(past.n_items))
        for _ in range(self.options.iterations):
            people = self._solve(by_user, self.items, len(past.user_ids))
            self.items = self._solve(by_item, people, past.n_items)

    def tune(self, queries: Queries, answers: Answers) -> None:
        """Choose the ridge with the smallest squared error on the answers, unless one was given."""
        rated = ~np.isnan(answers.rating)
        if "ridge" in self.options.model_fields_set or self._past is None or not rated.any():
            return
        owner = np.repeat(np.arange(len(queries)), np.diff(answers.starts))[rated]
        asked, items = queries.take(owner), answers.item[rated]
        errors: dict[float, float] = {}
        for ridge in RIDGES:
            self._ridge = ridge
            self.fit(self._past)
            errors[ridge] = float(np.mean((self.rate(asked, items) - answers.rating[rated]) ** 2))
        self._ridge = min(errors, key=lambda ridge: errors[ridge])
        self.chosen = {"ridge": self._ridge}
        self.fit(self._past)

    def rate(self, queries: Queries, items: IntArray) -> FloatArray:
        """Solve each user for the ratings of the history, and add everything up."""
        lengths = np.diff(queries.starts)
        owner = np.repeat(np.arange(len(queries)), lengths)
        rated = np.flatnonzero(~np.isnan(queries.history.rating))
        above = queries.history.rating[rated].astype(np.float64) - self.mean
        known = Ratings(owner[rated], queries.history.item[rated], above)
        people = self._solve(known, self.items, len(queries))
        products = np.einsum("qf,qf->q", people.vectors, self.items.vectors[items])
        predicted = self.mean + people.biases + self.items.biases[items] + products
        rounded: FloatArray = predicted.astype(np.float32)
        return rounded

    def _solve(self, known: Ratings, other: Side, size: int) -> Side:
        """Return the side that fits the ratings best while the other is held fixed."""
        columns, targets = other.columns, known.value - other.biases[known.column]
        width = columns.shape[1]
        ridge = np.diag([*[self._ridge] * (width - 1), max(self.options.bias, 1e-9)])
        solved = np.zeros((size, width))
        rows, firsts = np.unique(known.row, return_index=True)
        bounds = np.append(firsts, len(known.row)).tolist()
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            block = range(start, min(start + _ROWS_AT_ONCE, len(rows)))
            spans = [slice(bounds[at], bounds[at + 1]) for at in block]
            parts = [columns[known.column[span]] for span in spans]
            left = np.stack([part.T @ part for part in parts]) + ridge
            right = np.stack([part.T @ targets[span] for part, span in zip(parts, spans, strict=True)])
            solved[rows[start : start + _ROWS_AT_ONCE]] = np.linalg.solve(left, right[:, :, None])[:, :, 0]
        return Side(solved[:, :-1], solved[:, -1])
