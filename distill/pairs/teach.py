"""Teach a scorer of pairs: choose a learner on unseen users, fit its uncertainty, gauge the passes, report."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, TooFewExamplesError
from ...tools.belief import Belief
from ...tools.cross_scorer import CrossScorer, untaught_scorer
from .examples import Table
from .gauging import gauge_passes
from .judging import Verdict, judge
from .learners import LEARNERS, Learner
from .settings import ScorerSettings

DEFAULTS = ScorerSettings()


class Taught(NamedTuple):
    """A scorer and how good it is on users that nothing was read off."""

    scorer: CrossScorer
    report: dict[str, Any]
    """JSON: `untaught`, `constant` and `taught` are verdicts on the held-back users; `folds` those of each learner."""


class _Trial(NamedTuple):
    """A learner on users it has not seen."""

    belief: Belief
    verdict: Verdict


def teach_scorer(table: Table, *, encoder: str, seed: int, settings: ScorerSettings = DEFAULTS) -> Taught:
    """Teach a scorer from examples.

    A share of the users is held back and only reported on. Among the others every learner predicts each user from
    the rest; the best by `better_learner` is fitted to all of them, its standard deviations are stretched so that
    those predictions missed by as much as they said, and gauges are read off them. Moments with passes serve the
    gauges alone if the others have users enough: another share of their pairs was chosen, and notes that passes left
    would be taken for it.

    Args:
        table: Examples.
        encoder: Encoder and space whose vectors the features come from.
        seed: Seed of the split, the folds and the trees.
        settings: How.

    Raises:
        TooFewExamplesError: Too few users have an outcome.
        InputError: All outcomes are alike.
        MissingExtraError: scikit-learn is not installed.
    """
    if table.n_users < settings.fewest_users:
        raise TooFewExamplesError(table.n_users, settings.fewest_users)
    part = _parts(table, seed)
    held = part < settings.held
    known, unseen = table.take(~held), table.take(held)
    own = _without_passes(known, settings.fewest_users)
    unseen = unseen.take(_without_passes(unseen, 1))
    if np.ptp(known.worth[own]) == 0:
        raise InputError(
            "every pair with a known outcome turned out alike, so nothing can be told apart; add users, or items "
            "that somebody did not choose"
        )
    folds = np.floor((part[~held] - settings.held) / (1 - settings.held) * settings.folds).astype(int)
    trials = {name: _try(learner, known, own, folds, seed, settings) for name, learner in LEARNERS.items()}
    best = better_learner({name: trial.verdict for name, trial in trials.items()})
    belief = trials[best].belief
    stretch = float(np.sqrt(np.mean(((known.worth - belief.mean) / belief.sd)[own] ** 2)))
    gauges, gauged = gauge_passes(known, belief.mean, fewest=settings.fewest_passes)
    fitted = LEARNERS[best](known.features[own], known.worth[own], seed=seed, settings=settings)
    scorer = replace(fitted, stretch=stretch, encoder=encoder, gauges=gauges)
    report: dict[str, Any] = {
        "learner": best,
        "seed": seed,
        "users": known.n_users,
        "examples": len(known),
        "passes": int((~np.isnan(known.unjudged)).sum()),
        "folds": {name: trial.verdict for name, trial in trials.items()},
        "stretch": stretch,
        "gauges": gauged,
        "constant": judge(unseen, _constant(known.take(own), len(unseen))),
        "untaught": judge(unseen, untaught_scorer().score(unseen.features)),
        "taught": judge(unseen, scorer.score(unseen.features)),
    }
    return Taught(replace(scorer, taught=report), report)


def better_learner(verdicts: Mapping[str, Verdict]) -> str:
    """Return the name of the learner that puts the chosen items highest; without lists, that with the lower error.

    Where one item in ten is chosen, errors hardly differ between learners that order the ten quite differently.
    """
    return min(verdicts, key=lambda name: (-(verdicts[name]["ndcg"] or 0.0), verdicts[name]["rmse"]))


def _parts(table: Table, seed: int) -> NDArray[np.float64]:
    """Give every user a place in [0, 1), one a row: users are spread evenly, in a seeded order."""
    users = np.unique(table.users)
    places = np.random.default_rng(seed).permutation(len(users)) / len(users)
    found: NDArray[np.float64] = places[np.searchsorted(users, table.users)]
    return found


def _without_passes(table: Table, fewest: int) -> NDArray[np.bool_]:
    """Return which rows nobody wrote a pass for; all rows if so few users have any."""
    bare = np.isnan(table.unjudged)
    return bare if table.take(bare).n_users >= fewest else np.ones(len(table), dtype=np.bool_)


def _try(
    learner: Learner,
    table: Table,
    own: NDArray[np.bool_],
    folds: NDArray[np.int_],
    seed: int,
    settings: ScorerSettings,
) -> _Trial:
    """Predict the users of each fold from the scorer's own rows of the others, and judge those rows."""
    belief = Belief(np.zeros(len(table)), np.ones(len(table)))
    for fold in np.unique(folds):
        away = folds == fold
        rest = own & ~away
        scorer = learner(table.features[rest], table.worth[rest], seed=seed, settings=settings)
        told = scorer.score(table.features[away])
        belief.mean[away], belief.sd[away] = told.mean, told.sd
    return _Trial(belief, judge(table.take(own), Belief(belief.mean[own], belief.sd[own])))


def _constant(table: Table, count: int) -> Belief:
    """Believe the same of everything: what a scorer must beat."""
    spread = max(float(table.worth.std()), 1e-6)
    return Belief(np.full(count, table.worth.mean()), np.full(count, spread))
