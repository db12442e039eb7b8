"""Two learners of worth, each exported as plain arrays: ridge regression with its posterior, and bagged trees."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingExtraError
from ...tools.belief import Values
from ...tools.cross_scorer import CrossScorer
from .settings import ScorerSettings

_LEAF = -1
_LEAST_SCALE = 1e-6


class Learner(Protocol):
    """Learns worth from features."""

    def __call__(
        self, features: Values, worth: Values, *, seed: int, settings: ScorerSettings
    ) -> CrossScorer:
        """Fit to features, shape `(R, F)`, and worth, shape `(R,)`."""
        ...


def learn_ridge(features: Values, worth: Values, *, seed: int, settings: ScorerSettings) -> CrossScorer:
    """Fit a linear scorer whose regularisation is read off the data.

    Source:
        MacKay 1992, evidence maximisation, as in scikit-learn's `BayesianRidge`; features are standardised, and
        the constant's own uncertainty, which that leaves out, is that of a mean.
    """
    linear_model = _sklearn("linear_model")
    centre, scale = features.mean(axis=0), np.maximum(features.std(axis=0), _LEAST_SCALE)
    scaled = np.where(features.std(axis=0) > _LEAST_SCALE, (features - centre) / scale, 0.0)
    model = linear_model.BayesianRidge().fit(scaled, worth)
    size = features.shape[1]
    noise = 1.0 / float(model.alpha_)
    covariance = np.zeros((size + 1, size + 1))
    covariance[:size, :size] = model.sigma_
    covariance[size, size] = noise / len(worth)
    told = features.std(axis=0) > _LEAST_SCALE
    weights = np.append(np.where(told, model.coef_, 0.0), model.intercept_)
    covariance[:size, :size] *= np.outer(
        told, told
    )  # a column that never varied says nothing elsewhere either
    arrays = {"centre": centre, "scale": scale, "weights": weights, "covariance": covariance}
    return CrossScorer(kind="linear", arrays=arrays, noise=noise)


def learn_trees(features: Values, worth: Values, *, seed: int, settings: ScorerSettings) -> CrossScorer:
    """Fit bagged trees; what they leave unexplained out of the bag is the noise.

    Source:
        Breiman 2001, random forests, with scikit-learn's `RandomForestRegressor`.
    """
    ensemble = _sklearn("ensemble")
    model = ensemble.RandomForestRegressor(
        n_estimators=settings.trees,
        max_depth=settings.depth,
        min_samples_leaf=settings.leaf,
        max_features=settings.columns,
        oob_score=True,
        random_state=seed,
        n_jobs=1,
    ).fit(features.astype(np.float32), worth)
    noise = float(np.nanmean((worth - model.oob_prediction_) ** 2))
    return CrossScorer(kind="trees", arrays=_exported(model.estimators_), noise=noise)


LEARNERS: dict[str, Learner] = {"ridge": learn_ridge, "trees": learn_trees}


def _exported(trees: list[Any]) -> dict[str, NDArray[Any]]:
    """Lay trees side by side, filled up with leaves, shape `(T, M)`."""
    most = max(tree.tree_.node_count for tree in trees)
    shape = (len(trees), most)
    arrays: dict[str, NDArray[Any]] = {
        "column": np.full(shape, _LEAF, dtype=np.int32),
        "threshold": np.zeros(shape, dtype=np.float64),
        "left": np.zeros(shape, dtype=np.int32),
        "right": np.zeros(shape, dtype=np.int32),
        "value": np.zeros(shape, dtype=np.float64),
    }
    for row, one in enumerate(trees):
        tree, count = one.tree_, one.tree_.node_count
        inner = tree.children_left >= 0
        arrays["column"][row, :count] = np.where(inner, tree.feature, _LEAF)
        arrays["threshold"][row, :count] = tree.threshold
        arrays["left"][row, :count] = np.where(inner, tree.children_left, 0)
        arrays["right"][row, :count] = np.where(inner, tree.children_right, 0)
        arrays["value"][row, :count] = tree.value[:, 0, 0]
    return arrays


def _sklearn(part: str) -> Any:
    """Load a part of scikit-learn, which ships no types.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        from importlib import import_module

        return import_module(f"sklearn.{part}")
    except ImportError as error:
        raise MissingExtraError("teaching a scorer of pairs", "train") from error
