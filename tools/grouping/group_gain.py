"""What groups are worth: do they foretell the last choice of users from whom it was held back?"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..embedder import FloatArray
from ..matrices import Matrix
from ..spans import IntArray
from .group_fitting import Fitted, Gain, GroupPlan, fit_groups
from .grouping import Groups, assign, group_items, item_scores

NEGATIVES = 20_000
"""Items at most that a held-back one is ranked among; a larger catalogue is sampled."""

EXAMINED = 2000
"""Users at most from whom something is held back."""

_BLOCK = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldBack:
    """The past without the last choice of some users."""

    vectors: FloatArray
    """Vectors of all users as they were without these choices, shape `(U, D)`."""

    edges: Matrix
    """What users had, without these choices, shape `(U, I)`."""

    users: IntArray
    """From whom, shape `(H,)`."""

    items: IntArray
    """What, shape `(H,)`; each new to its user."""

    seed: int
    """Draws the negatives of a large catalogue."""

    def gain(self, groups: Groups) -> float:
        """Return mean NDCG of the held-back items among all (or 20,000 sampled) items the user had not.

        Ties count half; the full list is counted, so the value is never 0.
        """
        weights = assign(groups, self.vectors)
        columns = self._columns()
        had = group_items(weights, self.edges).take(columns)
        place = np.searchsorted(columns, self.items)
        found = np.empty(len(self.users))
        for start in range(0, len(self.users), _BLOCK):
            part = slice(start, start + _BLOCK)
            scores = item_scores(weights[self.users[part]], had)
            scores[self.edges[self.users[part]][:, columns].nonzero()] = -np.inf
            own = scores[np.arange(len(scores)), place[part]][:, None]
            rank = 1.0 + (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
            found[part] = 1.0 / np.log2(1.0 + rank)
        return float(found.mean())

    def _columns(self) -> IntArray:
        """Return the items that are ranked, ascending."""
        n_items = self.edges.shape[1]
        if n_items <= NEGATIVES:
            return np.arange(n_items)
        drawn = np.random.default_rng(self.seed).choice(n_items, NEGATIVES, replace=False)
        return np.unique(np.concatenate([drawn, self.items]))


def fit_with_gain(
    vectors: FloatArray,
    plan: GroupPlan,
    *,
    held: HeldBack | None,
    start: Groups | None = None,
    settled: bool = False,
    notice: Callable[[str], None] | None = None,
) -> Fitted:
    """Choose the number of rounds on held-back choices, then find the groups of the whole past.

    Args:
        vectors: Vectors of all users, shape `(U, D)`.
        plan: How; with `rounds` given nothing is chosen, but what each round gains is measured.
        held: What was held back; absent if there is too little, and no round is made unless `plan` says so.
        start: See `fit_groups`.
        settled: See `fit_groups`.
        notice: Takes a line a round.

    Returns:
        The groups of the whole past, with the rounds as they were measured on the past without what was held back.
    """
    if held is None:
        return fit_groups(vectors, plan, start=start, settled=settled)

    def gain(groups: Groups) -> float:
        value = held.gain(groups)
        if notice:
            notice(f"round {groups.rounds}: {len(groups)} groups, NDCG {value:.4f}")
        return value

    measure: Gain = gain
    tried = fit_groups(held.vectors, plan, start=start, settled=settled, gain=measure)
    fixed = replace(plan, rounds=tried.groups.rounds)
    whole = fit_groups(vectors, fixed, start=tried.groups, settled=settled)
    return Fitted(whole.groups, whole.weights, tried.log)
