"""How good a scorer is on users it has not seen: error, honesty of its uncertainty, order within a list."""

from typing import TypedDict

import numpy as np

from ...tools.belief import Belief, Values, shared_ranks
from .examples import Table

_EIGHTY = 1.2815515655446004
_NINETY_FIVE = 1.959963984540054


class Verdict(TypedDict):
    """Numbers of one scorer on one set of users."""

    users: int
    examples: int
    mae: float
    """Mean absolute error of the worth."""

    rmse: float
    nll: float
    """Mean negative log-likelihood under a normal distribution, in nats; lower is better."""

    within_80: float
    """Share of outcomes within the interval that should hold 80 % of them."""

    within_95: float
    lists: int
    """Moments with one chosen item among others."""

    ndcg: float | None
    """Mean of `1 / log2(1 + rank)` of the chosen item, ties sharing their places; absent without lists."""

    mean_rank: float | None
    """Mean rank of the chosen item as a share of the list, 0 best, 1 worst, ½ chance; absent without lists."""


def judge(table: Table, belief: Belief) -> Verdict:
    """Compare beliefs, one a row of the table, with what came."""
    error = table.worth - belief.mean
    z = np.abs(error) / belief.sd
    ranks, lengths = _ranks_of_chosen(table, belief.mean)
    return {
        "users": table.n_users,
        "examples": len(table),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "nll": float((0.5 * z**2 + np.log(belief.sd) + 0.5 * np.log(2 * np.pi)).mean()),
        "within_80": float((z <= _EIGHTY).mean()),
        "within_95": float((z <= _NINETY_FIVE).mean()),
        "lists": len(ranks),
        "ndcg": float((1 / np.log2(1 + ranks)).mean()) if len(ranks) else None,
        "mean_rank": float(((ranks - 1) / (lengths - 1)).mean()) if len(ranks) else None,
    }


def _ranks_of_chosen(table: Table, scores: Values) -> tuple[Values, Values]:
    """Return the rank of the one chosen item of each list that has others, and the length of the list."""
    ranks: list[float] = []
    lengths: list[float] = []
    for number in np.unique(table.lists):
        rows = np.flatnonzero(table.lists == number)
        chosen = np.flatnonzero(table.worth[rows] > 0)
        if len(rows) > 1 and len(chosen) == 1:
            ranks.append(float(shared_ranks(scores[rows])[chosen[0]]))
            lengths.append(float(len(rows)))
    return np.array(ranks), np.array(lengths)
