"""Times RecTools on a run that Limner wrote: `PYTHON rectools_run.py RUN.npz REPEATS`.

A file for another interpreter: RecTools 0.19 needs NumPy 1 on Python 3.11, so it cannot live beside Limner, and
this imports nothing of Limner. Prints one JSON object.
"""

import json
import sys
import time
from importlib import import_module
from importlib.metadata import version
from typing import Any

NAMES = {"recall": "Recall", "ndcg": "NDCG", "mrr": "MRR", "hit": "HitRate"}
CUTOFFS = (5, 10, 20, 50)


def main() -> None:
    """Read a run, evaluate it several times, print seconds and means."""
    path, repeats = sys.argv[1], int(sys.argv[2])
    numpy: Any = import_module("numpy")
    pandas: Any = import_module("pandas")
    rectools: Any = import_module("rectools.metrics")
    run = numpy.load(path)
    lists, answers = run["lists"], run["answers"]
    users, length = lists.shape
    shown = pandas.DataFrame(
        {
            "user_id": numpy.repeat(numpy.arange(users), length),
            "item_id": lists.ravel(),
            "rank": numpy.tile(numpy.arange(1, length + 1), users),
        }
    )
    chosen = pandas.DataFrame({"user_id": numpy.arange(users), "item_id": answers})
    metrics = {
        f"{ours}@{k}": getattr(rectools, theirs)(
            k=k, **({"divide_by_achievable": True} if ours == "ndcg" else {})
        )
        for ours, theirs in NAMES.items()
        for k in CUTOFFS
    }
    seconds: list[float] = []
    found: dict[str, float] = {}
    for _ in range(repeats):
        started = time.perf_counter()
        found = rectools.calc_metrics(metrics, shown, interactions=chosen)
        seconds.append(time.perf_counter() - started)
    means = {name: float(value) for name, value in found.items()}
    print(json.dumps({"seconds": seconds, "means": means, "version": version("rectools")}))


if __name__ == "__main__":
    main()
