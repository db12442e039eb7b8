"""Recall, NDCG, MRR, Hit and ranks from places, ties averaged exactly.

An answer with b better and t tied candidates stands at each of the places b + 1 … b + t + 1 with the same chance.
Recall and NDCG add up over answers, so their expectation needs only that. Hit and MRR ask for the *first* answer: m
answers among g tied items come first at offset j with chance C(g - j, m - 1) / C(g, m). A scorer that says the same
of every item scores exactly what chance does.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .dataset import IntArray
from .places import Places

Ties = Literal["average", "optimistic", "pessimistic"]
"""`average` is the expectation over all orders of tied items. The others exist to reproduce tables made so."""

Values = NDArray[np.float64]

CUTOFFS = (5, 10, 20, 50)


def measure(places: Places, *, cutoffs: Sequence[int] = CUTOFFS, ties: Ties = "average") -> dict[str, Values]:
    """Return every metric of every query.

    `recall@k`, `ndcg@k`, `hit@k` and `mrr@k` look at the first k places; `ndcg` and `mrr` at all of them. `rank` is
    the mean mid-rank of a query's answers, 1 is best. `percentile_rank` is the same as a share of the candidates,
    `(rank - 1/2) / candidates`, so that chance is 1/2 whatever their number.

    Args:
        places: From `place`.
        cutoffs: Values of k.
        ties: What becomes of tied items.

    Returns:
        Arrays of shape `(Q,)` by the metric's name.

    Source:
        McSherry & Najork 2008, "Computing information retrieval performance measures efficiently in the presence
        of tied scores", section 3; gains are 0 or 1 and the discount is 1 / log2(1 + place).
    """
    places = resolve_ties(places, ties)
    found: dict[str, Values] = {}
    first = _first_answers(places)
    discounts = _summed_discounts(int(places.candidates.max(initial=0)))
    for k in cutoffs:
        found[f"recall@{k}"] = _mean(places, _chance_within(places, k))
        found[f"ndcg@{k}"] = _ndcg(places, discounts, k)
    found |= _of_first(first, cutoffs)
    found["ndcg"] = _ndcg(places, discounts, len(discounts) - 1)
    found["rank"] = _mean(places, 1.0 + places.better + places.tied / 2.0)
    found["percentile_rank"] = (found["rank"] - 0.5) / places.candidates
    return found


def resolve_ties(places: Places, ties: Ties) -> Places:
    """Put every answer at the best or the worst of its places, or keep its ties.

    Answers tied with each other stand one after the other, before or after everything else they are tied with.
    """
    if ties == "average":
        return places
    order = np.lexsort((places.better, places.query))
    group = np.stack([places.query[order], places.better[order]])
    fresh = np.append(True, (np.diff(group) != 0).any(axis=0))[: len(order)]
    heads = np.flatnonzero(fresh)
    sizes = np.diff(np.append(heads, len(order)))
    nth = np.empty_like(places.better)
    nth[order] = np.arange(len(order)) - np.repeat(heads, sizes)
    right = np.empty_like(places.better)
    right[order] = np.repeat(sizes, sizes)
    shift = nth if ties == "optimistic" else places.tied + 1 - right + nth
    return replace(places, better=places.better + shift, tied=np.zeros_like(places.tied))


class _First(NamedTuple):
    """The best tie group that holds an answer of each query; arrays of shape `(Q,)`."""

    before: IntArray
    """Candidates before the group."""

    size: IntArray
    """Items in the group."""

    right: IntArray
    """Answers in the group."""


def _first_answers(places: Places) -> _First:
    heads = places.starts[:-1]
    before = np.minimum.reduceat(places.better, heads) if len(heads) else heads
    right = (places.better == before[places.query]).astype(np.int64)
    best = right.astype(np.bool_)
    size = np.zeros(len(places), dtype=np.int64)
    size[places.query[best]] = places.tied[best] + 1
    return _First(before, size, np.add.reduceat(right, heads) if len(heads) else heads)


def _chance_within(places: Places, k: int) -> Values:
    """Return the chance of each answer to stand within the first k."""
    size = places.tied + 1
    return np.asarray(np.clip(k - places.better, 0, size) / size, dtype=np.float64)


def _mean(places: Places, values: Values) -> Values:
    """Average over the answers of each query."""
    if not len(places):
        return np.empty(0)
    return np.asarray(np.add.reduceat(values, places.starts[:-1]) / np.diff(places.starts), dtype=np.float64)


def _summed_discounts(length: int) -> Values:
    """Return the sum of 1 / log2(1 + place) over the first 0, 1, … `length` places."""
    return np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, length + 2)))])


def _ndcg(places: Places, discounts: Values, k: int) -> Values:
    """Return the expected gain of the first k places over that of the best order."""
    k = min(k, len(discounts) - 1)
    answers = np.diff(places.starts)
    end = places.better + places.tied + 1
    gain = (discounts[np.minimum(end, k)] - discounts[np.minimum(places.better, k)]) / (places.tied + 1)
    return _mean(places, gain) * answers / discounts[np.minimum(answers, k)]


def _of_first(first: _First, cutoffs: Sequence[int]) -> dict[str, Values]:
    """Return the metrics that look at the first answer only."""
    found = {f"hit@{k}": 1.0 - _chance_of_none(first, k) for k in cutoffs}
    everything = int((first.before + first.size).max(initial=0))
    limits = np.array([*cutoffs, everything], dtype=np.int64)
    reciprocal = _reciprocal_alone(first, limits)
    several = np.flatnonzero(first.right > 1)
    kinds, kind = np.unique(np.stack(first)[:, several], axis=1, return_inverse=True)
    for number, (before, size, right) in enumerate(kinds.T.tolist()):
        reciprocal[several[kind == number]] = _reciprocal_of_several(before, size, right, limits)
    names = [*(f"mrr@{k}" for k in cutoffs), "mrr"]
    return found | {name: reciprocal[:, column] for column, name in enumerate(names)}


def _chance_of_none(first: _First, k: int) -> Values:
    """Return C(g - d, m) / C(g, m), the chance that the first d = k - b items of the group hold no answer."""
    seen = np.clip(k - first.before, 0, first.size)
    chance = np.ones(len(seen))
    for drawn in range(int(first.right.max(initial=0))):
        left = np.maximum(first.size - seen - drawn, 0) / np.maximum(first.size - drawn, 1)
        chance *= np.where(drawn < first.right, left, 1.0)
    return chance


def _reciprocal_alone(first: _First, limits: IntArray) -> Values:
    """Return the expected reciprocal place within each limit where a group holds one answer, shape `(Q, L)`."""
    longest = int(limits.max(initial=0))
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, longest + 1))])
    end = np.minimum((first.before + first.size)[:, None], limits)
    start = np.minimum(first.before[:, None], limits)
    return np.asarray((harmonic[end] - harmonic[start]) / first.size[:, None], dtype=np.float64)


def _reciprocal_of_several(before: int, size: int, right: int, limits: IntArray) -> Values:
    """Return the same for one group that holds several answers, shape `(L,)`."""
    offset = np.arange(1, size - right + 2)
    ratio = (size - offset[:-1] - right + 1) / (size - offset[:-1])  # of neighbouring C(g - j, m - 1)
    chance = right / size * np.cumprod(np.concatenate([[1.0], ratio]))
    summed = np.concatenate([[0.0], np.cumsum(chance / (before + offset))])
    return np.asarray(summed[np.clip(limits - before, 0, len(offset))], dtype=np.float64)
