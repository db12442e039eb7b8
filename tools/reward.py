"""The reward, once, for critique, log, training and evaluation.

Every term is a pure function, bounded to [0, 1], and logged on its own:

| term | 1 means | sign |
|---|---|---|
| `rank` | every held-back item ranks first among the negatives | + |
| `emb` | the InfoNCE choice is certain in both directions; ½ is chance | + |
| `item_rank` | an item's profile ranks its held-back users first (pairs only) | + |
| `frozen_rank` | as `rank`, but in the encoder's own space (only with `critic.space`) | logged |
| `text` | a model that reads only the profile picks the next item with certainty | + |
| `ground` | every claim is supported by the interactions it cites | + |
| `rating` | a judge who reads only a pair's two profiles hits the known rating (`1 - error / range`) | + |
| `pair_rank` | by the user's profile the chosen item ranks first among negatives (known outcome only) | + |
| `length` | twice the allowed words or more | - |
| `boiler` | the text fits all other users better than its own | - |
| `leak` | a held-back title, a rating or, in a pair, a verdict is spelled out; the total falls to -1 | floor |

`rating` and `pair_rank` need the outcome of a pair. They enter the rewards after everything about the pair is
settled (`with_outcome`), so that no draft, no judge and no choice between drafts knows what came of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..sections import CriticSettings, RewardWeights
from .embedder import FloatArray
from .late_interaction import Stacked, mid_ranks, score_by_each, score_items, stack_users
from .leaks import leak_penalty
from .space import Space

FLOOR = -1.0
"""Total of a draft that leaks or cannot be parsed."""

_GAINS = ("rank", "item_rank", "emb", "text", "ground", "rating", "pair_rank")
_PENALTIES = ("length", "boiler")

ALARMS = ("frozen_rank",)
"""Terms that are logged and never enter the total: if `rank` rises while `frozen_rank` falls, drafts please the
critic's space and not the meaning."""


@dataclass(frozen=True, kw_only=True)
class Exam:
    """What the drafts of one run are graded against; equal for all of them."""

    positives: FloatArray
    """Unit vectors of the held-back items, shape `(P, D)`; P = 0 for a history too short to hold any back."""

    negatives: FloatArray
    """Unit vectors of items the user did not choose, shape `(N, D)`."""

    own: FloatArray
    """Unit vectors of the visible recent items, shape `(H, D)`."""

    others: tuple[FloatArray, ...]
    """For each of some other users, unit vectors of their recent items, shape `(H_u, D)`, H_u >= 1."""

    targets: tuple[str, ...]
    """Titles that a draft must not spell."""

    known: str
    """Text of the visible history."""

    rivals: tuple[FloatArray, ...] | None = None
    """`others` as they speak for their users; `others` themselves if absent."""

    def mapped(self, space: Space) -> "Exam":
        """Return the same exam in a space; this very one in the encoder's own."""
        if space.is_identity:
            return self
        return replace(
            self,
            positives=space.items(self.positives),
            negatives=space.items(self.negatives),
            own=space.items(self.own),
            others=tuple(space.items(vectors) for vectors in self.others),
            rivals=tuple(space.users(vectors) for vectors in self.others),
        )

    @cached_property
    def everybody(self) -> Stacked:
        """The user's own recent items, then those of each other user; needs at least one of its own."""
        return stack_users([self.own, *self.others])

    @cached_property
    def crowd(self) -> Stacked:
        """What speaks for each other user; needs at least one user."""
        return stack_users(self.others if self.rivals is None else self.rivals)


