"""Look for leaks in a split: each probe is a measurement that a leak would raise above its limit.

A run whose probes do not all pass is invalid, and its report says so.
"""

import numpy as np
from numpy.typing import NDArray

from ..tools.matrices import Matrix
from ..tools.spans import owners
from .canary import canary
from .chance import upper_share
from .dataset import Dataset, IntArray
from .guards import future_of
from .results import Probe
from .splits import Problem, Split
from .target_texts import near_duplicate_target, target_in_history

TOP = 10
"""Numbers behind the largest one that the id-order probe recommends."""

_RENUMBERINGS = 200
_DEVIATIONS = 4.0
_ROUNDING = 1e-9


def run_probes(dataset: Dataset, split: Split) -> tuple[Probe, ...]:
    """Run every probe that needs no system.

    Args:
        dataset: What was split.
        split: The split; one made by hand, without `rebuild`, has no canary.
    """
    found = [id_order(split), near_duplicate_target(split), target_in_history(split), future(split)]
    if split.rebuild is not None:
        found.append(canary(dataset, split))
    return tuple(found)


def id_order(split: Split, *, numbers: IntArray | None = None) -> Probe:
    """Recommend the numbers just above the largest in the history.

    Numbers given in the order of first appearance tell what comes next: recall@10 is then far above chance.
    Chance is measured with 200 random numberings, because popular items make it uneven: the limit is four
    standard deviations above their mean, and at least the highest of them and what one draw in ten thousand of
    as many independent queries would exceed.

    Args:
        split: Its test is probed.
        numbers: Other numbers for the items, as a model would see them; absent for those of the split.
    """
    problem, n_items = split.test, split.past.n_items
    own = np.arange(n_items) if numbers is None else numbers
    value = _recall_above(problem, own)
    rng = np.random.default_rng(split.past.seed)
    chance = [_recall_above(problem, rng.permutation(n_items)) for _ in range(_RENUMBERINGS)]
    mean, asked = float(np.mean(chance)), max(len(problem.queries), 1)
    uneven = mean + _DEVIATIONS * float(np.std(chance))
    independent = upper_share(asked, mean, level=0.9999)
    limit = max(uneven, independent, *chance) + _ROUNDING
    return Probe(
        name="id-order",
        dataset=split.past.card.name,
        passed=value <= limit,
        value=value,
        limit=limit,
        detail=f"recall@{TOP} of the items numbered just above the largest number in the history",
    )


def _recall_above(problem: Problem, numbers: IntArray) -> float:
    """Return recall of the `TOP` numbers above the largest one of each history."""
    starts, answers = problem.queries.starts, problem.answers
    asked = np.flatnonzero(np.diff(starts) > 0)
    if not len(asked):
        return 0.0
    largest = np.full(len(problem.queries), -1)
    largest[asked] = np.maximum.reduceat(numbers[problem.queries.history.item], starts[asked])
    counts = np.diff(answers.starts)
    query = owners(answers.starts)
    ahead = numbers[answers.item] - largest[query]
    hits = np.bincount(query[(ahead > 0) & (ahead <= TOP)], minlength=len(counts))
    return float((hits / counts)[asked].mean())


def future(split: Split) -> Probe:
    """Count queries whose user has an event at or after the query's moment in the past or in the history.

    A split of reviews at random puts much of each user's later life into the past.
    """
    leaking = [
        _asked_late(split.past.events.user, split.past.events.at, problem)
        | _history_late(problem)
        | _after_past(split, problem)
        for problem in (split.validation, split.test)
    ]
    return _future_probe(np.concatenate(leaking), split.past.card.name, "past or history")


def future_in(user: IntArray, at: IntArray, problem: Problem, *, dataset: str, what: str) -> Probe:
    """Count queries whose user has an edge of a graph, or a row of an index, at or after the query's moment.

    Args:
        user: User of each edge.
        at: Time of each edge.
        problem: What is asked.
        dataset: Name on the card.
        what: What the edges belong to, for the report.
    """
    return _future_probe(_asked_late(user, at, problem), dataset, what)


def answers_in_graph(edges: Matrix, problem: Problem, *, dataset: str) -> Probe:
    """Count queries whose user is joined to an answer by an edge of a graph: it was built from the answers too.

    Args:
        edges: Who is joined to what, shape `(users, items)`.
        problem: What is asked; no answer was had before.
        dataset: Name on the card.
    """
    query = owners(problem.answers.starts)
    known = np.asarray(edges[problem.queries.user[query], problem.answers.item]).ravel() != 0
    leaking = np.bincount(query[known], minlength=len(problem.queries)) > 0
    value = float(leaking.mean()) if len(leaking) else 0.0
    return Probe(
        name="answers-in-graph",
        dataset=dataset,
        passed=value == 0.0,
        value=value,
        limit=0.0,
        detail="share of queries whose user has an edge to the answer",
    )


def _future_probe(leaking: NDArray[np.bool_], dataset: str, what: str) -> Probe:
    value = float(leaking.mean()) if len(leaking) else 0.0
    return Probe(
        name="future",
        dataset=dataset,
        passed=value == 0.0,
        value=value,
        limit=0.0,
        detail=f"share of queries with an event of their user at or after `as_of` in the {what}",
    )


def _asked_late(user: IntArray, at: IntArray, problem: Problem) -> NDArray[np.bool_]:
    return np.isin(problem.queries.user, user[future_of(user, at, problem.queries)])


def _history_late(problem: Problem) -> NDArray[np.bool_]:
    queries = problem.queries
    query = owners(queries.starts)
    late = queries.history.at >= queries.as_of[query]
    return np.bincount(query[late], minlength=len(queries)) > 0


def _after_past(split: Split, problem: Problem) -> NDArray[np.bool_]:
    """Mark every query if the past goes beyond its own end."""
    end = split.past.as_of
    late = end is not None and bool((split.past.events.at >= end).any())
    return np.full(len(problem.queries), late)
