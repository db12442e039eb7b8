"""Add a baseline: a system of your own beside the strong simple ones, with intervals, and a picture of the table."""

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # pictures go to files; no window is opened
import matplotlib.pyplot as plt
import numpy as np

import limner
from limner.cli import app
from limner.evals.result_files import load_result, result_files


class Neighbours:
    """Recommends what the same people chose: co-occurrence, each row scaled to length 1."""

    name = "neighbours"

    def fit(self, past: Any) -> None:
        """Count which items share users; `past` has users, items and times, never an answer."""
        chosen = np.zeros((past.events.user.max() + 1, past.n_items), dtype=np.float32)
        chosen[past.events.user, past.events.item] = 1.0
        together = chosen.T @ chosen
        np.fill_diagonal(together, 0.0)
        norms = np.linalg.norm(together, axis=1, keepdims=True)
        self.together = together / np.where(norms == 0.0, 1.0, norms)

    def score(self, queries: Any) -> Any:
        """Add up the rows of each history; later items count more."""
        scores = np.zeros((len(queries), self.together.shape[1]), dtype=np.float32)
        for query in range(len(queries)):
            items = queries.items_of(query)
            weights = 0.8 ** np.arange(len(items), dtype=np.float32)[::-1]
            scores[query] = weights @ self.together[items]
        return scores


def read_arguments() -> argparse.Namespace:
    """Ask what to measure on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of a data set (default: the invented sample)")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--out", type=Path, default=Path("own_baseline"))
    return parser.parse_args()


def draw_table(folder: Path, metric: str, path: Path) -> None:
    """Plot one metric of every system with its 95 % interval."""
    results = [load_result(file) for file in result_files(folder)]
    rows = [row for result in results for row in result.rows if row.metric == metric and row.ci]
    rows.sort(key=lambda row: row.value)
    figure, axes = plt.subplots(figsize=(7, 0.6 * len(rows) + 1))
    for place, row in enumerate(rows):
        low, high = row.ci or (row.value, row.value)
        axes.plot([low, high], [place, place], color="C0")
        axes.plot([row.value], [place], "o", color="C0")
    axes.set_yticks(range(len(rows)), [row.system for row in rows])
    axes.set_xlabel(f"{metric}, 95 % interval over {rows[0].n} users")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    """Measure and draw."""
    wanted = read_arguments()
    wanted.out.mkdir(parents=True, exist_ok=True)
    data = wanted.data or Path(limner.__file__).parent / "sample"
    systems = ["popularity", "bigram", "seqknn", f"{__file__}::Neighbours"]
    words = ["eval", "sequential", "--data", str(data), "--out", str(wanted.out / "results")]
    app([*words, *(word for name in systems for word in ("--system", name))], standalone_mode=False)
    draw_table(wanted.out / "results", wanted.metric, wanted.out / "baseline.png")
    print(f"{wanted.out / 'baseline.png'}: the sample is invented, so take the way and not the numbers")


if __name__ == "__main__":
    main()
