"""One measurement of the bench `groups`: `python -m limner.evals.bench.groups_worker STEP '{"…": …}'`.

A step works on invented users and prints one JSON object. Each runs in a process of its own, so that its peak of
memory is its own.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from ...tools.grouping.group_fitting import GroupPlan, fit_groups
from ...tools.grouping.grouping import group_items, primary
from ...tools.grouping.interest_graph import edge_matrix, interest_graph, unit
from ...tools.grouping.neighbours import neighbour_graph
from ...tools.matrices import Matrix
from ..dataset import FloatArray
from .memory import peak_mb

Given = Mapping[str, Any]
Facts = dict[str, Any]


class Stopwatch:
    """Measures time as it passes, and time that processors worked, all threads together."""

    def __enter__(self) -> Self:
        """Start."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop."""
        self.facts: Facts = {
            "seconds": time.perf_counter() - self._wall,
            "cpu": time.process_time() - self._cpu,
        }


def invent_vectors(given: Given) -> FloatArray:
    """Return users around as many centres as there are groups to find, unit norm, shape `(users, width)`."""
    rng = np.random.default_rng(given["seed"])
    count, width = int(given["users"]), int(given["width"])
    centres = rng.standard_normal((max(1, count // int(given["size"])), width), dtype=np.float32)
    vectors = centres[rng.integers(len(centres), size=count)]
    vectors += np.float32(0.6) * rng.standard_normal((count, width), dtype=np.float32)
    return unit(vectors)


def invent_edges(given: Given) -> Matrix:
    """Return what users had, popular items more often, shape `(users, items)`."""
    rng = np.random.default_rng(given["seed"] + 1)
    users, events = int(given["users"]), int(given["events"])
    items = max(100, users // 5)
    chosen = (items * rng.random(users * events) ** 2).astype(np.int64)
    return edge_matrix(np.repeat(np.arange(users), events), chosen, shape=(users, items))


def time_graph(given: Given) -> Facts:
    """Normalise the graph of users and items and pass vectors along it."""
    edges, users = invent_edges(given), invent_vectors(given)
    items = unit(np.asarray(edges.T @ users, dtype=np.float32))
    with Stopwatch() as watch:
        interest_graph(edges).propagate(users, items, layers=int(given["layers"]))
    return {**watch.facts, "edges": int(edges.nnz)}


def time_neighbours(given: Given) -> Facts:
    """Find who is like whom."""
    users = invent_vectors(given)
    with Stopwatch() as watch:
        graph = neighbour_graph(users, int(given["neighbours"]), seed=given["seed"])
    return {**watch.facts, "edges": int(graph.nnz)}


def time_groups(given: Given) -> Facts:
    """Do all of it: neighbours, seeds, k-means, small groups dissolved, one round, what the groups had."""
    users, edges = invent_vectors(given), invent_edges(given)
    plan = GroupPlan(
        size=int(given["size"]), neighbours=int(given["neighbours"]), rounds=1, seed=given["seed"]
    )
    with Stopwatch() as watch:
        fitted = fit_groups(users, plan)
        group_items(fitted.weights, edges)
    sizes = np.bincount(primary(fitted.weights))
    return {**watch.facts, "groups": len(fitted.groups), "smallest": int(sizes.min())}


STEPS: Mapping[str, Callable[[Given], Facts]] = {
    "graph": time_graph,
    "neighbours": time_neighbours,
    "groups": time_groups,
}


def main(step: str, given: Given) -> None:
    """Measure one step and print what was found."""
    facts = STEPS[step](given)
    print(json.dumps({**facts, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
