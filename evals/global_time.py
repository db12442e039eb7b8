"""Split: one moment for everybody; what users choose after it is to be foretold from what happened before."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..tools.spans import Spans, spans
from .dataset import Dataset, IntArray
from .guards import check_split
from .problems import past_of, problem_of, repeats, sample
from .splits import Problem, Split

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def global_time(
    dataset: Dataset,
    *,
    seed: int | None = None,
    validation_from: datetime | int | None = None,
    test_from: datetime | int | None = None,
    quantiles: tuple[float, float] = (0.8, 0.9),
    answers: Literal["first", "all"] = "first",
    cold: bool = False,
    users: int | None = None,
) -> Split:
    """Ask at two moments what the users who come back choose next.

    The past is everything before `validation_from`. The validation asks at that moment about what was chosen
    before `test_from`; the test asks at `test_from`, with histories up to it, about what was chosen since.

    Args:
        dataset: What to take apart; it must have times.
        seed: Draws the test users; also the seed of the past. Absent for that of the data set.
        validation_from: Moment of the validation, as a time or in microseconds since 1970. Absent: the moment
            of the publisher's own split, or the first of `quantiles` if it has none.
        test_from: Moment of the test, likewise, or the second.
        quantiles: Shares of the events before each moment.
        answers: Each user's first new item after the moment, or all of them.
        cold: Whether users without any event before the moment are asked too.
        users: Ask only so many test users, drawn at random; absent for all. The validation users are all.

    Raises:
        SettingsError: The set has no times, or the moments are not in order.
    """
    if dataset.card.clock != "timestamps":
        raise SettingsError("split", f"global-time needs times, and {dataset.card.name!r} has only an order")
    seed = dataset.seed if seed is None else seed
    default = dataset.boundaries or _at_quantiles(dataset.events.at, quantiles)
    first = default[0] if validation_from is None else _microseconds(validation_from)
    second = default[1] if test_from is None else _microseconds(test_from)
    if first >= second:
        raise SettingsError("split", f"validation_from={first} is not before test_from={second}")
    notes: list[str] = []
    repeated = repeats(dataset.events)

    def problem(kind: str, since: int, until: int | None) -> Problem:
        return _problem(
            dataset, repeated, since, until, every=answers == "all", cold=cold, kind=kind, notes=notes
        )

    split = Split(
        name="global-time" + ("-all" if answers == "all" else "") + ("-cold" if cold else ""),
        past=past_of(dataset, dataset.events.at < first, as_of=first, seed=seed),
        validation=problem("validation", first, second),
        test=sample(problem("test", second, None), users, seed=seed),
        notes=tuple(notes),
        rebuild=partial(
            global_time, seed=seed, validation_from=first, test_from=second, answers=answers, cold=cold
        ),
    )
    check_split(split)
    return split


def _problem(
    dataset: Dataset,
    repeated: NDArray[np.bool_],
    since: int,
    until: int | None,
    *,
    every: bool,
    cold: bool,
    kind: str,
    notes: list[str],
) -> Problem:
    events, starts = dataset.events, dataset.starts
    later = events.at >= since
    before = starts[:-1] + np.bincount(events.user[~later], minlength=len(starts) - 1)
    inside = later if until is None else later & (events.at < until)
    new = np.flatnonzero(inside & ~repeated)
    known = before > starts[:-1]
    users_inside = np.unique(events.user[inside])
    asked_users = np.unique(events.user[new])
    if len(users_inside) > len(asked_users):
        notes.append(
            f"{len(users_inside) - len(asked_users):,} {kind} users left out: they chose nothing new"
        )
    if not cold and (unknown := int((~known[asked_users]).sum())):
        notes.append(f"{unknown:,} {kind} users left out: they did nothing before the moment")
    rows = new if cold else new[known[events.user[new]]]
    asked, first = np.unique(events.user[rows], return_index=True)
    answered = (
        Spans(rows, np.append(first, len(rows))) if every else Spans(rows[first], np.arange(len(first) + 1))
    )
    return problem_of(
        dataset,
        user=asked,
        as_of=np.full(len(asked), since, dtype=np.int64),
        history=spans(starts[asked], before[asked]),
        answers=answered,
    )


def _at_quantiles(at: IntArray, quantiles: tuple[float, float]) -> tuple[int, int]:
    low, high = np.quantile(at, quantiles, method="higher") if len(at) else (0, 1)
    return int(low), int(high)


def _microseconds(moment: datetime | int) -> int:
    if isinstance(moment, int):
        return moment
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (aware - _EPOCH) // timedelta(microseconds=1)
