"""Does a better draft predict better? Critic reward and the rank of the true next item, stage by stage.

Each user's last interaction is the target: portraits are drawn with `as_of` at its time, so neither drafts nor
critic have seen it. Its mid-rank among the whole catalogue, the user's history masked, is measured for every
stage under the encoder that the critic used and under a held-out one.

    python -m limner.evals.portrait_ranks draw  --data DIR --store DIR --users 200 --seed 7
    python -m limner.evals.portrait_ranks score --store DIR --users 200 --seed 7 --encoder NAME --out FILE
    python -m limner.evals.portrait_ranks table FILE FILE
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..face import Limner
from ..models import Rollout
from ..records import Interaction
from ..settings import Settings, load_settings
from ..tools.embedder import Embedder, FloatArray
from ..tools.late_interaction import mid_ranks, score_items
from ..tools.statistics import intervals
from .portraits.liked_texts import liked_texts

STAGES = ("extractive", "first draft", "best first draft", "best with revisions", "published")
_FEWEST = 4


class Target(NamedTuple):
    """What a user does next."""

    event: Interaction
    """The last interaction; nothing at or after its time is used."""

    history: tuple[Interaction, ...]
    """Everything before its time."""


class Rank(NamedTuple):
    """One stage of one user."""

    user_id: str
    stage: str
    reward: float
    rank: float
    """Mid-rank of the true next item, 1 is best."""

    catalogue: int
    """How many items were ranked."""


class Interval(NamedTuple):
    """A mean with its 95 % bootstrap interval over users."""

    mean: float
    low: float
    high: float
    n: int


async def choose_targets(limner: Limner, *, users: int, seed: int, skip: int = 0) -> dict[str, Target]:
    """Sample users whose last item is new to them and in the catalogue; the seed decides which.

    The first `skip` of them are left out, so that several processes can share one sample.
    """
    everybody = [user async for user in limner.users()]
    random.Random(seed).shuffle(everybody)
    chosen: dict[str, Target] = {}
    for user in everybody:
        if len(chosen) == skip + users:
            break
        events = await limner.history(user)
        before = tuple(event for event in events if event.at < events[-1].at)
        target = _pick([event for event in events if event.at == events[-1].at], seed)
        known = await limner.items([target.item_id or ""])
        had = {event.item_id for event in before}
        if len(before) >= _FEWEST and known and target.item_id not in had:
            chosen[user] = Target(target, before)
    return dict(list(chosen.items())[skip:])


def _pick(last: Sequence[Interaction], seed: int) -> Interaction:
    """Choose among the interactions of the last moment; their order in the source means nothing."""
    return random.Random(seed).choice(sorted(last, key=lambda event: event.event_id))


async def draw(settings: Settings, *, users: int, seed: int, skip: int = 0) -> dict[str, Any]:
    """Draw every chosen user's portrait as of the target's time; returns what it cost."""
    started, done, by_model, calls, tokens = time.perf_counter(), 0, 0, 0, 0
    async with Limner(settings) as limner:
        targets = await choose_targets(limner, users=users, seed=seed, skip=skip)
        await limner.prepare()
        for user, target in targets.items():
            try:
                profile = await limner.profile(user, as_of=target.event.at)
            except InputError as error:
                print(f"{user}: {error}", flush=True)
                continue
            done += 1
            by_model += profile.source == "model"
            calls += profile.usage.calls
            tokens += profile.usage.tokens
            if done % 10 == 0:
                print(f"{done}/{len(targets)} in {time.perf_counter() - started:.0f} s", flush=True)
    seconds = round(time.perf_counter() - started, 1)
    return {"users": done, "by_model": by_model, "calls": calls, "tokens": tokens, "seconds": seconds}


async def score(settings: Settings, encoder: Embedder, *, users: int, seed: int, skip: int = 0) -> list[Rank]:
    """Rank every stage's true next item under an encoder; nothing is drawn."""
    async with Limner(settings.model_copy(update={"model": "none"})) as limner:
        targets = await choose_targets(limner, users=users, seed=seed, skip=skip)
        drafts: dict[str, list[Rollout]] = {}
        async for rollout in limner.rollouts():
            target = targets.get(rollout.user_id)
            if target and rollout.item_id is None and rollout.as_of == target.event.at:
                drafts.setdefault(rollout.user_id, []).append(rollout)
        store = limner.doors.store
        items = [item async for batch in store.all_items() for item in batch]
        matrix = await encoder.embed([item.describe() for item in items])
        index = {item.item_id: row for row, item in enumerate(items)}
        ranks: list[Rank] = []
        for user in sorted(drafts):
            ranks += await _score_user(settings, encoder, targets[user], drafts[user], matrix, index)
        return ranks


