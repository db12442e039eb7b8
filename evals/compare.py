"""Compares two results user by user: paired randomisation tests, corrected for how many there are."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..records import Record
from ..tools.statistics import SIGN_FLIPS, holm, numbers_of, paired_test
from .result_files import PerQuery, load_per_query, load_result, result_files

USUAL = ("ndcg@10", "recall@10", "recall@50", "mrr@10", "accuracy", "mae", "rmse")
"""Metrics compared where none are named: few, because the correction pays for each."""


class NothingToCompareError(InputError):
    """Two results share no user, or no system could be chosen."""

    code = "nothing_to_compare"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return self.reason


class Difference(Record):
    """What separates two systems in one metric on one data set."""

    dataset: str
    split: str
    metric: str

    a: str
    """First system, the one whose gain is told."""

    b: str
    """Second system."""

    value_a: float
    value_b: float
    """Means over the shared queries."""

    difference: float
    """`value_a - value_b`."""

    ci: tuple[float, float]
    """95 % interval of the difference, over users."""

    p: float
    """Two-sided p-value of the paired randomisation test."""

    p_holm: float
    """The same, corrected over every row of the comparison (Holm)."""

    n: int
    """Queries both answered."""

    valid: bool
    """False if a probe of either run failed."""


class _Side(NamedTuple):
    """One system's values on one data set."""

    path: Path
    values: PerQuery
    place: tuple[str, ...]
    """Suite, data set, split, seed, ties and options, all of which may change what is asked, with the hashes of the
    data: values are paired only within one."""

    valid: bool

    spec: str
    """What was typed for the run; one spec may stand for several systems."""


class _Pair(NamedTuple):
    """Two systems on the same questions."""

    a: _Side
    b: _Side


def compare(
    a: str, b: str, *, metrics: Sequence[str] = (), seed: int = 0, resamples: int = SIGN_FLIPS
) -> tuple[Difference, ...]:
    """Compare systems of `a` with systems of `b`, on the data sets they share.

    Where both hold a system of the same name (two runs of one thing), each is compared with its namesake;
    else every system of one with every system of the other.

    Args:
        a: A result file, or a folder of them; `#SYSTEM` behind it keeps one system, by its name in tables or, where
            none has that name, by the spec that was typed for it.
        b: The same.
        metrics: Which metrics; empty for those of `USUAL` that both have, else for all but those of buckets.
        seed: For the random swaps.
        resamples: How many of them.

    Raises:
        UnknownFormatError: A file is missing or no result.
        NothingToCompareError: There is nothing in common.
    """
    found = [
        difference
        for pair in _pairs(_read(a), _read(b))
        for difference in _differences(pair, metrics, seed=seed, resamples=resamples)
    ]
    if not found:
        raise NothingToCompareError(
            f"{a!r} and {b!r} share no data set, split, seed and metric of two systems; see the rows of each with "
            "`limner eval report`"
        )
    corrected = holm([difference.p for difference in found])
    return tuple(
        difference.model_copy(update={"p_holm": float(p)})
        for difference, p in zip(found, corrected, strict=True)
    )


def _read(reference: str) -> list[_Side]:
    source, _, system = reference.partition("#")
    sides: list[_Side] = []
    for path in result_files(Path(source)):
        result = load_result(path)
        content = sorted(data.content for data in result.data)
        asked = {(row.system, row.dataset): (row.split, str(row.seed)) for row in result.rows}
        for values in load_per_query(path):
            how = asked.get((values.system, values.dataset))
            if how is not None:
                place = (result.suite, values.dataset, *how, result.ties, result.options, *content)
                spec = str(result.settings.get("system", ""))
                sides.append(_Side(path.resolve(), values, place, result.valid, spec))
    if not sides:
        raise NothingToCompareError(f"{reference!r} holds no values of users")
    named = [side for side in sides if system in ("", side.values.system)]
    chosen = named or [side for side in sides if system == side.spec]
    if not chosen:
        names = ", ".join(sorted({repr(side.values.system) for side in sides}))
        raise NothingToCompareError(f"{reference!r} names no system of {source!r}, which holds {names}")
    return chosen


def _pairs(first: Sequence[_Side], second: Sequence[_Side]) -> list[_Pair]:
    pairs: dict[frozenset[tuple[Path, str, str]], _Pair] = {}
    for a in first:
        for b in second:
            ends = frozenset((side.path, side.values.system, side.values.dataset) for side in (a, b))
            if a.place == b.place and len(ends) == 2:
                pairs.setdefault(ends, _Pair(a, b))
    namesakes = [pair for pair in pairs.values() if pair.a.values.system == pair.b.values.system]
    return namesakes or list(pairs.values())


def _differences(pair: _Pair, metrics: Sequence[str], *, seed: int, resamples: int) -> Iterator[Difference]:
    ours, theirs = pair.a.values, pair.b.values
    rows_a, rows_b = _shared(ours, theirs)
    users = numbers_of(ours.users[rows_a].tolist())
    for name in _chosen([name for name in ours.values if name in theirs.values], metrics):
        a, b = ours.values[name][rows_a], theirs.values[name][rows_b]
        both = ~(np.isnan(a) | np.isnan(b))
        if not both.any():
            continue
        a, b = a[both], b[both]
        test = paired_test(a, b, seed=seed, by=users[both], resamples=resamples)
        yield Difference(
            dataset=ours.dataset,
            split=pair.a.place[2],
            metric=name,
            a=ours.system,
            b=theirs.system,
            value_a=float(a.mean(dtype=np.float64)),
            value_b=float(b.mean(dtype=np.float64)),
            difference=float(test.difference),
            ci=(float(test.low), float(test.high)),
            p=float(test.p_value),
            p_holm=1.0,
            n=len(a),
            valid=pair.a.valid and pair.b.valid,
        )


def _chosen(shared: Sequence[str], metrics: Sequence[str]) -> list[str]:
    if metrics:
        return [name for name in shared if name in metrics]
    usual = [name for metric in USUAL for name in _forms(metric, shared)]
    return usual or [name for name in shared if " | " not in name]


def _forms(metric: str, shared: Sequence[str]) -> list[str]:
    """Return a metric itself; where it was measured among few candidates only, all of those.

    Examples:
        >>> _forms("ndcg@10", ["ndcg@10 sampled-9-hard", "ndcg@10 sampled-9-hard | cold-users"])
        ['ndcg@10 sampled-9-hard']
        >>> _forms("ndcg@10", ["ndcg@10", "ndcg@10 sampled-99"])
        ['ndcg@10']
    """
    if metric in shared:
        return [metric]
    few = re.compile(rf"{re.escape(metric)} (?:sampled|top)-\d[^|]*")
    return [name for name in shared if few.fullmatch(name)]


def _shared(a: PerQuery, b: PerQuery) -> tuple[list[int], list[int]]:
    """Return the rows of the queries both answered; a user's queries are paired in their order."""
    places = _places(b)
    pairs = [(row, places[key]) for key, row in _places(a).items() if key in places]
    return [row for row, _ in pairs], [row for _, row in pairs]


def _places(values: PerQuery) -> Mapping[tuple[str, int], int]:
    """Return the row of each user's first, second… query."""
    times: defaultdict[str, int] = defaultdict(int)
    found: dict[tuple[str, int], int] = {}
    for row, user in enumerate(values.users.tolist()):
        found[user, times[user]] = row
        times[user] += 1
    return found
