"""What a ranking believes: a scorer's guess, corrected by noisy passes, and which pass is worth its price.

A candidate's worth `y` lies in [0, 1]. The scorer says `y ~ N(m, s²)`. A pass measures it:
`fit = offset + c + of_worth · y + of_scorer · m + e`, `e ~ N(0, noise²)`, where `c ~ N(0, offset_sd²)` is common to
all passes of one list, since an untaught Limner does not know where the scale of a pass lies. Everything is
Gaussian, so combining is precision weighting with `c` integrated out.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Values = NDArray[np.float64]

_QUANTILE = 1.2815515655446004
"""Of the standard normal distribution at 90 %."""

_LEAST = 1e-12

_SAME = 9
"""Decimals within which two values are a tie."""


class Belief(NamedTuple):
    """What is believed about each candidate."""

    mean: Values
    """Shape `(N,)`."""

    sd: Values
    """Standard deviation, shape `(N,)`."""

    @property
    def low(self) -> Values:
        """The 10 % quantile within [0, 1], shape `(N,)`."""
        return np.clip(self.mean - _QUANTILE * self.sd, 0.0, 1.0)

    @property
    def high(self) -> Values:
        """The 90 % quantile within [0, 1], shape `(N,)`."""
        return np.clip(self.mean + _QUANTILE * self.sd, 0.0, 1.0)


class Gauge(NamedTuple):
    """How a pass measures worth; see the module."""

    offset: float
    of_worth: float
    of_scorer: float
    noise: float
    """Standard deviation in units of the fit, > 0."""

    offset_sd: float
    """How uncertain the offset is."""


UNTAUGHT: Mapping[str, Gauge] = {
    "judged": Gauge(offset=0.0, of_worth=1.0, of_scorer=0.0, noise=0.4, offset_sd=1.0),
    "unjudged": Gauge(offset=0.0, of_worth=0.5, of_scorer=0.0, noise=0.2, offset_sd=1.0),
}
"""Without anything learned: a judge's rating counts as much as a guess of the untaught scorer; a cosine of two
profiles, which the fit halves, likewise. Where the scale lies is left open."""


def combine(prior: Belief, fits: Values, gauge: Gauge) -> Belief:
    """Correct a belief by the passes there are.

    Args:
        prior: What the scorer believes.
        fits: Fit of each candidate's pass, shape `(N,)`; NaN where there is none.
        gauge: How these passes measure.

    Returns:
        The posterior; candidates without a pass keep their prior.

    Examples:
        >>> prior = Belief(np.array([0.4, 0.4]), np.array([0.2, 0.2]))
        >>> sure = Gauge(offset=0.0, of_worth=1.0, of_scorer=0.0, noise=0.2, offset_sd=0.0)
        >>> combine(prior, np.array([0.8, np.nan]), sure).mean.round(3).tolist()  # equal precisions: half way
        [0.6, 0.4]
    """
    passed = ~np.isnan(fits)
    if not passed.any() or gauge.of_worth == 0:
        return prior
    mean, variance = prior.mean[passed], prior.sd[passed] ** 2
    expected = gauge.offset + (gauge.of_worth + gauge.of_scorer) * mean
    surprise = fits[passed] - expected
    spread = gauge.of_worth**2 * variance + gauge.noise**2
    width = gauge.offset_sd**2 / (1.0 + gauge.offset_sd**2 * float(np.sum(1.0 / spread)))
    common = width * float(np.sum(surprise / spread))
    weight = gauge.of_worth * variance / spread
    new_mean, new_sd = prior.mean.copy(), prior.sd.copy()
    new_mean[passed] = mean + weight * (surprise - common)
    left = variance - gauge.of_worth * variance * weight + weight**2 * width
    new_sd[passed] = np.sqrt(np.maximum(left, 0.0))
    return Belief(new_mean, new_sd)


def promise(belief: Belief, measured: NDArray[np.bool_], gauge: Gauge, *, top: int) -> Values:
    """Return for each candidate the probability that a pass changes its order with one at the top.

    A pass would move a candidate's mean by a normal amount whose deviation is what the pass is expected to
    teach (the knowledge gradient); two candidates change places if their gap is smaller than both moves
    combined. Only pairs of candidates of which one is among the `top` best count, so what cannot enter the
    top has no promise.

    Args:
        belief: What is believed now.
        measured: Which candidates have their pass, shape `(N,)`: another would teach nothing.
        gauge: How a pass measures.
        top: How many places matter, >= 1.

    Returns:
        Probabilities in [0, ½], shape `(N,)`; 0 for measured candidates.

    Source:
        Frazier et al. 2008, the knowledge-gradient policy, https://doi.org/10.1137/070693424. Differs: the
        probability of a swap, instead of the expected gain of the best.
    """
    count = len(belief.mean)
    variance = belief.sd**2
    taught = np.abs(gauge.of_worth) * variance / np.sqrt(gauge.of_worth**2 * variance + gauge.noise**2)
    moves = np.where(measured, 0.0, taught)
    if count < 2:
        return np.zeros(count)
    first = np.argsort(-belief.mean, kind="stable")[:top]
    gaps = np.abs(belief.mean[first][:, None] - belief.mean[None, :])  # (T, N)
    both = np.hypot(moves[first][:, None], moves[None, :])
    swaps = np.where(both > 0, ndtr(-gaps / np.maximum(both, _LEAST)), 0.0)
    swaps[np.arange(len(first)), first] = 0.0  # nobody changes places with itself
    found = swaps.max(axis=0)
    found[first] = np.maximum(found[first], swaps.max(axis=1))
    promised: Values = np.where(measured | (moves <= 0), 0.0, found)
    return promised


def shared_ranks(scores: Values) -> Values:
    """Return ranks from 1, best first, shape `(N,)`; a tie shares the mean of its places.

    Examples:
        >>> shared_ranks(np.array([0.5, 0.9, 0.5])).tolist()
        [2.5, 1.0, 2.5]
    """
    ordered = np.sort(-scores.round(_SAME))
    keys = -scores.round(_SAME)
    above = np.searchsorted(ordered, keys, side="left")
    through = np.searchsorted(ordered, keys, side="right")
    ranks: Values = (above + through + 1) / 2.0
    return ranks


def best_first(scores: Values, lots: Values) -> NDArray[np.intp]:
    """Return places in order of scores, highest first; equal scores in the order of `lots`, shape `(N,)`."""
    return np.lexsort((lots, -scores.round(_SAME)))
