"""The experiment: targets that nobody saw, stages of drafts, mid-ranks and intervals."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner import Facet, Interaction, Item, Limner, Rollout, Settings, Usage
from limner.evals.bench.loopback_server import Json, LoopbackServer, fitting
from limner.evals.portrait_ranks import (
    STAGES,
    Rank,
    choose_targets,
    draw,
    interval,
    score,
    stages_of,
    summarise,
    to_markdown,
)
from limner.settings import load_settings
from limner.tools.embedder import FloatArray, HashingEmbedder

# LiteLLM silences this at import, but pytest restores the filters after each test.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")

START = datetime(2026, 1, 1, tzinfo=UTC)
ITEMS = [
    Item(item_id=f"i{number}", title=f"Thing{number}", categories=(("maps", "boats")[number % 2],))
    for number in range(30)
]


def history(user: str, *numbers: int) -> list[Interaction]:
    return [
        Interaction(
            event_id=f"{user}-{day}",
            user_id=user,
            item_id=f"i{number}",
            kind="click",
            at=START + timedelta(days=day),
            text=f"by {user}",
        )
        for day, number in enumerate(numbers)
    ]


def settings_in(folder: Path, **groups: Any) -> Settings:
    return load_settings(store=folder, embedder="hashing", **{"model": "none", **groups})


async def fill(settings: Settings, events: list[Interaction]) -> None:
    async with Limner(settings) as limner:
        await limner.add_items(ITEMS)
        await limner.doors.store.record(events)


class Constant:
    """An encoder for which everything means the same."""

    name, dimension = "constant", 2

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return the same unit vector for every text."""
        return np.tile(np.asarray([[1.0, 0.0]], dtype=np.float32), (len(texts), 1))

    async def aclose(self) -> None:
        """Hold nothing."""


async def test_targets_are_new_items_of_users_with_enough_history(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "store")
    tied = history("tied", 0, 1, 2, 3, 4, 5, 6)
    tied.append(tied[-1].model_copy(update={"event_id": "tied-also", "item_id": "i7"}))
    events = [
        *history("fine", 0, 1, 2, 3, 4, 5, 6),
        *history("short", 0, 1, 2),
        *history("again", 0, 1, 2, 3, 4, 5, 0),
        *history("stranger", 0, 1, 2, 3, 4, 5, 99),  # the catalogue does not know the last
        *tied,
    ]
    await fill(settings, events)

    async with Limner(settings) as limner:
        chosen = await choose_targets(limner, users=9, seed=7)
        again = await choose_targets(limner, users=9, seed=7)
        one = await choose_targets(limner, users=1, seed=7)

    assert set(chosen) == {"fine", "tied"}
    assert chosen == again and len(one) == 1
    assert chosen["fine"].event.item_id == "i6"
    assert [event.item_id for event in chosen["fine"].history] == [f"i{number}" for number in range(6)]
    assert chosen["tied"].event.item_id in ("i6", "i7")
    assert len(chosen["tied"].history) == 6  # what happened at the target's moment is not history


async def test_portraits_are_drawn_without_the_target_and_every_stage_is_ranked(tmp_path: Path) -> None:
    sent: list[Json] = []

    def answer(request: Json) -> str:
        sent.append(request)
        return fitting(request)

    users = {f"u{number}": tuple(range(number, number + 9)) for number in range(3)}
    async with LoopbackServer(answer) as server:
        settings = settings_in(
            tmp_path / "store",
            model="openai/main",
            chat={"api_base": server.url, "api_key": "k"},
            drafting={"drafts": 2, "revisions": 1, "accept": 2.0},
        )
        await fill(settings, [event for user, numbers in users.items() for event in history(user, *numbers)])
        told = await draw(settings, users=9, seed=7)

    assert told["users"] == 3
    assert told["calls"] == len(sent)
    for user, numbers in users.items():
        mine = [body for body in sent if f"by {user}" in json.dumps(body)]
        assert mine and not any(f"Thing{numbers[-1]} " in json.dumps(body) for body in mine)

    ranks = await score(settings, HashingEmbedder(), users=9, seed=7)

    assert {(rank.user_id, rank.stage) for rank in ranks} == {
        (user, stage) for user in users for stage in ("history, last 10", *STAGES)
    }
    # Thirty items less the eight of each history.
    assert all(1.0 <= rank.rank <= rank.catalogue == 22 for rank in ranks)
    by_stage = {(rank.user_id, rank.stage): rank for rank in ranks}
    for user in users:
        first, best = by_stage[user, "first draft"], by_stage[user, "best first draft"]
        assert best.reward >= first.reward
        assert by_stage[user, "best with revisions"].reward >= best.reward

    rows = summarise(ranks)
    assert [row["stage"] for row in rows] == ["history, last 10", *STAGES]
    assert {row["ndcg"]["n"] for row in rows} == {3}
    assert to_markdown([{"encoder": "a", "rows": rows}]).count("\n") == 2 + 6