def score(
    text: str,
    facets: FloatArray,
    supports: Sequence[float],
    exam: Exam,
    *,
    critic: CriticSettings,
    weights: RewardWeights,
    extra: Mapping[str, float] | None = None,
    verdicts: bool = False,
) -> dict[str, float]:
    """Grade one draft.

    Args:
        text: The whole draft.
        facets: Unit vectors of the sentences that say what the user likes, and of the whole, shape `(F, D)`.
        supports: For each claim, its best support by cited evidence, in cosine units.
        exam: What it is graded against.
        critic: Temperature, thresholds and lengths.
        weights: Terms with weight 0 are left out.
        extra: Terms computed elsewhere (`text`, `item_rank`, `frozen_rank`).
        verdicts: Whether a verdict is a leak, as in a pair.

    Returns:
        Term to value in [0, 1], and `total`. Terms that need held-back items are absent without any.
    """
    terms = dict(extra or {})
    if len(exam.positives) and len(exam.negatives) and len(facets):
        terms |= _held_back_terms(facets, exam, critic)
    if len(facets) and len(exam.own) and exam.others:
        scores = score_items(facets, exam.everybody.vectors, temperature=critic.temperature)
        own, *fit = exam.everybody.means(scores).tolist()
        terms["boiler"] = boilerplate_penalty(own, fit)
    terms["ground"] = ground_reward(supports, threshold=critic.support)
    terms["length"] = length_penalty(text, max_words=critic.max_words)
    terms["leak"] = leak_penalty(text, exam.targets, exam.known, verdicts=verdicts)
    active = {"item_rank": weights.rank, **weights.model_dump()}
    kept = {name: value for name, value in terms.items() if name in ALARMS or active[name] > 0}
    return {**kept, "total": total_reward(kept, weights)}


def _held_back_terms(facets: FloatArray, exam: Exam, critic: CriticSettings) -> dict[str, float]:
    positives = score_items(facets, exam.positives, temperature=critic.temperature)
    negatives = score_items(facets, exam.negatives, temperature=critic.temperature)
    rivals = np.zeros((0, len(positives)), dtype=np.float32)
    if exam.others:
        rivals = score_by_each(exam.crowd, exam.positives, temperature=critic.temperature)
    return {
        "rank": rank_reward(positives, negatives),
        "emb": info_nce_reward(positives, negatives, rivals, temperature=critic.temperature),
    }


def rank_reward(positives: FloatArray, negatives: FloatArray) -> float:
    """Mean NDCG of each held-back item among the negatives: `1 / log2(1 + rank)` with mid-rank ties.

    Args:
        positives: Scores of held-back items, shape `(P,)`, P >= 1.
        negatives: Scores of negatives, shape `(N,)`.

    Examples:
        >>> rank_reward(np.float32([1.0, 0.4]), np.float32([0.6, 0.5]))  # ranks 1 and 3: (1 + 1/2) / 2
        0.75
    """
    return float(np.mean(1.0 / np.log2(1.0 + mid_ranks(positives, negatives))))


def info_nce_reward(
    positives: FloatArray, negatives: FloatArray, others: FloatArray, *, temperature: float
) -> float:
    """Bounded bidirectional InfoNCE of a portrait and its held-back items.

    With `s` the late-interaction score over `temperature`, each direction is the log-probability of the right
    choice, less that of chance, under the logistic function: `sigmoid(R + log(1 + rivals))` with
    `R(u→i) = log softmax over {i+} | negatives`, `R(i→u) = log softmax over {u} | other users`. It has no flat
    part: against hard negatives most drafts are near chance, and a bound there would leave nothing to learn.

    Args:
        positives: Scores of the held-back items by this portrait, shape `(P,)`.
        negatives: Scores of the negatives by this portrait, shape `(N,)`.
        others: Scores of the held-back items by other users, shape `(U, P)`; with U = 0 only the first
            direction counts.
        temperature: Softmax temperature in cosine units, > 0.

    Source:
        BLUE's embedding reward with 128 negatives (reconstructed). Differs: bounded, several positives, other
        users are represented by their raw histories because portraits of a batch are not there yet.

    Examples:
        >>> even = np.zeros(1, dtype=np.float32)
        >>> info_nce_reward(even, np.zeros(3, np.float32), np.zeros((0, 1), np.float32), temperature=1.0)
        0.5
        >>> round(info_nce_reward(even + 9, even, np.zeros((1, 1), np.float32), temperature=0.1), 6)  # 2 / 3
        0.666667
    """
    to_item = _choice(positives, np.repeat(negatives[None, :], len(positives), axis=0), temperature)
    if len(others) == 0:
        return to_item
    return (to_item + _choice(positives, others.T, temperature)) / 2.0


