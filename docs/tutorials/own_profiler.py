"""Distil your own profiler: graded drafts, a training set, a small adapter, and the curve that says what it learned.

The defaults take a few minutes on two cores. With the sample's 28 invented users this shows the way and measures nothing.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # pictures go to files; no window is opened
import matplotlib.pyplot as plt

import limner
from limner import LimnerSync, load_settings
from limner.cli import app
from limner.distill.training.config import TrainingSettings
from limner.distill.training.train import train


def read_arguments() -> argparse.Namespace:
    """Ask how much to do and where to leave it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="limner/smollm2-135m", help="model that learns")
    parser.add_argument("--method", default="raft", help="raft, awr, dpo, kto …")
    parser.add_argument("--drafts", type=int, default=8, help="drafts of each user")
    parser.add_argument("--steps", type=int, default=20, help="optimiser steps")
    parser.add_argument("--look-every", type=int, default=5, help="steps between two looks at unseen users")
    parser.add_argument(
        "--max-tokens", type=int, default=1024, help="leave out longer drafts with their prompts"
    )
    parser.add_argument("--out", type=Path, default=Path("own_profiler"))
    return parser.parse_args()


def command(*words: str | Path) -> None:
    """Run a command of Limner's in this process."""
    app([str(word) for word in words], standalone_mode=False)


def draw_curve(history: list[dict[str, float]], path: Path) -> None:
    """Plot what is learned (best drafts of unseen users) against what must not go with it (their worst)."""
    looks = [point for point in history if "validation_logprob" in point]
    steps = [point["step"] for point in looks]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    left.plot(steps, [point["validation_logprob"] for point in looks], marker="o")
    left.set_title("best drafts: mean log-probability of a token")
    right.plot(steps, [point.get("validation_gap", float("nan")) for point in looks], marker="o", color="C1")
    right.set_title("best less worst drafts")
    for axes in (left, right):
        axes.set_xlabel("step")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    """Explore, prepare, train, draw."""
    wanted = read_arguments()
    store, data, run = wanted.out / "store", wanted.out / "set", wanted.out / "run"
    sample = Path(limner.__file__).parent / "sample"
    with LimnerSync(load_settings(store=store, model="none")) as opened:
        opened.import_file(sample / "items.jsonl")
        opened.import_file(sample / "interactions.jsonl")

    command("distill", "explore", "--drafts", str(wanted.drafts), "--store", store)
    # So few users leave a split empty unless both splits take a good part, whatever their time.
    shares = ("--validation", "0.3", "--test", "0.2", "--keep-early")
    command("distill", "prepare", "--out", data, *shares, "--store", store)

    settings = TrainingSettings(
        data=data,
        out=run,
        base=wanted.base,
        method=wanted.method,
        steps=wanted.steps,
        eval_every=wanted.look_every,
        max_tokens=wanted.max_tokens,
        device="cpu",
    )
    result = train(settings, notice=print)
    draw_curve([dict(point) for point in result.record.history], wanted.out / "learning.png")
    print(
        f"{result.adapter}: compare it with `limner distill eval --data {data} --candidate {run} --out verdict`"
    )


if __name__ == "__main__":
    main()