async def test_an_encoder_that_cannot_tell_ranks_by_chance(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "store")
    await fill(settings, [*history("a", *range(9)), *history("b", *range(5, 14))])
    await draw(settings, users=9, seed=7)

    ranks = await score(settings, Constant(), users=9, seed=7)

    # Without a model there are the history and the extractive portrait, which is the published one.
    assert {rank.stage for rank in ranks} == {"history, last 10", "extractive", "published"}
    assert {rank.rank for rank in ranks} == {1 + 21 / 2}  # the target among 22, tied with all others


def rollout(
    round_: int, draft_ix: int, total: float, *, selected: bool = False, readable: bool = True
) -> Rollout:
    return Rollout(
        rollout_id=f"{round_}-{draft_ix}",
        run_id="run",
        user_id="u",
        as_of=START,
        held=("i1",),
        round=round_,
        draft_ix=draft_ix,
        group_key="g",
        messages=(),
        completion="",
        profile_text="",
        facets=(Facet(name="maps", text="Likes maps."),) if readable else (),
        finish_reason="stop",
        backend="scripted",
        model_rev="1",
        temperature=0.9,
        top_p=0.95,
        selected=selected,
        selection_propensity=float(selected),
        rewards={"total": total},
        critic_version="c",
        neg_seed=0,
        prompt_id="p",
        prompt_version=1,
        usage=Usage(),
        at=START,
    )


def test_stages_pick_the_first_and_the_best_readable_draft() -> None:
    stages = stages_of(
        [
            rollout(-1, 0, 0.3),
            rollout(0, 0, 0.9, readable=False),
            rollout(0, 2, 0.5),
            rollout(0, 1, 0.2),
            rollout(1, 0, 0.6, selected=True),
        ]
    )

    assert {stage: draft.rollout_id for stage, draft in stages.items()} == {
        "extractive": "-1-0",
        "first draft": "0-1",
        "best first draft": "0-2",
        "best with revisions": "1-0",
        "published": "1-0",
    }
    assert stages_of([rollout(0, 0, 0.5, readable=False)]) == {}


def test_an_interval_holds_the_mean_and_is_reproducible() -> None:
    values = [float(value) for value in range(100)]

    found = interval(values)

    assert (found.mean, found.n) == (49.5, 100)
    # The standard error is 29.0 / 10, so 1.96 of it lie about 5.7 to either side.
    assert found.low == pytest.approx(49.5 - 5.7, abs=0.6)
    assert found.high == pytest.approx(49.5 + 5.7, abs=0.6)
    assert interval(values) == found


def test_only_users_with_every_stage_count() -> None:
    ranks = [
        Rank("u", stage, 0.5, rank, 10)
        for stage, rank in zip(("history, last 10", *STAGES), (1.0, 2.0, 4.0, 3.0, 1.0, 7.0), strict=True)
    ]
    ranks.append(Rank("half", "extractive", 0.9, 9.0, 10))

    rows = {row["stage"]: row for row in summarise(ranks)}

    first = rows["first draft"]
    assert first["percentile_rank"] == {"mean": 0.4, "low": 0.4, "high": 0.4, "n": 1}
    assert first["ndcg"]["mean"] == pytest.approx(1 / math.log2(5))
    assert first["median_rank"] == 4.0
    assert rows["extractive"]["log_rank_gain_over_first_draft"]["mean"] == pytest.approx(math.log(2))
    assert rows["history, last 10"]["reward"] is None
    assert rows["published"]["reward"] == {"mean": 0.5, "low": 0.5, "high": 0.5, "n": 1}
