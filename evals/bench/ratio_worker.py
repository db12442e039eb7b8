"""One part of the benchmark of everything: `python -m limner.evals.bench.ratio_worker STEP '{"…": …}'`.

A step measures both sides of its ratios in turn, in seconds of CPU of all threads, and prints one JSON object.
"""

import asyncio
import json
import random
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from ...sections import CriticSettings, RewardWeights
from ...settings import Settings
from ...tools.embedder import FloatArray
from ...tools.importing import BATCH, import_file
from ...tools.late_interaction import score_items
from ...tools.local_engine import CONTEXT, Engine, start_server
from ...tools.minilm import MAX_TOKENS, MiniLMEmbedder
from ...tools.reward import Exam, score
from ...tools.sql.sql_store import SqlStore, open_store
from ...tools.sql.sql_tables import interactions
from ...tools.weights import weights_path
from .event_files import WRITERS, invent_events
from .store_sides import TENANT, Sides, compare_stores, sides, timed, write_bare
from .world import WORDS

Given = Mapping[str, Any]
_FACETS, _WIDTH = 8, 384
_POSITIVES, _AUDIENCE, _RECENT = 3, 16, 20
_ANSWER_TOKENS = 48


async def critique(given: Given) -> dict[str, Sides]:
    """Score a catalogue by portraits, and grade drafts, beside nothing but the products in it."""
    rng = np.random.default_rng(given["seed"])
    shelf, drafts = unit(rng, given["items"]), [unit(rng, _FACETS) for _ in range(given["drafts"])]
    exam, critic, weights = invent_exam(rng), CriticSettings(), RewardWeights()
    text, supports = " ".join(WORDS), [0.5] * _FACETS
    found = {"catalogue": sides(), "draft": sides()}
    for _ in range(given["repeats"] + 1):
        for side, work in {
            "bare": lambda facets: facets @ shelf.T,
            "ours": lambda facets: score_items(facets, shelf, temperature=critic.temperature),
        }.items():
            _each(drafts[: max(1, len(drafts) // 4)], work, found["catalogue"][side])
        for side, work in {
            "bare": lambda facets: _products(facets, exam),
            "ours": lambda facets: score(text, facets, supports, exam, critic=critic, weights=weights),
        }.items():
            _each(drafts, work, found["draft"][side])
    return _without_first(found)


def _each(drafts: Sequence[FloatArray], work: Callable[[FloatArray], object], to: list[float]) -> None:
    with timed(to):
        for facets in drafts:
            work(facets)


def _products(facets: FloatArray, exam: Exam) -> None:
    """Multiply what a grade multiplies."""
    for vectors in (exam.positives, exam.negatives, exam.everybody.vectors):
        facets @ vectors.T
    exam.crowd.vectors @ exam.positives.T


def unit(rng: np.random.Generator, rows: int) -> FloatArray:
    """Invent unit vectors, shape `(rows, 384)`."""
    vectors = rng.standard_normal((rows, _WIDTH), dtype=np.float32)
    unit_norm: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit_norm


def invent_exam(rng: np.random.Generator) -> Exam:
    """Invent what a draft is graded against, in the sizes of the default settings."""
    return Exam(
        positives=unit(rng, _POSITIVES),
        negatives=unit(rng, _POSITIVES * CriticSettings().negatives),
        own=unit(rng, _RECENT),
        others=tuple(unit(rng, _RECENT) for _ in range(_AUDIENCE)),
        targets=("A title nobody spells",) * _POSITIVES,
        known=" ".join(WORDS),
    )


async def encoder(given: Given) -> dict[str, Sides]:
    """Encode different texts through the door and with nothing but onnxruntime and tokenizers."""
    draw = random.Random(given["seed"])
    texts = [" ".join(draw.choices(WORDS, k=12)) for _ in range(given["texts"])]
    folder = weights_path("minilm", models_dir(given))
    session, tokenizer = _bare_encoder(folder)
    mine = MiniLMEmbedder(models_dir(given))
    found = sides()
    await mine.embed(texts[:4])
    for _ in range(given["repeats"]):
        with timed(found["bare"]):
            for text in texts:
                _encode_bare(session, tokenizer, text)
        with timed(found["ours"]):
            await mine.embed(texts)
    await mine.aclose()
    return {"embed": found}


def _bare_encoder(folder: Path) -> tuple[Any, Any]:
    onnxruntime: Any = import_module("onnxruntime")
    tokenizers: Any = import_module("tokenizers")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return onnxruntime.InferenceSession(str(folder / "model_quantized.onnx"), options), tokenizer


def _encode_bare(session: Any, tokenizer: Any, text: str) -> FloatArray:
    tokens = np.array([tokenizer.encode(text).ids], dtype=np.int64)
    inputs = {
        "input_ids": tokens,
        "attention_mask": np.ones_like(tokens),
        "token_type_ids": np.zeros_like(tokens),
    }
    vector: FloatArray = session.run(None, inputs)[0][0].mean(axis=0)
    unit_norm: FloatArray = vector / np.linalg.norm(vector)
    return unit_norm


async def model(given: Given) -> dict[str, Sides]:
    """Let the embedded model answer new prompts through the engine and through nothing but llama.cpp's server."""
    path = weights_path("smollm2-135m", models_dir(given))
    bare, mine = (
        start_server(path, threads=1, parallel=1, context=CONTEXT),
        Engine(path, threads=1, parallel=1),
    )
    found = sides()
    for turn in range(given["repeats"] + 1):  # the first loads
        for side in ("bare", "ours"):
            bodies = _bodies(given, turn, side)
            with timed(found[side]):
                for body in bodies:
                    if side == "ours":
                        await asyncio.wrap_future(mine.submit(body).future)
                    else:
                        bare.handle_chat_completions({**body, "stream": True}, lambda chunk: False)
    mine.close()
    return {"answer": {side: values[1:] for side, values in found.items()}}


def _bodies(given: Given, turn: int, side: str) -> list[dict[str, Any]]:
    """Return requests that begin alike, as those of one node do; no two prompts are equal."""
    draw = random.Random(f"{given['seed']} {turn} {side}")
    return [
        {
            "messages": [
                {"role": "system", "content": " ".join(WORDS)},
                {"role": "user", "content": " ".join(draw.choices(WORDS, k=120))},
            ],
            "max_tokens": _ANSWER_TOKENS,
            "temperature": 0.0,
            "logit_bias": [[2, False]],
        }
        for _ in range(given["prompts"])
    ]


async def imports(given: Given) -> dict[str, Any]:
    """Import the same events from three kinds of file into new stores, and write their rows with bare SQL."""
    folder, n = Path(given["folder"]), given["rows"]
    folder.mkdir(parents=True)
    invented = {"users": max(1, n // 10), "items": given["items"], "rows": n, "seed": given["seed"]}
    found: dict[str, Any] = {kind: {"cpu": [], "seconds": []} for kind in WRITERS} | {"bare": []}
    for kind, write in WRITERS.items():
        write(folder / f"events.{kind}", invent_events(**invented))
    rows: list[tuple[object, ...]] = []
    for turn in range(given["repeats"]):
        for kind in WRITERS:
            place = folder / f"{turn}-{kind}"
            store = await open_store(folder=place, database_url=None, tenant=TENANT)
            started = time.perf_counter()
            with timed(found[kind]["cpu"]):
                report = await import_file(folder / f"events.{kind}", store=store)
            found[kind]["seconds"].append(time.perf_counter() - started)
            assert report.added == n, f"{report.rejected} rows were refused"
            if kind == "csv":
                rows = await _rows_of(store)
            await store.aclose()
            shutil.rmtree(place)
        await write_bare(rows, folder / f"{turn}-bare", BATCH, found["bare"])
        shutil.rmtree(folder / f"{turn}-bare")
    return found


async def _rows_of(store: SqlStore) -> list[tuple[object, ...]]:
    query = select(interactions).order_by(interactions.c.at)
    return await store.engine.read(lambda db: [tuple(row) for row in db.execute(query)])


def models_dir(given: Given) -> Path:
    """Return where weights lie."""
    default: Path = Settings.model_fields["models_dir"].default
    return Path(given["models_dir"]) if given["models_dir"] else default


def _without_first(found: dict[str, Sides]) -> dict[str, Sides]:
    """Drop the first turn, which warms up."""
    return {part: {side: values[1:] for side, values in both.items()} for part, both in found.items()}


async def store(given: Given) -> dict[str, Sides]:
    """Record and read with a store and with nothing but `sqlite3`."""
    return _without_first(await compare_stores(given))


STEPS: Mapping[str, Callable[[Given], Awaitable[dict[str, Any]]]] = {
    "critique": critique,
    "store": store,
    "encoder": encoder,
    "model": model,
    "import": imports,
}


def main() -> None:
    """Run the step named by the first argument with the JSON object of the second."""
    step, given = sys.argv[1:]
    print(json.dumps(asyncio.run(_run(step, json.loads(given)))), flush=True)


async def _run(step: str, given: Given) -> dict[str, Any]:
    return await STEPS[step](given)


if __name__ == "__main__":
    main()
