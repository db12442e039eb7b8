"""One stage of the benchmark `million`: `python -m limner.evals.bench.million_worker STAGE '{"…": …}'`.

Each stage runs in a process of its own on the store that the one before left, and prints one JSON object.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from ...face import Limner
from ...settings import NO_MODEL, Settings
from .event_files import invent_events, write_csv
from .memory import peak_mb
from .world import WORDS

Given = Mapping[str, Any]
NOBODY = "openai/nobody"
"""A model that is only counted for."""

_A_FEW = {"users": 4, "items": 40, "rows": 40, "seed": 1}
_LABELS = 40
_K = 10


def write_files(folder: Path, *, users: int, items: int, rows: int, seed: int) -> None:
    """Write the files that are imported: events as CSV, items as JSONL."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "events.csv", invent_events(users=users, items=items, rows=rows, seed=seed))
    draw = random.Random(seed)
    labels = [f"{draw.choice(WORDS)} {draw.choice(WORDS)}" for _ in range(_LABELS)]
    with (folder / "items.jsonl").open("wb") as stream:
        for number in range(items):
            item = {
                "item_id": f"i{number:05}",
                "title": f"{draw.choice(WORDS).title()} {draw.choice(WORDS)} {number}",
                "categories": [labels[number % _LABELS]],
                "tags": draw.sample(WORDS, 3),
                "description": " ".join(draw.choices(WORDS, k=20)),
            }
            stream.write(orjson.dumps(item) + b"\n")


async def bring_in(given: Given, limner: Limner) -> int:
    """Import both files."""
    folder = Path(given["files"])
    for name in ("items.jsonl", "events.csv"):
        report = await limner.import_file(folder / name)
        assert not report.rejected, f"{report.rejected} rows were refused"
    return (await limner.counts()).interactions


async def embed(given: Given, limner: Limner) -> int:
    """Embed the catalogue and learn its phrases."""
    await limner.prepare()
    return int(given["items"])


async def _some(given: Given, limner: Limner) -> AsyncIterator[str]:
    """Yield as many users as are wanted, from the first on; everybody if nothing is said."""
    number = 0
    async for user_id in limner.users():
        if number == given.get("some"):
            return
        yield user_id
        number += 1


async def draw(given: Given, limner: Limner) -> int:
    """Cue everybody and draw their portraits, without a model; their sentences are embedded too."""
    drawn = 0
    async with aclosing(limner.profiles(_some(given, limner))) as outcomes:
        async for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            drawn += 1
    return drawn


async def estimate(given: Given, limner: Limner) -> int:
    """Return the calls that drawing some of the users would take at most with a model, which is not asked."""
    users = [user_id async for user_id in _some(given, limner)]
    return (await limner.estimate(users)).calls[1]


async def index(given: Given, limner: Limner) -> int:
    """Build the recommender's index, by recommending to one user."""
    await limner.recommend("u000000", k=_K)
    return 1


async def recommend(given: Given, limner: Limner) -> int:
    """Recommend to everybody."""
    told = 0
    async with aclosing(limner.recommend_many(_some(given, limner), k=_K)) as outcomes:
        async for outcome in outcomes:
            if outcome.recommendations is None:
                raise outcome.error or RuntimeError(f"nothing for {outcome.user_id}")
            told += 1
    return told


STAGES: Mapping[str, Callable[[Given, Limner], Awaitable[int]]] = {
    "import": bring_in,
    "embed": embed,
    "estimate": estimate,
    "draw": draw,
    "index": index,
    "recommend": recommend,
}


async def run_stage(stage: str, given: Given) -> dict[str, Any]:
    """Run one stage and tell what it took."""
    model = NOBODY if stage == "estimate" else NO_MODEL
    settings = Settings(store=Path(given["store"]), model=model, embedder=given["embedder"])
    wall, cpu = time.perf_counter(), time.process_time()
    async with Limner(settings) as limner:
        done = await STAGES[stage](given, limner)
    return {
        "done": done,
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_mb": peak_mb(),
    }


async def run_all(given: Given) -> dict[str, dict[str, Any]]:
    """Run every stage in this process, first over a few users, so that what is loaded once does not count."""
    with TemporaryDirectory(prefix="limner-bench-") as name:
        write_files(Path(name), **_A_FEW)
        warming = {**given, **_A_FEW, "files": name, "store": f"{name}/store", "some": 1}
        for stage in STAGES:
            await run_stage(stage, warming)
    return {stage: await run_stage(stage, given) for stage in STAGES}


def main() -> None:
    """Run the stage named by the first argument, or `all` of them, with the JSON object of the second."""
    stage, given = sys.argv[1:]
    told = run_all(json.loads(given)) if stage == "all" else run_stage(stage, json.loads(given))
    print(json.dumps(asyncio.run(told)), flush=True)


if __name__ == "__main__":
    main()
