"""How a portrait scores an item: one vector a facet, pooled by a soft maximum.

People have several interests, so one vector per facet beats one vector per user (ColBERT's late interaction,
Khattab & Zaharia 2020, https://arxiv.org/abs/2004.12832; differs: a soft maximum over the facets of one
portrait instead of a sum of maxima over the tokens of a query). Critic, reward, recommendation and evaluation
all score with this function.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .embedder import FloatArray


def score_items(facets: FloatArray, items: FloatArray, *, temperature: float) -> FloatArray:
    """Score items by a portrait.

    Args:
        facets: Unit-norm vectors of the portrait's sentences, shape `(F, D)`, F >= 1.
        items: Unit-norm item vectors, shape `(N, D)`.
        temperature: Sharpness of the soft maximum in cosine units, > 0; towards 0 it is the maximum,
            towards infinity the mean.

    Returns:
        Scores, shape `(N,)`, between the mean and the maximum cosine of each item with the facets.

    Raises:
        ValueError: There is no facet, or `temperature` is not positive.

    Examples:
        >>> eye = np.eye(2, dtype=np.float32)
        >>> round(float(score_items(eye, eye[:1], temperature=1e-3)[0]), 3)  # the maximum, less t * log 2
        0.999
        >>> score_items(eye[:1], eye, temperature=0.05).tolist()  # one facet: the cosine itself
        [1.0, 0.0]
    """
    if len(facets) == 0:
        raise ValueError("`facets` must have at least one row")
    if temperature <= 0:
        raise ValueError(f"`temperature` must be > 0, got {temperature!r}")
    cosines = facets @ items.T / np.float32(temperature)  # (F, N)
    peak = cosines.max(axis=0)
    pooled = peak + np.log(np.exp(cosines - peak).mean(axis=0))
    scores: FloatArray = (pooled * np.float32(temperature)).astype(np.float32)
    return scores


class Stacked(NamedTuple):
    """The vectors of several users in one matrix, so that one product serves all of them."""

    vectors: FloatArray
    """Shape `(sum of H_u, D)`."""

    starts: NDArray[np.intp]
    """First row of each user, shape `(U,)`."""

    def means(self, scores: FloatArray) -> FloatArray:
        """Average scores, shape `(..., sum of H_u)`, over each user; shape `(..., U)`."""
        counts = np.diff(self.starts, append=len(self.vectors))
        found: FloatArray = (np.add.reduceat(scores, self.starts, axis=-1) / counts).astype(np.float32)
        return found

    def peaks(self, scores: FloatArray) -> FloatArray:
        """Return the highest of the scores, shape `(..., sum of H_u)`, of each user; shape `(..., U)`."""
        found: FloatArray = np.maximum.reduceat(scores, self.starts, axis=-1)
        return found


def stack_users(users: Sequence[FloatArray]) -> Stacked:
    """Put the vectors of at least one user, each of shape `(H_u, D)` with H_u >= 1, into one matrix."""
    lengths = [len(vectors) for vectors in users]
    return Stacked(np.concatenate(users), np.cumsum([0, *lengths[:-1]]))


def score_by_each(users: Stacked, items: FloatArray, *, temperature: float) -> FloatArray:
    """Score items, shape `(N, D)`, by each user's vectors as `score_items` does; shape `(U, N)`.

    Examples:
        >>> eye = np.eye(2, dtype=np.float32)
        >>> score_by_each(stack_users([eye[:1], eye[1:]]), eye, temperature=0.05).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    if len(users.starts) == 1:
        return score_items(users.vectors, items, temperature=temperature)[None]
    cosines = (users.vectors @ items.T / np.float32(temperature)).T  # (N, sum of H_u)
    peaks = users.peaks(cosines)
    counts = np.diff(users.starts, append=len(users.vectors))
    pooled = peaks + np.log(users.means(np.exp(cosines - np.repeat(peaks, counts, axis=1))))
    scores: FloatArray = (pooled.T * np.float32(temperature)).astype(np.float32)
    return scores


def mid_ranks(positives: FloatArray, negatives: FloatArray) -> NDArray[np.float64]:
    """Rank each positive among all negatives; ties count half, so a constant scorer ranks in the middle.

    Args:
        positives: Scores, shape `(P,)`.
        negatives: Scores, shape `(N,)`.

    Returns:
        Ranks from 1 (best) to N + 1, shape `(P,)`.

    Examples:
        >>> mid_ranks(np.float32([0.5]), np.float32([0.9, 0.5, 0.5, 0.1])).tolist()  # 1 + 1 + 2 / 2
        [3.0]
    """
    ordered = np.sort(negatives)
    at_most = np.searchsorted(ordered, positives, side="right")
    below = np.searchsorted(ordered, positives, side="left")
    greater = len(ordered) - at_most
    return 1.0 + greater + (at_most - below) / 2.0