def _choice(right: FloatArray, wrong: FloatArray, temperature: float) -> float:
    """Mean of `p / (p + chance)` for the probability of `right[p]` among itself and `wrong[p]`."""
    logits = np.concatenate([right[:, None], wrong], axis=1).astype(np.float64) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    log_p: NDArray[np.float64] = logits[:, 0] - np.log(np.exp(logits).sum(axis=1))
    lead = log_p + np.log(logits.shape[1])
    return float(np.mean(np.exp(-np.logaddexp(0.0, -lead))))


def ground_reward(supports: Sequence[float], *, threshold: float) -> float:
    """Share of claims whose best cited evidence reaches `threshold`; 0 for a text without claims.

    Examples:
        >>> ground_reward([0.6, 0.1], threshold=0.35)
        0.5
    """
    return sum(support >= threshold for support in supports) / len(supports) if supports else 0.0


def length_penalty(text: str, *, max_words: int) -> float:
    """Words beyond `max_words` as a share of it, at most 1.

    Source:
        RLPF's length term `min(C, beta * (L - l))` turned into a penalty, https://arxiv.org/abs/2409.04421.
        Differs: nothing is paid for being short, and the unit is a word.

    Examples:
        >>> length_penalty("one two three", max_words=2)
        0.5
    """
    return float(min(1.0, max(0, len(text.split()) - max_words) / max_words))


def boilerplate_penalty(own: float, others: Sequence[float]) -> float:
    """Share of other users whose history the text fits at least as well as its own user's; ties count half.

    Source:
        BUMP and RLPF report policies that pad with sentences that fit everyone. Differs: compared with other
        users' histories rather than their portraits, so that the term does not depend on who was drawn first.

    Examples:
        >>> boilerplate_penalty(0.5, [0.6, 0.5, 0.1, 0.2])  # one better, one tie, of four
        0.375
    """
    if not others:
        return 0.0
    return sum(1.0 if other > own else 0.5 if other == own else 0.0 for other in others) / len(others)


def rating_reward(fit: float, known: float) -> float:
    """`1 - |ŷ - y| / range`, in [0, 1], of an expected and a known rating as shares of the scale.

    Source:
        DUET's reward, `1 - |ŷ - y| / 4` on a scale from 1 to 5. Differs: any scale, and ŷ may be the mean of
        the judge's distribution; a known rating beyond the scale seen so far counts as its end.

    Examples:
        >>> rating_reward(0.75, 1.0), rating_reward(0.0, 1.3)  # 4 of 1 to 5 for a 5: 1 - 1/4
        (0.75, 0.0)
    """
    return 1.0 - abs(fit - min(max(known, 0.0), 1.0))


def with_outcome(
    rewards: Mapping[str, float], known: Mapping[str, float], weights: RewardWeights
) -> dict[str, float]:
    """Add the terms of a known outcome to a draft's rewards; those of weight 0 are left out.

    Examples:
        >>> weights = RewardWeights(ground=1.0, rating=3.0, pair_rank=0.0)
        >>> with_outcome({"ground": 0.0, "total": 0.0}, {"rating": 1.0, "pair_rank": 1.0}, weights)
        {'ground': 0.0, 'rating': 1.0, 'total': 0.75}
    """
    active = weights.model_dump()
    terms = {name: value for name, value in rewards.items() if name != "total"}
    terms |= {name: value for name, value in known.items() if active[name] > 0}
    return {**terms, "total": total_reward(terms, weights)}


def total_reward(terms: Mapping[str, float], weights: RewardWeights) -> float:
    """Combine terms: weighted mean of the gains that were computed, minus weighted penalties.

    Returns:
        `FLOOR` on a leak, otherwise at most 1.

    Examples:
        >>> weights = RewardWeights(rank=1.0, emb=0.0, ground=1.0, length=0.5)
        >>> total_reward({"rank": 0.5, "ground": 1.0, "length": 0.2}, weights)  # 1.5 / 2 - 0.5 * 0.2
        0.65
    """
    if terms.get("leak", 0.0) > 0 and weights.leak > 0:
        return FLOOR
    by_name: dict[str, float] = {"item_rank": weights.rank, **weights.model_dump()}
    gains = [(by_name[name], terms[name]) for name in _GAINS if name in terms]
    mass = sum(weight for weight, _ in gains)
    gain = sum(weight * value for weight, value in gains) / mass if mass > 0 else 0.0
    return gain - sum(by_name[name] * terms.get(name, 0.0) for name in _PENALTIES)
