"""What can be said about a user and an item without a model call, as numbers.

All inputs are read with an exclusive `as_of`. What the user did with the candidate itself is masked: what the
user thinks of an item is what a ranking is to tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .embedder import FloatArray

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

FEATURES: tuple[str, ...] = (
    "history_soft",
    "history_max",
    "history_mean",
    "history_last",
    "disliked_max",
    "sentences_soft",
    "sentences_max",
    "avoided_max",
    "words_soft",
    "overlap",
    "item_mean",
    "item_spread",
    "item_events",
    "company",
    "company_share",
    "user_mean",
    "user_spread",
    "user_events",
    "has_sentences",
    "has_words",
)
"""Names of the columns, in order. Cosines lie in [-1, 1]; means are damped and, like spreads, in shares of the
rating scale; counts are `log(1 + n)`; `has_…` is 0 or 1. What is absent is 0."""

_DAMPING = 5.0


@dataclass(frozen=True, kw_only=True, eq=False)
class UserFactors:
    """What is known of a user, shared by every candidate."""

    history: FloatArray
    """Unit vectors of the items the user had, each once, oldest first, shape `(H, D)`."""

    items: tuple[str, ...]
    """Their ids, length H."""

    shares: Values
    """The user's ratings of them as shares of the scale, shape `(H,)`; NaN where there is none."""

    liked: Mask
    """Which of them the user did not dislike, shape `(H,)`."""

    likes: FloatArray
    """Unit vectors of what cues and portrait say in favour, shape `(S, D)`."""

    avoids: FloatArray
    """Unit vectors of what they say against, shape `(A, D)`."""

    events: int
    """Interactions of the user, those without an item included."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ItemFactors:
    """What is known of the candidates."""

    items: tuple[str, ...]
    """Their ids, length N."""

    vectors: FloatArray
    """Their unit vectors, shape `(N, D)`."""

    words: tuple[FloatArray, ...]
    """For each, unit vectors of its cues and card, shape `(W_i, D)`; W_i may be 0."""

    overlap: Values
    """Share of what the item's phrases tell that the user's history says too, shape `(N,)`, in [0, 1]."""

    events: Values
    """Interactions by others, shape `(N,)`."""

    company: Values
    """Those of them by people who had one of the user's last items too, shape `(N,)`."""

    ratings: Values
    """Ratings by others, shape `(N,)`."""

    means: Values
    """Mean of those ratings as a share of the scale, shape `(N,)`; anything where there is none."""

    spreads: Values
    """Their standard deviation in shares of the scale, shape `(N,)`."""


def pair_features(user: UserFactors, items: ItemFactors, *, mean_share: float, temperature: float) -> Values:
    """Describe each candidate to the user.

    Args:
        user: The user's side.
        items: The candidates.
        mean_share: Mean of all ratings as a share of the scale; anything where nothing is rated.
        temperature: Of the late interaction, in cosine units, > 0.

    Returns:
        One row a candidate, shape `(N, len(FEATURES))`. A row depends on no other candidate.
    """
    count = len(items.items)
    others = np.array([[had != item for item in items.items] for had in user.items], dtype=bool)
    others = others.reshape(len(user.items), count)
    cosines = (user.history @ items.vectors.T).astype(np.float64)  # (H, N)
    liked = others & user.liked[:, None]
    sentences = (user.likes @ items.vectors.T).astype(np.float64)
    all_said = np.ones_like(sentences, dtype=bool)
    avoided = (user.avoids @ items.vectors.T).astype(np.float64)
    mean, spread = _user_ratings(user, others, mean_share)
    speakers = user.likes if len(user.likes) else user.history[user.liked]
    columns = {
        "history_soft": _soft(cosines, liked, temperature),
        "history_max": _most(cosines, liked),
        "history_mean": _mean(cosines, liked),
        "history_last": _last(cosines, others),
        "disliked_max": _most(cosines, others & ~user.liked[:, None]),
        "sentences_soft": _soft(sentences, all_said, temperature),
        "sentences_max": _most(sentences, all_said),
        "avoided_max": _most(avoided, np.ones_like(avoided, dtype=bool)),
        "words_soft": np.array([_words(speakers, words, temperature) for words in items.words]),
        "overlap": items.overlap,
        "item_mean": _damped(items.means - mean_share, items.ratings),
        "item_spread": np.where(items.ratings > 1, items.spreads, 0.0),
        "item_events": np.log1p(items.events),
        "company": np.log1p(items.company),
        "company_share": items.company / (items.events + _DAMPING),
        "user_mean": mean,
        "user_spread": spread,
        "user_events": np.full(count, np.log1p(user.events)),
        "has_sentences": np.full(count, float(len(user.likes) > 0)),
        "has_words": np.array([float(len(words) > 0) for words in items.words]),
    }
    table: Values = np.stack([columns[name] for name in FEATURES], axis=1).astype(np.float64)
    return table


