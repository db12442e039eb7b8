"""The critic grades drafts of the log again as it graded them at first."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from limner.agents.drawing import Drawing
from limner.distill.log.filters import Filters
from limner.distill.log.manifest import Recipe
from limner.distill.log.prepare import Source, prepare
from limner.distill.log.rescoring import StoreCritic
from limner.distill.log.rollout_log import read_store
from limner.distill.log.splits import Splitting
from limner.distill.log.training_set import TrainingSet
from limner.models import Rollout
from limner.records import Interaction
from limner.tools.budget import Budget
from limner.tools.scripted import Script, ScriptedChat

USERS = ("ada", "bo", "cleo")
Open = Callable[..., Awaitable[Drawing]]


async def drawn(drawing: Drawing, later: datetime) -> list[Rollout]:
    """Draw Ada and return the drafts of the first round, with an unreadable one behind."""
    await drawing.profile("ada", as_of=later, budget=Budget())
    drafts = [each async for batch in drawing.deps.store.rollouts() for each in batch if each.round == 0]
    assert len(drafts) == 4
    assert len({each.group_key for each in drafts}) == 1
    empty: dict[str, Any] = {"rollout_id": "unread", "facets": (), "claims": (), "completion": "{"}
    return [*drafts, drafts[0].model_copy(update=empty)]


async def test_the_same_critic_gives_the_same_rewards(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    drawing = await open_drawing(ScriptedChat(paint))
    drafts = await drawn(drawing, later)
    critic = StoreCritic(drawing.deps)

    rewards = await critic(drafts)

    assert critic.critic_version == drafts[0].critic_version
    assert len({each.rewards["total"] for each in drafts}) > 1
    for again, draft in zip(rewards[:-1], drafts[:-1], strict=True):
        assert again == pytest.approx(draft.rewards)
    assert rewards[-1] == {"malformed": 1.0, "total": -1.0}


async def test_another_critic_gives_its_own_terms(open_drawing: Open, paint: Script, later: datetime) -> None:
    drafts = await drawn(await open_drawing(ScriptedChat(paint)), later)
    other = await open_drawing(reward={"rank": 1.0, "emb": 0.0, "ground": 0.0, "length": 0.0, "boiler": 0.0})
    critic = StoreCritic(other.deps)

    rewards = await critic(drafts)

    assert critic.critic_version != drafts[0].critic_version
    for again, draft in zip(rewards[:-1], drafts[:-1], strict=True):
        assert again is not None
        assert set(again) == {"rank", "leak", "total"}
        assert again["total"] == pytest.approx(draft.rewards["rank"])  # rank is the only gain that is left


async def test_what_can_no_longer_be_examined_alike_is_not_graded(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    drawing = await open_drawing(ScriptedChat(paint))
    drafts = await drawn(drawing, later)
    critic = StoreCritic(drawing.deps)
    nobody = [None] * len(drafts)

    for change in ({"neg_seed": 1}, {"item_id": "chess-0"}, {"user_id": "nobody"}):
        assert await critic([draft.model_copy(update=change) for draft in drafts]) == nobody
    known = await critic(drafts)
    assert None not in known
    late = Interaction(
        event_id="ada-late",
        user_id="ada",
        item_id="plain-0",
        kind="purchase",
        at=later - timedelta(days=1),
    )
    await drawing.deps.store.record([late])
    assert await critic(drafts) == nobody


async def test_what_was_drawn_becomes_a_training_set(
    open_drawing: Open, paint: Script, later: datetime, tmp_path: Path
) -> None:
    drawing = await open_drawing(ScriptedChat(paint))
    for user in USERS:
        await drawing.profile(user, as_of=later, budget=Budget())
    critic = StoreCritic(drawing.deps)
    source = Source("store", read_store(drawing.deps.store))
    recipe = Recipe(splitting=Splitting(validation=0.0, test=0.0), filters=Filters(epsilon=1e-6))

    manifest = await prepare(
        source, tmp_path / "set", recipe, knows=drawing.deps.store.has_user, rescore=critic
    )

    logged = {each.rollout_id: each async for batch in drawing.deps.store.rollouts() for each in batch}
    best = list(TrainingSet.open(tmp_path / "set").best("train"))
    assert {row.user_id for row in best} == set(USERS)
    for row in best:
        chosen = logged[row.rollout_id]
        rivals = [each for each in logged.values() if each.group_key == chosen.group_key]
        assert row.reward == max(each.rewards["total"] for each in rivals)
        assert row.completion[0].content == chosen.completion
    funnel = manifest.funnel
    assert (funnel.rescored, funnel.dropped["extractive"], funnel.dropped["not_rescored"]) == (
        0,
        len(USERS),
        0,
    )
