"""The critic in a taught space: what changes, and what must not."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from limner.agents.build_case import build_case
from limner.agents.critic import criticise
from limner.agents.drawing import Drawing
from limner.agents.fingerprint import critic_version, fingerprint_of
from limner.agents.state import Deps, Draft, State
from limner.models import Claim, Facet
from limner.sections import CriticSettings, RewardWeights
from limner.tools.reward import total_reward
from limner.tools.space import Side, Space

Open = Callable[..., Awaitable[Drawing]]

SAME = Space(encoder="hashing-v1", user=Side.of(np.eye(64)), item=Side.of(np.eye(64)))
BACKWARDS = Space(encoder="hashing-v1", user=Side.of(-np.eye(64)), item=Side.of(np.eye(64)))
"""Whatever is near to a sentence in the encoder's own space is far from it in this one."""

SAID = "Enjoys gardening with roses."


def draft(deps: Deps, evidence: tuple[str, ...]) -> Draft:
    return Draft(
        round=0,
        draft_ix=0,
        facets=(Facet(name="gardening", text=SAID, polarity="like"),),
        claims=(Claim(text=SAID, evidence=evidence, confidence=0.0),),
        at=deps.clock.now(),
    )


async def graded(deps: Deps, later: datetime) -> dict[str, float]:
    case = await build_case(deps, State(user_id="ada", item_id=None, as_of=later, run_id=""))
    [found] = (await criticise(deps, case, [draft(deps, (case.visible[0].event_id,))])).drafts
    assert found.critique is not None
    return dict(found.critique.rewards)


@pytest.fixture
async def deps(open_drawing: Open) -> Deps:
    return (await open_drawing()).deps


async def test_maps_that_change_nothing_give_the_same_rewards_and_log_the_frozen_rank(
    deps: Deps, later: datetime
) -> None:
    own, same = await graded(deps, later), await graded(replace(deps, space=SAME), later)

    assert "frozen_rank" not in own
    assert same.pop("frozen_rank") == pytest.approx(own["rank"])
    assert same == pytest.approx(own, abs=1e-5)


async def test_sentences_score_items_in_the_space_and_evidence_counts_in_the_encoders_own(
    deps: Deps, later: datetime
) -> None:
    own, turned = await graded(deps, later), await graded(replace(deps, space=BACKWARDS), later)

    assert turned["rank"] < own["rank"]
    assert turned["boiler"] > own["boiler"]  # it fits everybody else better than its own user
    assert turned["ground"] == own["ground"] == 1.0
    assert turned["frozen_rank"] == pytest.approx(own["rank"])


async def test_the_alarm_is_logged_and_never_paid(deps: Deps, later: datetime) -> None:
    terms = await graded(replace(deps, space=BACKWARDS), later)
    total = terms.pop("total")

    assert total == pytest.approx(total_reward({**terms, "frozen_rank": 0.0}, RewardWeights()))


async def test_a_learned_temperature_takes_the_place_of_the_critics(deps: Deps, later: datetime) -> None:
    sharp = replace(SAME, temperature=0.001)

    found = await graded(replace(deps, space=sharp), later)

    settings = deps.settings.model_copy(update={"critic": CriticSettings(temperature=0.001)})
    expected = await graded(replace(deps, settings=settings), later)
    assert found["emb"] == pytest.approx(expected["emb"], abs=1e-5)


async def test_a_space_has_a_critic_and_portraits_of_its_own(deps: Deps, later: datetime) -> None:
    state: Any = State(user_id="ada", item_id=None, as_of=later, run_id="")
    case = await build_case(deps, state)
    taught = replace(deps, space=BACKWARDS)

    assert BACKWARDS.name in critic_version(taught)
    assert BACKWARDS.name not in critic_version(deps)
    assert critic_version(replace(deps, space=SAME)) != critic_version(taught)
    assert fingerprint_of(taught, case) != fingerprint_of(deps, case)


def test_the_place_of_a_space_is_no_part_of_what_names_a_critic() -> None:
    from pathlib import Path

    assert repr(CriticSettings(space=Path("a.space"))) == repr(CriticSettings())