async def _score_user(
    settings: Settings,
    encoder: Embedder,
    target: Target,
    drafts: Sequence[Rollout],
    matrix: FloatArray,
    index: Mapping[str, int],
) -> list[Rank]:
    stages = stages_of(drafts)
    candidates = np.ones(len(matrix), dtype=bool)
    had = [index[event.item_id] for event in target.history if event.item_id and event.item_id in index]
    candidates[had] = False
    right = index[str(target.event.item_id)]
    temperature = settings.critic.temperature

    def rank_of(vectors: FloatArray) -> float:
        scores = score_items(vectors, matrix, temperature=temperature)
        others = candidates.copy()
        others[right] = False
        return float(mid_ranks(scores[[right]], scores[others])[0])

    size = int(candidates.sum())
    recent = had[-10:]
    ranks = [Rank(target.event.user_id, "history, last 10", 0.0, rank_of(matrix[recent]), size)]
    for stage, draft in stages.items():
        vectors = await encoder.embed(liked_texts(draft.facets))
        ranks.append(Rank(draft.user_id, stage, draft.rewards["total"], rank_of(vectors), size))
    return ranks


def stages_of(drafts: Sequence[Rollout]) -> dict[str, Rollout]:
    """Pick each stage's draft of one run; a stage without a readable draft is left out."""
    readable = [draft for draft in drafts if draft.facets]
    floor = [draft for draft in readable if draft.round == -1]
    first = [draft for draft in readable if draft.round == 0]
    written = [draft for draft in readable if draft.round >= 0]
    stages: dict[str, Rollout] = {}
    if floor:
        stages["extractive"] = floor[0]
    if first:
        stages["first draft"] = min(first, key=lambda draft: draft.draft_ix)
        stages["best first draft"] = max(first, key=lambda draft: draft.rewards["total"])
    if written:
        stages["best with revisions"] = max(written, key=lambda draft: draft.rewards["total"])
    for draft in readable:
        if draft.selected:
            stages["published"] = draft
    return stages


def interval(values: Sequence[float], *, seed: int = 0) -> Interval:
    """Return the mean and its percentile bootstrap interval.

    Examples:
        >>> interval([2.0, 2.0, 2.0])
        Interval(mean=2.0, low=2.0, high=2.0, n=3)
    """
    low, high = intervals(np.asarray(values)[:, None], seed=seed)[0].tolist()
    return Interval(float(np.mean(values)), low, high, len(values))


def summarise(ranks: Sequence[Rank]) -> list[dict[str, Any]]:
    """Return a row per stage: reward, percentile rank and full-list NDCG, each with n and interval.

    Only users with every stage count, so that the rows compare.
    """
    by_user: dict[str, dict[str, Rank]] = {}
    for rank in ranks:
        by_user.setdefault(rank.user_id, {})[rank.stage] = rank
    whole = [stages for stages in by_user.values() if all(stage in stages for stage in STAGES)]
    rows: list[dict[str, Any]] = []
    for stage in ("history, last 10", *STAGES):
        of_stage = [stages[stage] for stages in whole]
        percentile = interval([rank.rank / rank.catalogue for rank in of_stage])
        gain = interval([1.0 / np.log2(1.0 + rank.rank) for rank in of_stage])
        reward = interval([rank.reward for rank in of_stage]) if stage in STAGES else None
        lift = [float(np.log(stages["first draft"].rank) - np.log(stages[stage].rank)) for stages in whole]
        rows.append(
            {
                "stage": stage,
                "reward": reward._asdict() if reward else None,
                "percentile_rank": percentile._asdict(),
                "median_rank": float(np.median([rank.rank for rank in of_stage])),
                "ndcg": gain._asdict(),
                "log_rank_gain_over_first_draft": interval(lift)._asdict(),
            }
        )
    return rows


