"""How passes measure worth: read off logged passes whose outcome is known, beside what the scorer said by itself.

A pass and the scorer look at much the same, so a pass that repeats the scorer must not count as news: its fit is
explained by worth *and* by the scorer's own guess on users it has not seen.
"""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from ...tools.belief import UNTAUGHT, Gauge, Values
from .examples import Table

_LEAST_NOISE = 1e-3
_LEAST_CERTAINTY = 2.0
"""A slope that is not at least so many standard errors above zero is none: passes then measure nothing."""


class Gauged(TypedDict):
    """One gauge and what it rests on."""

    passes: int
    slope: float | None
    """How much of the worth shows in the fit; absent if too few passes were logged."""

    standard_error: float | None
    noise: float
    """In units of the fit."""

    taught: bool


def gauge_passes(table: Table, guess: Values, *, fewest: int) -> tuple[dict[str, Gauge], dict[str, Gauged]]:
    """Read a gauge off each kind of fit.

    Args:
        table: Examples, with and without passes.
        guess: The scorer's mean for each row, by a scorer that has not seen its user, shape `(R,)`.
        fewest: Fewer passes than this leave the untaught gauge.

    Returns:
        Gauges by kind, and what they rest on.
    """
    gauges: dict[str, Gauge] = {}
    said: dict[str, Gauged] = {}
    for kind, fits in (("judged", table.judged), ("unjudged", table.unjudged)):
        rows = ~np.isnan(fits)
        if rows.sum() < fewest or np.ptp(table.worth[rows]) == 0:
            gauges[kind] = UNTAUGHT[kind]
            said[kind] = {
                "passes": int(rows.sum()),
                "slope": None,
                "standard_error": None,
                "noise": UNTAUGHT[kind].noise,
                "taught": False,
            }
            continue
        gauges[kind], said[kind] = _gauge(fits[rows], table.worth[rows], guess[rows], table.lists[rows])
    return gauges, said


def _gauge(fits: Values, worth: Values, guess: Values, lists: NDArray[np.intp]) -> tuple[Gauge, Gauged]:
    """Regress fit on worth and guess by least squares; residuals within a list are noise, between them offsets."""
    design = np.stack([np.ones_like(worth), worth, guess], axis=1)
    weights, *_ = np.linalg.lstsq(design, fits, rcond=None)
    left = fits - design @ weights
    variance = float((left**2).sum() / max(1, len(fits) - design.shape[1]))
    errors = np.sqrt(np.maximum(np.diag(variance * np.linalg.pinv(design.T @ design)), 0.0))
    between = _between_lists(left, lists)
    noise = float(np.sqrt(max(variance - between, _LEAST_NOISE**2)))
    slope, error = float(weights[1]), float(errors[1])
    gauge = Gauge(
        offset=float(weights[0]),
        of_worth=slope if slope >= _LEAST_CERTAINTY * error else 0.0,
        of_scorer=float(weights[2]),
        noise=max(noise, _LEAST_NOISE),
        offset_sd=float(np.sqrt(between + errors[0] ** 2)),
    )
    return gauge, {
        "passes": len(fits),
        "slope": slope,
        "standard_error": error,
        "noise": gauge.noise,
        "taught": True,
    }


def _between_lists(left: Values, lists: NDArray[np.intp]) -> float:
    """Return the variance of what residuals of one list have in common, by the method of moments, >= 0."""
    _, places, counts = np.unique(lists, return_inverse=True, return_counts=True)
    sums = np.bincount(places, weights=left)
    squares = np.bincount(places, weights=left**2)
    products = float((sums**2 - squares).sum())
    pairs = float((counts * (counts - 1)).sum())
    return max(0.0, products / pairs) if pairs else 0.0
