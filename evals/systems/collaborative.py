"""Collaborative filters of the `implicit` library; users are scored by what they had, not by their number."""

import importlib.util
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from ...errors import MissingExtraError
from ...records import Record
from ...tools.matrices import Matrix, dense, sparse
from ...tools.spans import owners
from ..dataset import FloatArray, IntArray
from ..options import named, read_options
from ..splits import Past, Queries
from ..system import System
from ..workspace import Workspace


class ItemKnnOptions(Record):
    """Settings of nearest neighbours among items."""

    neighbours: PositiveInt = 100
    """Neighbours kept for an item."""

    weighting: Literal["cosine", "tfidf", "bm25"] = "tfidf"
    """How much a user who chose an item says about it."""


class AlsOptions(Record):
    """Settings of alternating least squares."""

    factors: PositiveInt = 256
    """Length of a vector."""

    regularization: NonNegativeFloat = 0.1
    """Weight of the vectors' size."""

    alpha: PositiveFloat = 40.0
    """Confidence in a choice, relative to that in none."""

    iterations: PositiveInt = 15
    """Rounds over users and items."""

    threads: PositiveInt = 1
    """Threads of the library; with more than one the last digits may differ from run to run."""


class BprOptions(Record):
    """Settings of Bayesian personalised ranking."""

    factors: PositiveInt = 64
    """Length of a vector."""

    rate: PositiveFloat = 0.05
    """Learning rate."""

    regularization: NonNegativeFloat = 0.01
    """Weight of the vectors' size."""

    iterations: PositiveInt = 150
    """Rounds over the choices."""

    users: Literal["mean", "learned"] = "mean"
    """`mean`: of the vectors of what the user had; `learned`: the user's own, for those who are in the past."""

    threads: PositiveInt = 1
    """Threads of the library; with more than one a run cannot be repeated exactly."""


class ItemKnn:
    """Items chosen by the same users, whatever the order.

    Args:
        options: Settings.

    Raises:
        MissingExtraError: `implicit` is not installed.
    """

    def __init__(self, options: ItemKnnOptions | None = None) -> None:
        _need_implicit("ItemKNN")
        self.options = options or ItemKnnOptions()
        self.name = named("itemknn", self.options)

    def fit(self, past: Past) -> None:
        """Find each item's neighbours."""
        library: Any = import_module("implicit.nearest_neighbours")
        kinds = {
            "cosine": library.CosineRecommender,
            "tfidf": library.TFIDFRecommender,
            "bm25": library.BM25Recommender,
        }
        with one_blas_thread():
            model = kinds[self.options.weighting](K=self.options.neighbours, num_threads=1)
            model.fit(choices(past), show_progress=False)
        self._similarity: Matrix = sparse.csr_array(model.similarity).astype(np.float32)

    def score(self, queries: Queries) -> FloatArray:
        """Add up the neighbours of what the user had; an empty history scores all items alike."""
        return dense(histories(queries, self._similarity.shape[0]) @ self._similarity)


class Als:
    """Alternating least squares; a user's vector is solved for the history at hand.

    Args:
        options: Settings.

    Raises:
        MissingExtraError: `implicit` is not installed.
    """

    def __init__(self, options: AlsOptions | None = None) -> None:
        _need_implicit("ALS")
        self.options = options or AlsOptions()
        self.name = named("als", self.options)

    def fit(self, past: Past) -> None:
        """Learn the items' vectors."""
        library: Any = import_module("implicit.cpu.als")
        with one_blas_thread():
            self._model: Any = library.AlternatingLeastSquares(
                factors=self.options.factors,
                regularization=self.options.regularization,
                alpha=self.options.alpha,
                iterations=self.options.iterations,
                num_threads=self.options.threads,
                random_state=past.seed,
            )
            self._model.fit(choices(past), show_progress=False)

    @property
    def item_vectors(self) -> FloatArray:
        """What was learned, shape `(n_items, factors)`."""
        vectors: FloatArray = self._model.item_factors
        return vectors

    def score(self, queries: Queries) -> FloatArray:
        """Solve for each user's vector; an empty history scores all items alike."""
        vectors = self.item_vectors
        asked = histories(queries, len(vectors))
        with one_blas_thread():
            users = self._model.recalculate_user(np.arange(len(queries)), asked)
        scores: FloatArray = users @ vectors.T
        return scores


