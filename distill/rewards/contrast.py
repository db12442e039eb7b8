"""Bidirectional InfoNCE without bounds, as BLUE has it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...tools.embedder import FloatArray
from ...tools.late_interaction import score_by_each, score_items, stack_users


class Contrast(NamedTuple):
    """The two directions, each in nats, at most 0."""

    to_item: float
    """Log-probability of the held-back item among the negatives, given the portrait."""

    to_user: float
    """Log-probability of the portrait among those of others, given the held-back item."""

    @property
    def mean(self) -> float:
        """½ (u→i + i→u)."""
        return (self.to_item + self.to_user) / 2.0


def contrast(
    portrait: FloatArray,
    positives: FloatArray,
    negatives: FloatArray,
    rivals: Sequence[FloatArray],
    *,
    temperature: float,
) -> Contrast:
    """Return the bidirectional InfoNCE reward of a portrait; the mean over its held-back items.

    `R(u→i) = log softmax over {i+} | negatives of s(u, ·)/τ`, `R(i→u) = log softmax over {u} | rivals of s(·, i+)/τ`,
    where s is the late interaction, which is the cosine for a portrait of one vector.

    Args:
        portrait: Unit vectors of the portrait, shape `(F, D)`.
        positives: Unit vectors of held-back items, shape `(P, D)`, P >= 1.
        negatives: Unit vectors of items the user did not choose, shape `(N, D)`.
        rivals: Unit vectors of each other user's portrait or history, shape `(F_u, D)`.
        temperature: τ in cosine units, > 0.

    Source:
        BLUE's embedding reward, reconstructed. Differs: several held-back items instead of one.

    Examples:
        >>> eye = np.eye(2, dtype=np.float32)
        >>> found = contrast(eye[:1], eye[:1], eye[1:], [eye[:1]], temperature=1.0)
        >>> round(found.to_item, 4), round(found.to_user, 4)  # -log(1 + 1/e), -log 2
        (-0.3133, -0.6931)
    """
    right = score_items(portrait, positives, temperature=temperature)
    wrong = score_items(portrait, negatives, temperature=temperature)
    to_item = _log_choice(right, np.broadcast_to(wrong, (len(right), len(wrong))), temperature)
    if not rivals:
        return Contrast(to_item, 0.0)
    others = score_by_each(stack_users(rivals), positives, temperature=temperature).T  # (P, U)
    return Contrast(to_item, _log_choice(right, others, temperature))


def _log_choice(right: FloatArray, wrong: FloatArray, temperature: float) -> float:
    """Mean log-probability of `right[p]` among itself and `wrong[p]`."""
    logits = np.concatenate([right[:, None], wrong], axis=1).astype(np.float64) / temperature
    norm: NDArray[np.float64] = np.logaddexp.reduce(logits, axis=1)
    return float(np.mean(logits[:, 0] - norm))
