"""`distill eval`: fresh portraits by two profilers of users that trained neither."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from ..face import Limner
from ..settings import Settings
from .common import JsonOption, StoreOption, err, note, print_json, run, say, settings_for, wants_json
from .distill_watch import open_held_out
from .progress import counted_progress

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..distill.judging.compare import Comparison, Estimate
    from ..distill.judging.evaluation import Evaluation, Plan
    from ..distill.judging.meaning import LogLoss
    from ..distill.judging.profilers import Profiler
    from ..distill.rewards.reading import Reader
    from ..tools.embedder import Embedder

Split = Literal["validation", "test"]

_HELD_OUT, _LEXICAL = "judge/held_out", "judge/bm25"


class _Asked(NamedTuple):
    """The options."""

    data: Path
    candidate: str
    baseline: str
    split: Split
    users: int | None
    drafts: int
    seed: int
    held_out: str | None
    primary: str | None
    base: str | None
    free: bool
    folder: Path


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="Training set by `limner distill prepare`.")],
    candidate: Annotated[
        str,
        typer.Option("--candidate", help="Model string, limner/NAME, or a folder by `limner distill train`."),
    ],
    baseline: Annotated[
        str, typer.Option("--baseline", help="What it is to beat; as for --candidate.")
    ] = "limner/smollm2-135m",
    users: Annotated[
        int | None, typer.Option("--users", min=1, help="Most users who sit (default: all of the split).")
    ] = None,
    drafts: Annotated[int, typer.Option("--drafts", min=1, help="Portraits a user by each profiler.")] = 1,
    split: Annotated[Split, typer.Option("--split", help="Whose users.")] = "test",
    seed: Annotated[int, typer.Option("--seed", help="Decides who sits, what is drawn and resampled.")] = 0,
    held_out: Annotated[
        str | None,
        typer.Option(
            "--held-out",
            help="Encoder of another family than the critic's, which judges besides: minilm, "
            "sentence-transformers/NAME, or a LiteLLM embedding model.",
        ),
    ] = None,
    primary: Annotated[
        str | None,
        typer.Option(
            "--primary",
            help="The number that decides, declared before anything is drawn (default: judge/held_out, "
            "without an encoder judge/bm25).",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--base", help="Base weights by which to measure how surprising portraits are."),
    ] = None,
    free: Annotated[
        bool, typer.Option("--free", help="Let models write freely, not held to the form's schema.")
    ] = False,
    folder: Annotated[
        Path, typer.Option("--out", help="Folder of the result; the same one goes on where it stopped.")
    ] = Path("evaluation"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the calls; draw nothing.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two profilers on users that trained neither: same prompts, seeds, negatives and judges.

    Examples:  limner distill eval --data set/ --candidate limner/limner-135m  ·  limner distill eval --data set/
    --candidate runs/raft --users 200 --held-out sentence-transformers/bge-small --out raft-vs-base/
    """
    as_json = wants_json(as_json)
    asked = _Asked(
        data, candidate, baseline, split, users, drafts, seed, held_out, primary, base, free, folder
    )

    async def work() -> "Evaluation | Estimate":
        from datetime import UTC, datetime

        async with _open(settings_for(store), asked) as comparison:
            if dry_run:
                return comparison.estimate()
            left = sum(comparison.estimate().calls.values()) + 2 * len(comparison.sitters)
            with _shown(comparison, left) as shown:
                return await shown.run(at=datetime.now(UTC))

    found = run(work, as_json=as_json, resume="the same command")
    _print(found, folder, as_json=as_json)