class Bpr:
    """Bayesian personalised ranking.

    Args:
        options: Settings.

    Raises:
        MissingExtraError: `implicit` is not installed.
    """

    def __init__(self, options: BprOptions | None = None) -> None:
        _need_implicit("BPR")
        self.options = options or BprOptions()
        self.name = named("bpr", self.options)

    def fit(self, past: Past) -> None:
        """Learn the vectors of users and items."""
        library: Any = import_module("implicit.cpu.bpr")
        with one_blas_thread():
            model = library.BayesianPersonalizedRanking(
                factors=self.options.factors,
                learning_rate=self.options.rate,
                regularization=self.options.regularization,
                iterations=self.options.iterations,
                num_threads=self.options.threads,
                random_state=past.seed,
            )
            model.fit(choices(past), show_progress=False)
        # The library's last column is 1 for users and the bias for items.
        self._items: FloatArray = model.item_factors
        self._users: FloatArray = model.user_factors
        self._known = np.bincount(past.events.user, minlength=len(past.user_ids)) > 0

    @property
    def biases(self) -> FloatArray:
        """What an item scores for somebody of whom nothing is known, shape `(n_items,)`."""
        return self._items[:, -1]

    def score(self, queries: Queries) -> FloatArray:
        """Multiply vectors; who has neither a past nor a history gets the items' biases."""
        asked = histories(queries, len(self._items))
        users = asked @ self._items / np.maximum(np.diff(asked.indptr), 1)[:, None]
        users[:, -1] = 1
        if self.options.users == "learned":
            known = (queries.user < len(self._known)) & self._known[
                np.minimum(queries.user, len(self._known) - 1)
            ]
            users[known] = self._users[queries.user[known]]
        scores: FloatArray = (users @ self._items.T).astype(np.float32)
        return scores


def choices(past: Past) -> Matrix:
    """Return who chose what, shape `(users, n_items)`; a repeated choice counts once."""
    return _ones(past.events.user, past.events.item, (len(past.user_ids), past.n_items))


def histories(queries: Queries, n_items: int) -> Matrix:
    """Return who of the queries had what, shape `(Q, n_items)`; a repeated choice counts once."""
    return _ones(owners(queries.starts), queries.history.item, (len(queries), n_items))


def _ones(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> Matrix:
    """Return a matrix with 1 at some places; the library wants `csr_matrix` and 32-bit places."""
    ones = np.ones(len(rows), dtype=np.float32)
    matrix = sparse.csr_matrix((ones, (rows.astype(np.int32), columns.astype(np.int32))), shape=shape)
    matrix.data[:] = 1
    return matrix


def _need_implicit(feature: str) -> None:
    if importlib.util.find_spec("implicit") is None or importlib.util.find_spec("threadpoolctl") is None:
        raise MissingExtraError(feature, "evals")


@contextmanager
def one_blas_thread() -> Generator[None]:
    """Keep BLAS from starting threads inside the library's own, as the library advises."""
    threadpoolctl: Any = import_module("threadpoolctl")
    with threadpoolctl.threadpool_limits(1, "blas"), warnings.catch_warnings():
        # The check looks at every loaded BLAS, also those that cannot be limited; and the nearest neighbours
        # convert their own matrix, and then complain about it.
        warnings.filterwarnings("ignore", ".*threadpool", RuntimeWarning)
        warnings.filterwarnings("ignore", "Method expects CSR input")
        yield


def make_itemknn(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build `itemknn` from a spec's options."""
    del workspace
    return ItemKnn(read_options(ItemKnnOptions, "itemknn", options))


def make_als(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build `als` from a spec's options."""
    del workspace
    return Als(read_options(AlsOptions, "als", options))


def make_bpr(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build `bpr` from a spec's options."""
    del workspace
    return Bpr(read_options(BprOptions, "bpr", options))