def _soft(cosines: Values, real: Mask, temperature: float) -> Values:
    """Late interaction as in `score_items`, over the real entries of each column; 0 where there is none."""
    if not len(cosines):
        return np.zeros(cosines.shape[1])
    scaled = np.where(real, cosines / temperature, -np.inf)
    peak = scaled.max(axis=0)
    safe = np.where(np.isfinite(peak), peak, 0.0)
    total = np.exp(scaled - safe).sum(axis=0)
    counts = real.sum(axis=0)
    pooled = safe + np.log(np.where(counts > 0, total, 1.0)) - np.log(np.maximum(counts, 1))
    found: Values = np.where(counts > 0, pooled * temperature, 0.0)
    return found


def _most(cosines: Values, real: Mask) -> Values:
    if not len(cosines):
        return np.zeros(cosines.shape[1])
    most = np.where(real, cosines, -np.inf).max(axis=0)
    found: Values = np.where(np.isfinite(most), most, 0.0)
    return found


def _mean(cosines: Values, real: Mask) -> Values:
    found: Values = np.where(real, cosines, 0.0).sum(axis=0) / np.maximum(real.sum(axis=0), 1)
    return found


def _last(cosines: Values, real: Mask) -> Values:
    """Return the entry of the last real row of each column; 0 where there is none."""
    if not len(cosines):
        return np.zeros(cosines.shape[1])
    newest = len(cosines) - 1 - np.argmax(real[::-1], axis=0)
    found: Values = np.where(real.any(axis=0), cosines[newest, np.arange(cosines.shape[1])], 0.0)
    return found


def _words(speakers: FloatArray, words: FloatArray, temperature: float) -> float:
    """Return the highest late-interaction score among an item's cues and card; 0 where there is none."""
    if not len(speakers) or not len(words):
        return 0.0
    cosines = (speakers @ words.T).astype(np.float64)
    return float(_soft(cosines, np.ones_like(cosines, dtype=bool), temperature).max())


def _damped(deviations: Values, counts: Values) -> Values:
    found: Values = np.where(counts > 0, deviations, 0.0) * counts / (counts + _DAMPING)
    return found


def _user_ratings(user: UserFactors, others: Mask, mean_share: float) -> tuple[Values, Values]:
    """Return damped mean deviation and standard deviation of the user's ratings of other items, each `(N,)`."""
    rated = others & ~np.isnan(user.shares)[:, None]
    shares = np.where(rated, np.nan_to_num(user.shares)[:, None], 0.0)
    counts = rated.sum(axis=0).astype(np.float64)
    means = shares.sum(axis=0) / np.maximum(counts, 1.0)
    squares = (np.where(rated, shares - means, 0.0) ** 2).sum(axis=0) / np.maximum(counts, 1.0)
    return _damped(means - mean_share, counts), np.sqrt(squares)


def stacked(rows: Sequence[FloatArray], dimension: int) -> FloatArray:
    """Stack vectors of shape `(D,)`; shape `(0, D)` without any."""
    if not rows:
        return np.zeros((0, dimension), dtype=np.float32)
    table: FloatArray = np.stack(rows).astype(np.float32)
    return table
