"""From values of users to rows of a table: means with intervals."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..tools.statistics import intervals, numbers_of
from .results import Measured, Row


def rows_of(measured: Sequence[Measured], *, seed: int) -> tuple[Row, ...]:
    """Return the rows of what was measured, each with its interval where it has one."""
    return tuple(row for part in measured for row in _rows(part, seed))


def _rows(part: Measured, seed: int) -> Iterator[Row]:
    """Average metrics over the queries they apply to; one that applies to none has no row."""
    columns = {name: values for name, values in part.per_query.items() if not np.isnan(values).all()}
    if columns:
        matrix = np.stack([values.astype(np.float64) for values in columns.values()], axis=1)
        means, counts = np.nanmean(matrix, axis=0), np.count_nonzero(~np.isnan(matrix), axis=0)
        found = intervals(matrix, seed=seed, by=numbers_of(part.users)).tolist()
        for at, (name, (low, high)) in enumerate(zip(columns, found, strict=True)):
            yield _row(part, name, float(means[at]), (low, high), int(counts[at]), seed)
    for name, figure in part.whole.items():
        yield _row(part, name, figure, part.whole_ci.get(name), len(part.users), seed)


def _row(part: Measured, metric: str, value: float, ci: tuple[float, float] | None, n: int, seed: int) -> Row:
    return Row(
        system=part.system,
        dataset=part.dataset,
        split=part.split,
        metric=metric,
        value=value,
        ci=ci,
        n=n,
        seed=seed,
    )
