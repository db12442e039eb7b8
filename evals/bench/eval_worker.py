"""One measurement of the bench `eval`: `python -m limner.evals.bench.eval_worker STEP '{"…": …}'`.

A step prints one JSON object. The systems are the plainest there are, so that what is measured is the harness.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...tools.matrices import Matrix, sparse
from ..dataset import FloatArray, IntArray
from ..metrics import CUTOFFS, measure
from ..places import Places, place
from ..ranking import BLOCK, Timed, Trial, run_system
from ..rows import rows_of
from ..splits import Past, Queries
from .eval_world import World, invent_world
from .memory import peak_mb

Given = Mapping[str, Any]


class _Bare(Protocol):
    """A system that is one product of two matrices."""

    name: str

    def fit(self, past: Past) -> None: ...

    def score(self, queries: Queries) -> FloatArray: ...

    def multiply(self, rows: slice) -> object:
        """Return the product for some users and nothing else."""
        ...


class Factors:
    """Factors of users times factors of items."""

    name = "dense product"

    def __init__(self, world: World) -> None:
        self._users, self._items = world.users, world.items

    def fit(self, past: Past) -> None:
        """Nothing is left to learn."""

    def score(self, queries: Queries) -> FloatArray:
        """Score every item."""
        return self._users[queries.user] @ self._items.T

    def multiply(self, rows: slice) -> object:
        """Return the product for some users and nothing else."""
        return self._users[rows] @ self._items.T


class Neighbours:
    """Histories times the counts of pairs of items in histories."""

    name = "sparse product"

    def __init__(self, world: World) -> None:
        self._all = _as_matrix(world.problem.queries, world.past.n_items)

    def fit(self, past: Past) -> None:
        """Count pairs."""
        self._pairs: Matrix = (self._all.T @ self._all).tocsr()

    def score(self, queries: Queries) -> FloatArray:
        """Score every item."""
        scores: FloatArray = (_as_matrix(queries, self._all.shape[1]) @ self._pairs).toarray()
        return scores

    def multiply(self, rows: slice) -> object:
        """Return the product for some users and nothing else."""
        return self._all[rows] @ self._pairs


SYSTEMS: Mapping[str, Callable[[World], _Bare]] = {"dense": Factors, "sparse": Neighbours}


def rank(given: Given) -> dict[str, Any]:
    """Time the bare product, scoring, scoring with placing, and everything up to the rows of a result."""
    world = invent_world(given["users"], given["items"], given["seed"])
    system = SYSTEMS[given["kind"]](world)
    system.fit(world.past)
    found: dict[str, list[float]] = {"bare": [], "score": [], "place": [], "whole": []}
    rows = 0
    for _ in range(given["repeats"]):
        with _Timing(found["bare"]):
            for block in _blocks(given["users"]):
                system.multiply(block)
        with _Timing(found["score"]):
            for _scores in _scored(system, world):
                pass
        with _Timing(found["place"]):
            _placed(system, world)
        with _Timing(found["whole"]):
            rows = _measure_all(system, world, given["seed"])
    return {**found, "rows": rows, "peak_mb": peak_mb()}


class _Timing:
    """Appends the seconds of a block of code to a list."""

    def __init__(self, to: list[float]) -> None:
        self._to = to

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._to.append(time.perf_counter() - self._started)


def _blocks(users: int) -> Iterator[slice]:
    for first in range(0, users, BLOCK):
        yield slice(first, min(first + BLOCK, users))


def _timer(system: _Bare) -> Timed:
    return Timed(system=system, notice=lambda _: None)


def _scored(system: _Bare, world: World) -> Iterator[tuple[int, FloatArray]]:
    return _timer(system).blocks(world.problem, world.past.n_items)


def _placed(system: _Bare, world: World) -> Places:
    return Places.concatenate(
        [place(scores, world.problem, first=first) for first, scores in _scored(system, world)]
    )


def _measure_all(system: _Bare, world: World, seed: int) -> int:
    """Return how many numbers with intervals came out."""
    trial = Trial(
        past=world.past,
        problem=world.problem,
        dataset="invented",
        split="leave-one-out",
        ties="average",
        seed=seed,
    )
    return len(rows_of([run_system(_timer(system), trial)], seed=seed))


def _as_matrix(queries: Queries, n_items: int) -> Matrix:
    ones = np.ones(len(queries.history), dtype=np.float32)
    item, starts = queries.history.item.astype(np.int32), queries.starts.astype(np.int32)
    return sparse.csr_array((ones, item, starts), shape=(len(queries), n_items))


def metrics(given: Given) -> dict[str, Any]:
    """Time Limner's metrics and ranx's on one run, and write that run for other libraries.

    Limner counts places in the scores of the whole catalogue. The others need lists of the best items; making them
    is timed too, and the lists are handed over in the library's own form, which is not.
    """
    world = invent_world(given["users"], given["items"], given["seed"])
    problem, answers = world.problem, world.problem.answers.item
    found: dict[str, list[float]] = {"measure": [], "place": [], "list": []}
    lists: list[IntArray] = []
    means: dict[str, float] = {}
    for _ in range(given["repeats"]):
        listing: list[float] = []
        placing: list[float] = []
        parts: list[Places] = []
        lists.clear()
        for first, scores in _scored(Factors(world), world):
            with _Timing(placing):
                parts.append(place(scores, problem, first=first))
            with _Timing(listing):
                lists.append(_best(scores, problem.queries, first))
        with _Timing(found["measure"]):
            values = measure(Places.concatenate(parts))
        means = {name: float(column.mean()) for name, column in values.items()}
        found["place"].append(sum(placing) + found["measure"][-1])
        found["list"].append(sum(listing))
    best = np.concatenate(lists)
    np.savez(Path(given["run"]), lists=best, answers=answers)
    ranx = _ask_ranx(best.tolist(), answers.tolist(), given["repeats"])
    return {**found, "means": means, "ranx": ranx}


def _best(scores: FloatArray, queries: Queries, first: int) -> IntArray:
    """List the best items in the usual way: whichever of two tied ones comes first; changes the scores."""
    k, starts = max(CUTOFFS), queries.starts[first : first + len(scores) + 1]
    rows = np.repeat(np.arange(len(scores)), np.diff(starts))
    scores[rows, queries.history.item[starts[0] : starts[-1]]] = -np.inf
    best = np.argpartition(scores, scores.shape[1] - k, axis=1)[:, -k:]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
    return np.take_along_axis(best, order, axis=1)


RANX_NAMES = {"recall": "recall", "ndcg": "ndcg", "mrr": "mrr", "hit": "hit_rate"}


def _ask_ranx(lists: list[list[int]], answers: list[int], repeats: int) -> dict[str, Any] | None:
    """Time ranx; absent where it is not installed."""
    if find_spec("ranx") is None:
        return None
    ranx: Any = import_module("ranx")
    names = {f"{ours}@{k}": f"{theirs}@{k}" for ours, theirs in RANX_NAMES.items() for k in CUTOFFS}
    qrels = {f"{query:06}": {str(answer): 1} for query, answer in enumerate(answers)}
    runs = {
        f"{query:06}": {str(item): float(-place) for place, item in enumerate(items)}
        for query, items in enumerate(lists)
    }
    right, run = ranx.Qrels(qrels), ranx.Run(runs)
    seconds: list[float] = []
    found: Mapping[str, float] = {}
    for _ in range(repeats + 1):
        with _Timing(seconds):
            found = ranx.evaluate(right, run, list(names.values()), save_results_in_run=False)
    means = {ours: float(found[theirs]) for ours, theirs in names.items()}
    return {"seconds": seconds[1:], "means": means}  # the first compiles


STEPS: Mapping[str, Callable[[Given], dict[str, Any]]] = {"rank": rank, "metrics": metrics}


def main() -> None:
    """Run the step named by the first argument with the JSON object of the second."""
    step, given = sys.argv[1:]
    print(json.dumps(STEPS[step](json.loads(given))), flush=True)


if __name__ == "__main__":
    main()
