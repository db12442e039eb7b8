"""What a group of rewards says about each draft: advantage, weight, label, best and worst.

Plain functions of the rewards of one group, in the order of its drafts; they know nothing of the log.
"""

from collections.abc import Sequence
from math import exp, fsum, sqrt

from pydantic import NonNegativeFloat, PositiveFloat

from ...records import Record

STABILITY = 1e-4
"""Added to the standard deviation, as TRL does, so that nearly equal rewards do not explode."""


class Weighting(Record):
    """How rewards become advantages, weights and preference pairs."""

    temperature: PositiveFloat = 0.5
    """Of the advantage weight, in standard deviations of a group; the smaller, the greedier."""

    max_weight: PositiveFloat = 8.0
    """Weights are clipped to it."""

    min_margin: NonNegativeFloat = 0.05
    """Least reward of the best draft over the worst for the two to be a preference pair."""


def normalised_advantages(rewards: Sequence[float]) -> list[float]:
    """Return how far each reward lies above the mean of its group, in standard deviations of the group.

    Args:
        rewards: Rewards of one group, at least two.

    Source:
        GRPO, Shao et al. 2024, section 4.1.2, https://arxiv.org/abs/2402.03300. As in TRL the standard
        deviation is that of a sample (n - 1), plus 1e-4.

    Examples:
        >>> [round(advantage, 3) for advantage in normalised_advantages([0.0, 1.0, 2.0])]  # (r - 1) / 1.0001
        [-1.0, 0.0, 1.0]
    """
    mean = fsum(rewards) / len(rewards)
    spread = sqrt(fsum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1))
    return [(reward - mean) / (spread + STABILITY) for reward in rewards]


def advantage_weights(advantages: Sequence[float], weighting: Weighting) -> list[float]:
    """Return `min(exp(advantage / temperature), max_weight)` for each draft.

    Source:
        AWR, Peng et al. 2019, algorithm 1, https://arxiv.org/abs/1910.00177. Differs: the baseline is the mean
        of the group rather than a learned value, and the advantage is divided by the group's deviation.

    Examples:
        >>> advantage_weights([0.0, 5.0], Weighting())  # exp(0), and exp(10) clipped
        [1.0, 8.0]
    """
    ceiling = weighting.max_weight
    limit = weighting.temperature * 700.0  # beyond it `exp` overflows; the ceiling is far below
    return [
        min(exp(min(advantage, limit) / weighting.temperature), ceiling) if advantage > -limit else 0.0
        for advantage in advantages
    ]


def best_of(rewards: Sequence[float]) -> int:
    """Return the place of the best draft; of equals the one written first.

    Source:
        RAFT, Dong et al. 2023, algorithm 1, https://arxiv.org/abs/2304.06767.

    Examples:
        >>> best_of([0.1, 0.7, 0.7])
        1
    """
    return max(range(len(rewards)), key=lambda place: (rewards[place], -place))


def worst_of(rewards: Sequence[float]) -> int:
    """Return the place of the worst draft; of equals the one written first.

    Examples:
        >>> worst_of([0.7, 0.1, 0.1])
        1
    """
    return min(range(len(rewards)), key=lambda place: (rewards[place], place))


def preference(rewards: Sequence[float], weighting: Weighting) -> tuple[int, int] | None:
    """Return the places of the chosen and the rejected draft; `None` if they are too close to call.

    Source:
        Best against worst of n: Dong et al. 2024, section 4, https://arxiv.org/abs/2405.07863.

    Examples:
        >>> preference([0.2, 0.9, 0.5], Weighting(min_margin=0.6)), preference([0.2, 0.7], Weighting(min_margin=0.6))
        ((1, 0), None)
    """
    chosen, rejected = best_of(rewards), worst_of(rewards)
    if chosen == rejected or rewards[chosen] - rewards[rejected] < weighting.min_margin:
        return None
    return chosen, rejected


def desirable(advantages: Sequence[float]) -> list[bool | None]:
    """Label each draft for KTO: whether it beats the mean of its group; `None` at the mean, which says nothing.

    Source:
        KTO, Ethayarajh et al. 2024, https://arxiv.org/abs/2402.01306, learns from such labels without pairs.
        Differs: a scalar reward is labelled against its group, since rewards compare only within one.

    Examples:
        >>> desirable([-1.0, 0.0, 1.0])
        [False, None, True]
    """
    return [None if abs(advantage) < STABILITY else advantage > 0 for advantage in advantages]
