"""Blending on plain arrays: z-scores, shares, and what is sure."""

from typing import NamedTuple, Self

import numpy as np
import pytest

from limner.tools.embedder import FloatArray
from limner.tools.recommender.blending import (
    Values,
    Weights,
    climb,
    earning_parts,
    sure,
    weights_of_bucket,
    z_scores,
)


class Right(NamedTuple):
    """Each query gains the share of the parts that know it."""

    knows: FloatArray
    """Shape `(parts, Q)`."""

    @property
    def n_parts(self) -> int:
        """Parts."""
        return len(self.knows)

    @property
    def n_queries(self) -> int:
        """Queries."""
        return len(self.knows[0])

    def halves(self) -> tuple[Self, Self]:
        """Every other query."""
        return self._replace(knows=self.knows[:, ::2]), self._replace(knows=self.knows[:, 1::2])

    def value(self, weights: Weights) -> Values:
        """Diminishing returns, so that parts that know different queries share the weight."""
        gained: Values = np.sqrt(weights @ self.knows)
        return gained


def test_z_scores_leave_the_history_out() -> None:
    scores = np.array([[9, 0, 2, 4]], dtype=np.float32)

    unit = z_scores(scores, np.array([0]), np.array([0, 1]))

    # Without item 0: mean 2, deviation sqrt(8 / 3).
    np.testing.assert_allclose(unit[0, 1:], np.array([-2, 0, 2]) / (8 / 3) ** 0.5, rtol=1e-6)


def test_climbing_shares_the_weight_among_parts_that_know_different_queries() -> None:
    fitting = Right(np.repeat(np.eye(2, dtype=np.float32), 50, axis=1))

    # sqrt(w) + sqrt(1 - w) is greatest at a half.
    np.testing.assert_allclose(climb(fitting, np.arange(2)), [0.5, 0.5])


def test_a_part_that_knows_nothing_earns_nothing() -> None:
    knows = np.zeros((2, 40), dtype=np.float32)
    knows[0] = 1

    assert earning_parts(Right(knows)).tolist() == [0]


def test_a_bucket_has_its_own_weights_only_where_that_pays() -> None:
    whole = np.array([0.5, 0.5])
    alike = Right(np.ones((2, 40), dtype=np.float32))
    one_sided = Right(np.repeat(np.array([[1], [0]], dtype=np.float32), 40, axis=1))

    assert weights_of_bucket(alike, whole) is whole
    np.testing.assert_allclose(weights_of_bucket(one_sided, whole), [1, 0])


def test_a_gain_is_sure_only_beyond_its_error() -> None:
    # Mean 1, deviation 1, so an error of 1 / 2 over four.
    assert sure(np.array([0.0, 0.0, 2.0, 2.0]), 1.0) == pytest.approx(0.5)
