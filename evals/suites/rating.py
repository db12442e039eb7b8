"""The suite `rating`: what will each user give the next item, strictly after the history."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...errors import InputError
from ...records import Usage
from ..dataset import FloatArray
from ..failing import failing_in
from ..options import read_spec
from ..prepared import check_options, prepare
from ..rating_metrics import measure_ratings, rating_errors
from ..results import Cost, DataCard, Measured, Probe, Values
from ..splits import Past, Problem
from ..suite import Task
from ..system import Dependent, Doubtful, Keeping, Rater, Reading, Spending
from ..systems.raters import make_rater

_MOST_LEVELS = 20


class NoRatingsError(InputError):
    """A data set has no ratings to predict."""

    code = "no_ratings"

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        super().__init__(dataset)

    def __str__(self) -> str:
        return f"{self.dataset} has no ratings to predict; the suite `rating` needs a set whose users rate"


class Rating:
    """MAE, RMSE, accuracy and macro F1 of predicted ratings; one target a user."""

    name = "rating"
    together = False
    default_systems = ("mean", "user-mean", "item-mean", "bias")
    """What every table shows beside the system under test."""

    def check(self, task: Task) -> None:
        """Refuse an option that nobody knows.

        Raises:
            SettingsError: Says which.
        """
        check_options(task)

    def measure(self, task: Task) -> Sequence[Measured]:
        """Fit on the past and predict each test user's first rated target.

        Raises:
            NoRatingsError: Nothing is rated.
        """
        [folder] = task.data
        prepared = prepare(task, folder)
        past, problem = prepared.split.past, rated_targets(prepared.test)
        levels = levels_of(past.events.rating)
        if not len(problem.queries) or not levels:
            raise NoRatingsError(prepared.dataset.card.name)
        rater = make_rater(*read_spec(task.system), task.workspace)
        predicted, cost = _predict(rater, past, problem)
        users = past.ids_of(problem.queries.user)
        figures = measure_ratings(predicted, problem.answers.rating, levels=levels, seed=task.seed)
        of_whole = {name: figures[name] for name in ("rmse", "f1")}
        errors = rating_errors(predicted, problem.answers.rating, levels=levels)
        left_out = len(prepared.test.queries) - len(users)
        notes = [f"{left_out:,} test users gave no rating to predict"] if left_out else []
        notes += (
            [f"{rater.name}: {caveat}" for caveat in rater.caveats] if isinstance(rater, Doubtful) else []
        )
        return [
            Measured(
                system=rater.name,
                dataset=prepared.dataset.card.name,
                split=prepared.split.name,
                users=users,
                per_query=errors | _readable(rater),
                whole={name: figure.value for name, figure in of_whole.items()},
                whole_ci={name: (figure.low, figure.high) for name, figure in of_whole.items()},
                cost=cost,
                complete=rater.complete if isinstance(rater, Dependent) else True,
                notes=(*prepared.notes, *notes),
            )
        ]

    def guard(self, task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
        """Return the card of the data, and what the probes for leaks found in it."""
        [folder] = task.data
        prepared = prepare(task, folder)
        return [prepared.data], prepared.probes


class _Predicted(NamedTuple):
    """What a rater says, and what that took."""

    ratings: FloatArray
    cost: Cost


def _predict(rater: Rater, past: Past, problem: Problem) -> _Predicted:
    started = time.perf_counter()
    with failing_in(rater.name, "fit"):
        rater.fit(past)
    fitted = time.perf_counter()
    with failing_in(rater.name, "rate"):
        ratings = rater.rate(problem.queries, problem.answers.item)
    kept = rater.kept_seconds if isinstance(rater, Keeping) else 0.0
    cost = Cost(
        fit_seconds=fitted - started,
        score_seconds=time.perf_counter() - fitted + kept,
        queries=len(problem.queries),
        usage=rater.usage if isinstance(rater, Spending) else Usage(),
    )
    return _Predicted(ratings, cost)


def _readable(rater: Rater) -> dict[str, Values]:
    """Return which answers could be read, where a model was asked."""
    read = rater.readable if isinstance(rater, Reading) else None
    return {} if read is None else {"readable": read}


def rated_targets(problem: Problem) -> Problem:
    """Return the queries with a rated answer, each with its first rated answer alone."""
    rated = np.flatnonzero(~np.isnan(problem.answers.rating))
    owner = np.searchsorted(problem.answers.starts, rated, side="right") - 1
    queries, first = np.unique(owner, return_index=True)
    answers, chosen = problem.answers, rated[first]
    return Problem(
        queries=problem.queries.take(queries),
        answers=type(answers)(
            item=answers.item[chosen], rating=answers.rating[chosen], starts=np.arange(len(queries) + 1)
        ),
    )


def levels_of(ratings: FloatArray) -> list[float]:
    """Return the ratings that can be given: those seen, or 20 steps between the ends of a finer scale.

    Examples:
        >>> levels_of(np.array([5, 1, np.nan, 5], dtype=np.float32))
        [1.0, 5.0]
    """
    seen = np.unique(ratings[~np.isnan(ratings)]).astype(np.float64)
    if len(seen) > _MOST_LEVELS:
        seen[:_MOST_LEVELS] = np.linspace(float(seen[0]), float(seen[-1]), _MOST_LEVELS)
    levels: list[float] = seen[:_MOST_LEVELS].tolist()
    return levels