@asynccontextmanager
async def _open(settings: Settings, asked: _Asked) -> "AsyncGenerator[Comparison]":
    """Open store, critic, judges and profilers."""
    from ..distill.judging.compare import Comparison
    from ..distill.judging.open_panel import open_panel
    from ..distill.judging.sitters import sample_rows, seat
    from ..distill.log.training_set import TrainingSet
    from ..distill.rewards.bench import settings_for_rewards
    from ..distill.rewards.reading import Reader

    training = TrainingSet.open(asked.data)
    rows = sample_rows(training.prompts(asked.split), users=asked.users, seed=asked.seed)
    grading = settings_for_rewards(settings, {"limner": 1.0})
    async with Limner(grading) as limner, _profilers(settings, asked) as (candidate, baseline):
        with err.status("reading what portraits are judged by"):
            reader = Reader((await limner.prepare()).deps)
            seating = await seat(reader, rows)
        async with open_held_out(settings, asked.held_out, limner.doors.store) as held_out:
            panel = await open_panel(reader, seating.sitters, held_out)
            yield Comparison(
                plan=_plan(asked, settings, candidate, baseline, reader, held_out),
                sitters=seating.sitters,
                changed=len(seating.changed),
                candidate=candidate,
                baseline=baseline,
                panel=panel,
                folder=asked.folder,
                log_loss=_log_loss(asked.base, settings) if asked.base else None,
            )


@asynccontextmanager
async def _profilers(settings: Settings, asked: _Asked) -> "AsyncGenerator[tuple[Profiler, Profiler]]":
    from ..distill.judging.profilers import open_profiler
    from ..tools.budget import Budget

    budget = Budget(settings.budget)
    candidate = open_profiler(asked.candidate, settings, budget, note)
    baseline = open_profiler(asked.baseline, settings, budget, note)
    try:
        yield candidate, baseline
    finally:
        await candidate.aclose()
        await baseline.aclose()


def _plan(
    asked: _Asked,
    settings: Settings,
    candidate: "Profiler",
    baseline: "Profiler",
    reader: "Reader",
    held_out: "Embedder | None",
) -> "Plan":
    from ..agents.fingerprint import critic_version
    from ..distill.judging.evaluation import Plan
    from ..distill.log.manifest import MANIFEST
    from ..tools.checksums import sha256_of

    return Plan(
        candidate=asked.candidate,
        baseline=asked.baseline,
        candidate_identity=candidate.identity,
        baseline_identity=baseline.identity,
        primary=asked.primary or (_HELD_OUT if held_out else _LEXICAL),
        data_sha256=sha256_of(asked.data / MANIFEST),
        split=asked.split,
        users=asked.users,
        drafts=asked.drafts,
        seed=asked.seed,
        temperature=settings.drafting.temperature,
        guided=candidate.guided and baseline.guided and not asked.free,
        critic_version=critic_version(reader.deps),
        critic_encoder=reader.deps.embedder.name,
        held_out=held_out.name if held_out else None,
        base=asked.base,
    )


def _log_loss(base: str, settings: Settings) -> "LogLoss":
    from ..distill.judging.base_loss import base_log_loss
    from ..distill.training.base_weights import open_base
    from ..distill.training.encoding import ChatEncoder

    opened = open_base(base, settings.models_dir, note)
    return base_log_loss(opened.model, ChatEncoder(opened.tokenizer))


@contextmanager
def _shown(comparison: "Comparison", total: int) -> "Generator[Comparison]":
    with counted_progress("portraits", total) as bar:
        yield replace(comparison, notice=bar.notice, advance=bar.advance)


def _print(found: "Evaluation | Estimate", folder: Path, *, as_json: bool) -> None:
    from ..distill.judging.compare import Estimate
    from ..distill.judging.evaluation_table import as_markdown

    if isinstance(found, Estimate):
        if as_json:
            return print_json(found._asdict())
        for name, calls in found.calls.items():
            say(f"{name}: {calls:,} portraits to draw")
        told = f"{found.users:,} users sit, {found.changed:,} cannot; {found.kept:,} portraits are kept; "
        say(f"{told}at most {found.most_tokens:,} tokens")
        return None
    if as_json:
        return print_json(found.model_dump(mode="json"))
    say(as_markdown(found))
    say(f"written to {folder}")
    return None
