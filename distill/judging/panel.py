"""Critic, judges and meaning checks read the same portraits; every number is kept by user."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...tools.statistics import Values
from .grading import Grader, Reading
from .judges import Measure
from .meaning import across_users, word_counts
from .sitters import Sitter

TOTAL = "critic/total"
"""What training optimises, as graded on users it does not train on."""

_UNREAD_IS_ZERO = ("ground",)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What a panel found."""

    users: tuple[str, ...]
    """Whose portraits, in order."""

    columns: Mapping[str, Values]
    """Name to one number a user, the mean over that user's portraits, shape `(U,)`; NaN where it was not measured."""

    together: Mapping[str, float]
    """Numbers that only all portraits together have."""

    readings: tuple[tuple[Reading, ...], ...]
    """The portraits, by user."""

    @property
    def means(self) -> dict[str, float]:
        """Mean over users, by name; numbers nobody has are left out."""
        found = {name: values[~np.isnan(values)] for name, values in self.columns.items()}
        return {name: float(values.mean()) for name, values in found.items() if len(values)} | dict(
            self.together
        )


class Panel:
    """Reads portraits.

    Args:
        grader: The critic.
        measures: Judges and meaning checks.
    """

    def __init__(self, grader: Grader, measures: Sequence[Measure]) -> None:
        self.grader, self.measures = grader, tuple(measures)

    async def read(
        self,
        sitters: Sequence[Sitter],
        completions: Sequence[Sequence[str]],
        done: Callable[[], None] | None = None,
    ) -> Sheet:
        """Grade and measure portraits.

        Args:
            sitters: Who.
            completions: The portraits of each, at least one, as they were written.
            done: Called after each sitter.
        """
        rows: list[Mapping[str, float]] = []
        readings: list[tuple[Reading, ...]] = []
        for sitter, written in zip(sitters, completions, strict=True):
            graded = tuple(await self.grader.grade(sitter.row, written))
            numbers = [{**_terms(reading), **word_counts(reading)} for reading in graded]
            for measure in self.measures:
                values = await measure.measure(sitter, graded)
                for each, value in zip(numbers, values, strict=True):
                    each[measure.name] = value
            rows.append(_means(numbers))
            readings.append(graded)
            if done:
                done()
        return Sheet(
            users=tuple(sitter.row.user_id for sitter in sitters),
            columns=_columns(rows),
            together=across_users([each.text for graded in readings for each in graded]),
            readings=tuple(readings),
        )


def _terms(reading: Reading) -> dict[str, float]:
    """Return the critic's terms; an unreadable portrait has no supported claim, and no place for the others."""
    unread = {} if reading.facets else dict.fromkeys(_UNREAD_IS_ZERO, 0.0)
    terms = {**unread, **reading.rewards}
    terms.pop("malformed", None)
    return {f"critic/{name}": value for name, value in terms.items()}


def _means(numbers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average by name over the portraits that have the number."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for each in numbers:
        for name, value in each.items():
            if not np.isnan(value):
                found[name].append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, Values]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}
