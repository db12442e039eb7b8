"""What a list is beyond right: how much of the catalogue is ever shown, how well known it is, how alike."""

from collections.abc import Sequence

import numpy as np

from ..records import Item
from .dataset import FloatArray, IntArray
from .metrics import Values
from .places import batch_of
from .splits import Past, Problem

_LISTS_A_BLOCK = 512
_FOLDS = 16

NOBODY = -1
"""Fills the lists of queries that have fewer candidates than places."""


def top_items(
    scores: FloatArray, problem: Problem, *, k: int, seed: int, first: int = 0, system: str = "unnamed"
) -> IntArray:
    """List the k best candidates of each query, best first; tied items in an order drawn at random.

    The order of a query depends on the seed and its place in the problem, not on how queries are batched.

    Args:
        scores: Scores of the whole catalogue, higher is better, shape `(Q, N)`; left as they are.
        problem: What was asked.
        k: Length of the lists.
        seed: Decides between tied items.
        first: The query of the first row, where a batch is listed.
        system: Name for an error.

    Returns:
        Item numbers, shape `(Q, k)`; `NOBODY` where candidates ran out.

    Raises:
        ScoresError: A score is NaN, or the shape does not fit the problem.
    """
    batch = batch_of(scores, problem, first=first, system=system)
    lists = np.full((len(scores), k), NOBODY, dtype=np.int64)
    for query, (row, hidden) in enumerate(batch.rows()):
        visible = row.copy()
        visible[hidden] = -np.inf
        least = _floor(visible, k)
        found = np.flatnonzero(visible >= least)
        if least == -np.inf:
            found = np.setdiff1d(found, hidden)
        noise = np.random.default_rng((seed, first + query)).random(len(found))
        best = found[np.lexsort((noise, -visible[found]))[:k]]
        lists[query, : len(best)] = best
    return lists


def _floor(row: FloatArray, k: int) -> float:
    """Return a score that at least k items reach, and not many more.

    Each column of a folded row has a maximum; the k-th highest of these is reached by k items at least.
    """
    columns = len(row) // _FOLDS
    if columns < k:
        return -np.inf
    peaks = row[: columns * _FOLDS].reshape(_FOLDS, columns).max(axis=0)
    return float(np.partition(peaks, columns - k)[columns - k])


def beyond_accuracy(
    lists: IntArray,
    past: Past,
    *,
    cutoffs: Sequence[int] = (10,),
    vectors: FloatArray | None = None,
) -> dict[str, float | Values]:
    """Return `coverage@k` of all lists, and `novelty@k` and `diversity@k` of each.

    Args:
        lists: From `top_items`, at least as long as the largest cut-off.
        past: What systems were fitted on; its catalogue and popularity count.
        cutoffs: Values of k.
        vectors: What items are alike in, shape `(N, D)`, such as `category_vectors`; a zero vector is of an item
            nothing is known of, which is left out. Without it, no diversity.
    """
    found: dict[str, float | Values] = {}
    surprise = self_information(past)
    for k in cutoffs:
        shown = lists[:, :k]
        found[f"coverage@{k}"] = len(np.setdiff1d(shown, [NOBODY])) / past.n_items
        found[f"novelty@{k}"] = _mean_of_shown(surprise, shown)
        if vectors is not None:
            found[f"diversity@{k}"] = _spread(vectors, shown)
    return found


def self_information(past: Past) -> Values:
    """Return -log2 of each item's share of all events, in bits, shape `(N,)`; one that nobody chose counts as one.

    Source:
        Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender systems": the mean over a
        list is its novelty. Differs: a share of events instead of users.
    """
    chosen = np.maximum(np.bincount(past.events.item, minlength=past.n_items), 1)
    return np.asarray(-np.log2(chosen / max(len(past.events), 1)), dtype=np.float64)


def category_vectors(items: Sequence[Item]) -> FloatArray:
    """Return unit vectors with a column a category or tag, shape `(N, C)`; zero for an item that has none."""
    words = [sorted({*item.categories, *item.tags}) for item in items]
    index = {word: place for place, word in enumerate(sorted({word for of in words for word in of}))}
    vectors = np.zeros((len(items), len(index)), dtype=np.float32)
    for row, of in enumerate(words):
        vectors[row, [index[word] for word in of]] = 1.0 / np.sqrt(max(len(of), 1))
    return vectors


def _mean_of_shown(values: Values, shown: IntArray) -> Values:
    """Average a value of items over each list; NaN for an empty one."""
    there = shown != NOBODY
    with np.errstate(invalid="ignore"):
        means: Values = np.where(there, values[shown], 0.0).sum(axis=1) / there.sum(axis=1)
    return means


def _spread(vectors: FloatArray, shown: IntArray) -> Values:
    """Return the mean of 1 - cosine over all pairs of a list; NaN where it has none.

    The cosines of all ordered pairs add up to |sum|^2 - n, so no pair is ever formed.

    Source:
        Ziegler et al. 2005, "Improving recommendation lists through topic diversification", intra-list similarity.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    known = (shown != NOBODY) & (lengths[shown, 0] > 0)
    counts = known.sum(axis=1)
    together = np.empty(len(shown))
    for start in range(0, len(shown), _LISTS_A_BLOCK):
        block = slice(start, start + _LISTS_A_BLOCK)
        total = np.einsum("qkd,qk->qd", units[shown[block]], known[block].astype(units.dtype))
        together[block] = np.einsum("qd,qd->q", total, total)
    pairs = np.where(counts > 1, counts * (counts - 1), np.nan)
    distances: Values = 1.0 - (together - counts) / pairs
    return distances
