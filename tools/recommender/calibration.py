r"""Calibrated fusion: what each signal counts depends on how often an item was chosen.

The score of item `i` for user `u` is `b(f_i) + sum_p w_p(f_i) x_p(u, i)`: `x_p` are columns made of signals, `f_i` is
how often the item was chosen, and each `w_p` and `b` is linear in `log(1 + f_i)` between a few knots, so that tail
items may lean on text and head items on sequences. Weights of signals are never negative: more of a signal never
lowers a score. Users with histories of another length may have weights of their own.

Weights maximise a smooth form of NDCG@10 with a little of the log-rank on users who hold one item back (Qin et al.
2010, "A general approximation framework for direct optimization of information retrieval measures", eq. 14 and 18;
differs: the rank is counted over the best and some random items, the log-rank is added, and the start is the weights
of most likelihood). What earns nothing on users who did not choose its weights is dropped, as in `tools.recommender.blending`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from ..embedder import FloatArray
from ..spans import IntArray
from .blending import Values, sure, z_scores
from .calibration_fit import Exam, Theta, descend

Kind = Literal["votes", "nearness"]
"""`votes`: none or more, most of them none, a few very many; `nearness`: about as many below as above the mean."""

EDGES = (5, 10, 20)
"""Longest histories of the buckets but the last."""

QUANTILES = (0.02, 0.25, 0.55, 0.9)
"""Where knots lie among the frequencies of the chosen items."""

FEWEST = 50
"""Held-back users below which nothing is fitted."""

_FEWEST_OF_BUCKET = 300
_EARNED = 1.0
"""Standard errors that a signal must earn; fewer than for shares, because many small signals together earn much."""

_SHARP = 0.1
"""Scale of the sharper column of votes: almost whether there are any."""


class Form(NamedTuple):
    """How a signal becomes columns."""

    name: str
    kind: Kind

    scale: float = 1.0
    """A usual high vote; only for `votes`."""

    @property
    def width(self) -> int:
        """Number of columns."""
        return 3 if self.kind == "votes" else 1

    def columns(self, scores: FloatArray, items: IntArray, starts: IntArray) -> FloatArray:
        """Return columns, shape `(width, Q, N)`, of a signal's scores, shape `(Q, N)`.

        Args:
            scores: Higher is better.
            items: Histories one after the other; what is in them does not enter z-scores.
            starts: Where each history begins, and their end, shape `(Q + 1,)`.
        """
        unit = z_scores(scores, items, starts)
        if self.kind == "nearness":
            return unit[None]
        return np.stack([np.log1p(scores / (self.scale * _SHARP)), np.log1p(scores / self.scale), unit])


class Calibration(NamedTuple):
    """Weights of signals by frequency of the item and length of the history."""

    forms: tuple[Form, ...]
    """The signals that count, in order."""

    knots: FloatArray
    """`log(1 + frequency)` where weights are given, rising, shape `(K,)`; beyond the outer ones they stay."""

    edges: tuple[int, ...]
    """Longest histories of the buckets but the last; empty for one bucket."""

    weights: FloatArray
    """Shape `(buckets, columns, K)`."""

    bias: FloatArray
    """What frequency alone is worth, shape `(buckets, K)`."""

    measured: bool = True
    """Whether weights were fitted; false for the untaught ones."""

    def score(
        self, signals: Mapping[str, FloatArray], items: IntArray, starts: IntArray, counts: FloatArray
    ) -> FloatArray:
        """Fuse signals, shape `(Q, N)`.

        Args:
            signals: Scores of every item by name of the signal, each `(Q, N)`; one that is left out adds nothing.
            items: Histories one after the other.
            starts: Where each history begins, and their end, shape `(Q + 1,)`.
            counts: How often each item was chosen, shape `(N,)`.
        """
        bucket, hats = self._where(starts, counts)
        total: FloatArray = (self.bias @ hats.T)[bucket].astype(np.float32)
        for _, part in self._added(signals, items, starts, counts):
            total += part
        return total

    def parts(
        self, signals: Mapping[str, FloatArray], items: IntArray, starts: IntArray, counts: FloatArray
    ) -> dict[str, FloatArray]:
        """Return what each signal adds to the score, by name, each `(Q, N)`; arguments as in `score`."""
        return dict(self._added(signals, items, starts, counts))

    def _added(
        self, signals: Mapping[str, FloatArray], items: IntArray, starts: IntArray, counts: FloatArray
    ) -> Iterator[tuple[str, FloatArray]]:
        bucket, hats = self._where(starts, counts)
        first = 0
        for form in self.forms:
            weights = self.weights[:, first : first + form.width] @ hats.T  # (buckets, width, N)
            first += form.width
            if form.name not in signals:
                continue
            part = np.zeros(signals[form.name].shape, dtype=np.float32)
            for number, column in enumerate(form.columns(signals[form.name], items, starts)):
                part += column * weights[bucket, number].astype(np.float32)
            yield form.name, part

    def _where(self, starts: IntArray, counts: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return each query's bucket, and each item's shares of the knots."""
        return self.bucket_of(np.diff(starts)), hats_of(np.log1p(counts), self.knots)

    def bucket_of(self, lengths: IntArray) -> IntArray:
        """Return the bucket of histories of some lengths."""
        return np.searchsorted(np.array(self.edges, dtype=np.int64), lengths)

    @property
    def shares(self) -> dict[str, dict[str, float]]:
        """Mean weight of each signal's columns, by bucket, as shares that add up to 1."""
        names = [f"history up to {edge}" for edge in self.edges]
        names.append(f"history over {self.edges[-1]}" if self.edges else "all")
        table: dict[str, dict[str, float]] = {}
        for name, weights in zip(names, self.weights, strict=True):
            ends = np.cumsum([0, *(form.width for form in self.forms)])
            sums = [float(weights[a:b].sum()) for a, b in pairwise(ends.tolist())]
            whole = sum(sums) or 1.0
            table[name] = {
                form.name: round(one / whole, 3) for form, one in zip(self.forms, sums, strict=True)
            }
        return table


