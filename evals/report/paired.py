"""Every condition of a suite against the whole history, question by question."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...tools.statistics import PairedTest, holm, numbers_of, paired_test
from ..result_files import PerQuery
from ..results import Values

HISTORY = "history"
"""What conditions are held against."""


class Against(NamedTuple):
    """One condition and the whole history, on the same questions."""

    system: str

    part: str
    """Which questions: empty for all, else the name of their part."""

    test: PairedTest
    """Of the condition less the history."""

    p_holm: float
    """Corrected over everything that is compared in one table."""


def against_history(values: Sequence[PerQuery], metric: str, parts: Sequence[str]) -> list[Against]:
    """Compare each condition with the history, over all questions and over each part of them.

    Args:
        values: Of every condition; the last of a name counts.
        metric: What is compared.
        parts: Names of parts of the questions, as they end metrics.
    """
    by_name = {each.system: each for each in values}
    history = by_name.pop(HISTORY, None)
    if history is None:
        return []
    found = [
        (name, part, test)
        for name, each in by_name.items()
        for part in ("", *parts)
        if (test := _test(each, history, f"{metric} | {part}" if part else metric)) is not None
    ]
    corrected = holm([test.p_value for _, _, test in found])
    return [Against(*each, p_holm=float(p)) for each, p in zip(found, corrected, strict=True)]


def _test(one: PerQuery, two: PerQuery, metric: str) -> PairedTest | None:
    if metric not in one.values or metric not in two.values:
        return None
    there = _by_user(two, metric)
    pairs = [(user, value, there[user]) for user, value in _by_user(one, metric).items() if user in there]
    if not pairs:
        return None
    users = numbers_of([user for user, _, _ in pairs])
    return paired_test([value for _, value, _ in pairs], [value for _, _, value in pairs], seed=0, by=users)


def _by_user(each: PerQuery, metric: str) -> Mapping[str, float]:
    return dict(_measured(each.users.tolist(), each.values[metric]))


def _measured(users: Sequence[str], column: Values) -> Iterator[tuple[str, float]]:
    for user, value in zip(users, column.tolist(), strict=True):
        if not np.isnan(value):
            yield user, value