def to_markdown(scored: Sequence[Mapping[str, Any]]) -> str:
    """Return one table: a row per stage, the encoders side by side; each cell has mean, interval and n.

    Args:
        scored: What the `score` step wrote, one for each encoder, for the same store, users and seed.
    """
    names = [str(result["encoder"]) for result in scored]
    header = ["stage", "critic reward"]
    for name in names:
        header += [f"percentile rank, {name}", f"NDCG, {name}", f"log-rank gain over first draft, {name}"]
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    for place, row in enumerate(scored[0]["rows"]):
        cells = [str(row["stage"]), _cell(row["reward"])]
        for result in scored:
            of_encoder = result["rows"][place]
            cells += [_cell(of_encoder["percentile_rank"]), _cell(of_encoder["ndcg"])]
            cells.append(_cell(of_encoder["log_rank_gain_over_first_draft"]))
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def _cell(measured: Mapping[str, float] | None) -> str:
    if measured is None:
        return "–"  # noqa: RUF001  # a dash for what does not apply
    return f"{measured['mean']:.4f} [{measured['low']:.4f}, {measured['high']:.4f}], n={measured['n']}"


def _settings(args: argparse.Namespace) -> Settings:
    overrides: dict[str, Any] = {"store": args.store}
    if args.model:
        overrides["model"] = args.model
    return load_settings(**overrides)


async def _draw_command(args: argparse.Namespace) -> dict[str, Any]:
    from ..tools.importing import import_path

    settings = _settings(args)
    if args.data:
        async with Limner(settings) as limner:
            await import_path(args.data, store=limner.doors.store, rejects=settings.store / "rejects")
    return await draw(settings, users=args.users, seed=args.seed, skip=args.skip)


async def _score_command(args: argparse.Namespace) -> dict[str, Any]:
    from ..tools.encoders import open_embedder

    settings = _settings(args)
    encoder = open_embedder(args.encoder, models_dir=settings.models_dir, chat=settings.chat, store=None)
    try:
        ranks = await score(settings, encoder, users=args.users, seed=args.seed, skip=args.skip)
        name = encoder.name
    finally:
        await encoder.aclose()
    return {
        "encoder": name,
        "seed": args.seed,
        "rows": summarise(ranks),
        "ranks": [rank._asdict() for rank in ranks],
    }


def merge(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Join what several processes scored of one sample; one result for each encoder."""
    by_encoder: dict[str, list[Rank]] = {}
    for result in results:
        by_encoder.setdefault(result["encoder"], []).extend(Rank(**rank) for rank in result["ranks"])
    return [{"encoder": encoder, "rows": summarise(ranks)} for encoder, ranks in by_encoder.items()]


def main() -> None:
    """Run one of the two steps and write its JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("draw", "score", "table"))
    parser.add_argument("files", type=Path, nargs="*", help="results of `score`, for `table`")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--skip", type=int, default=0, help="leave out so many of the sample")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.step == "table":
        results = [json.loads(path.read_text(encoding="utf-8")) for path in args.files]
        print(to_markdown(merge(results)))
        return
    if args.store is None:
        parser.error("--store DIR is needed")
    step = _draw_command if args.step == "draw" else _score_command
    result = json.dumps(asyncio.run(step(args)), indent=2)
    if args.out:
        args.out.write_text(result + "\n", encoding="utf-8")
    print(result)


if __name__ == "__main__":
    main()