def hats_of(frequency: FloatArray, knots: FloatArray) -> FloatArray:
    """Return the share of each knot in a value that is linear between knots, shape `(..., K)`.

    Examples:
        >>> hats_of(np.float32([0, 1.5, 9]), np.float32([1, 2])).tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    rows = [np.interp(frequency, knots, row) for row in np.eye(len(knots))]
    return np.stack(rows, axis=-1).astype(np.float32)


def knots_of(counts: FloatArray) -> FloatArray:
    """Return knots for items chosen so often, shape `(N,)`: quantiles over what was chosen, equal ones once."""
    chosen = np.repeat(counts, counts.astype(np.int64))
    if not len(chosen):
        return np.zeros(1, dtype=np.float32)
    at = np.quantile(chosen, QUANTILES, method="nearest")
    return np.unique(np.log1p(at)).astype(np.float32)


def untaught(forms: Sequence[Form], shares: Mapping[str, float], counts: FloatArray) -> Calibration:
    """Return weights that nobody fitted: one share a signal, for all items and users alike.

    Args:
        forms: The signals.
        shares: Weight of each signal by name.
        counts: How often each item was chosen.
    """
    knots = knots_of(counts)
    column = [shares.get(form.name, 0.0) / form.width for form in forms for _ in range(form.width)]
    weights = np.repeat(np.array(column, dtype=np.float32)[None, :, None], len(knots), axis=2)
    return Calibration(
        tuple(forms), knots, (), weights, np.zeros((1, len(knots)), dtype=np.float32), measured=False
    )


def calibrate(exam: Exam, forms: Sequence[Form], knots: FloatArray) -> Calibration:
    """Fit weights on users who hold one item back.

    Args:
        exam: Those users, with the columns of `forms` in their order.
        forms: The signals.
        knots: From `knots_of`.
    """
    kept = _earning(exam, tuple(forms))
    exam = _only(exam, forms, kept)
    whole = descend(exam)
    bucket = np.searchsorted(np.array(EDGES, dtype=np.int64), exam.lengths)
    found = [
        _of_bucket(exam.take(np.flatnonzero(bucket == number)), whole) for number in range(len(EDGES) + 1)
    ]
    if all(theta is whole for theta in found):
        return Calibration(kept, knots, (), whole.weights[None], whole.bias[None])
    weights, bias = (np.stack([getattr(theta, name) for theta in found]) for name in ("weights", "bias"))
    return Calibration(kept, knots, EDGES, weights, bias)


def _earning(exam: Exam, forms: tuple[Form, ...]) -> tuple[Form, ...]:
    """Return the signals that earn something on users who did not choose their weights; at least one."""
    one, two = exam.halves()
    kept = forms
    while len(kept) > 1:
        halves = _only(one, forms, kept), _only(two, forms, kept)
        tried = tuple((descend(half), other) for half, other in zip(halves, halves[::-1], strict=True))
        full = np.concatenate([other.value(theta) for theta, other in tried])
        gains = [
            sure(
                full - np.concatenate([other.value(theta.without(*place)) for theta, other in tried]), _EARNED
            )
            for place in _places(kept)
        ]
        if min(gains) > 0:
            break
        least = int(np.argmin(gains))
        kept = kept[:least] + kept[least + 1 :]
    return kept


def _of_bucket(exam: Exam, whole: Theta) -> Theta:
    """Return a bucket's own weights where they surely earn more than those of all, else those of all."""
    if len(exam.lengths) < _FEWEST_OF_BUCKET:
        return whole
    one, two = exam.halves()
    tried = (descend(one, toward=whole), two), (descend(two, toward=whole), one)
    gains: Values = np.concatenate([other.value(theta) - other.value(whole) for theta, other in tried])
    return descend(exam, toward=whole) if sure(gains) > 0 else whole


def _places(forms: Sequence[Form]) -> list[tuple[int, int]]:
    """Return the first column of each signal, and the one behind its last."""
    ends = np.cumsum([0, *(form.width for form in forms)]).tolist()
    return list(pairwise(ends))


def _only(exam: Exam, forms: Sequence[Form], kept: Sequence[Form]) -> Exam:
    """Keep the columns of some signals."""
    places = dict(zip(forms, _places(forms), strict=True))
    rows = [row for form in kept for row in range(*places[form])]
    return exam if len(kept) == len(forms) else exam._replace(columns=exam.columns[rows])
