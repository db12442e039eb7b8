"""One facade over the rewards, and its three signatures."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from limner.distill.log.training_rows import PromptOnly
from limner.distill.rewards.adapters import TrlReward, openrlhf_reward, trl_rewards, verl_score
from limner.distill.rewards.bench import RewardBench
from limner.distill.rewards.exercise import Exercise
from limner.distill.rewards.scorer import Scorer
from limner.errors import InputError, SettingsError

PromptFor = Callable[..., Awaitable[PromptOnly]]
WEIGHTS = {"limner": 2.0, "length": 0.5}
OPTIONS = {"length": {"words": 2, "price": 0.1}}
GARDEN = '{"likes": ["Likes roses and ferns."]}'
BROKEN = "nothing"


@pytest.fixture
def rows(open_world: Any, prompt_for: PromptFor) -> list[PromptOnly]:
    """Rows of two users, made in a loop that is over."""

    async def make() -> list[PromptOnly]:
        async with open_world()() as deps:
            return [await prompt_for(deps, user) for user in ("ada", "bo")]

    return asyncio.run(make())


def columns(rows: list[PromptOnly]) -> dict[str, list[Any]]:
    """Return the columns that TRL hands to a reward function."""
    exercises = [Exercise.of(row).model_dump(mode="json") for row in rows]
    return {name: [each[name] for each in exercises] for name in exercises[0] if name != "prompt"}


async def test_totals_are_weighted_and_every_term_has_a_name(open_world: Any, prompt_for: PromptFor) -> None:
    async with open_world()() as deps:
        row = await prompt_for(deps)
        scorer = Scorer(deps, WEIGHTS, OPTIONS)
        prompt = [message.model_dump() for message in row.prompt]
        meta = json.loads(json.dumps(Exercise.of(row).meta))

        found = await scorer.score("ada", prompt, GARDEN, meta)
        again = await scorer.score("ada", prompt, GARDEN, meta | {"held": np.array(meta["held"])})
        broken = await scorer.score("ada", prompt, BROKEN, meta)

    assert {"limner.rank", "limner.ground", "limner.malformed", "length.malformed"} < set(found)
    assert found["length"] == pytest.approx(-0.2)  # four words, two too many
    assert found["total"] == pytest.approx(2.0 * found["limner"] - 0.5 * 0.2)
    assert again == found
    assert broken["total"] == pytest.approx(2.0 * -1.0 + 0.5 * -1.0)
    assert scorer.bounds.low == pytest.approx(-2.5)


@pytest.mark.parametrize("lost", ["as_of", "held", "neg_seed", "prompt_id"])
async def test_a_prompt_without_its_exam_cannot_be_graded(
    open_world: Any, prompt_for: PromptFor, lost: str
) -> None:
    async with open_world()() as deps:
        row = await prompt_for(deps)
        meta = {name: value for name, value in Exercise.of(row).meta.items() if name != lost}

        with pytest.raises(InputError, match=f"(?s)user_id='ada' cannot be graded.*{lost}"):
            await Scorer(deps, WEIGHTS).score("ada", "Describe.", GARDEN, meta)


async def test_without_a_reward_there_is_nothing_to_learn(open_world: Any) -> None:
    async with open_world()() as deps:
        with pytest.raises(SettingsError, match="names no reward"):
            Scorer(deps, {})


def test_rows_that_changed_are_found_before_training(open_world: Any, rows: list[PromptOnly]) -> None:
    changed = rows[1].model_copy(update={"held": ("bo-5",)})
    with RewardBench(open_world(), WEIGHTS, OPTIONS) as bench:
        refused = bench.refused([Exercise.of(rows[0]), Exercise.of(changed)])

    assert list(refused) == [1]
    assert "user_id='bo'" in str(refused[1])


def test_trl_gets_a_total_for_each_completion_and_logs_the_terms(
    open_world: Any, rows: list[PromptOnly]
) -> None:
    logged: dict[str, float] = {}
    prompts = [[message.model_dump() for message in row.prompt] for row in rows]
    completions = [[{"role": "assistant", "content": text}] for text in (GARDEN, BROKEN)]
    with RewardBench(open_world(), WEIGHTS, OPTIONS) as bench:
        rewards = trl_rewards(bench)

        async def grade(reward: TrlReward) -> list[float | None]:
            return await reward(
                prompts=prompts,
                completions=completions,
                completion_ids=[[1], [2]],
                log_metric=logged.__setitem__,
                log_extra=None,
                trainer_state=None,
                **columns(rows),
            )

        totals = [asyncio.run(grade(reward)) for reward in rewards]
        direct = bench.score_many([Exercise.of(row) for row in rows], [GARDEN, BROKEN])

    assert [getattr(reward, "__name__", "") for reward in rewards] == ["limner", "length"]
    assert totals[0] == pytest.approx([direct[0]["limner"], -1.0])
    assert totals[1] == pytest.approx([-0.2, -1.0])
    assert logged["limner/malformed"] == 0.5
    assert logged["limner/rank"] == pytest.approx(direct[0]["limner.rank"])  # the only one that has it


def test_verl_gets_a_score_and_the_same_names_for_every_completion(
    open_world: Any, rows: list[PromptOnly]
) -> None:
    told = Exercise.of(rows[0]).model_dump(mode="json")
    with RewardBench(open_world(), WEIGHTS, OPTIONS) as bench:
        compute_score = verl_score(bench)
        found = compute_score("limner", GARDEN, "", told)
        broken = compute_score(data_source="limner", solution_str=BROKEN, ground_truth="", extra_info=told)
        direct = bench.score("ada", told["prompt"], GARDEN, told)
        with pytest.raises(InputError, match="a row lacks as_of, held"):
            compute_score("limner", GARDEN, "", {"user_id": "ada"})

    assert found == {"score": direct["total"], "limner": direct["limner"], "length": direct["length"]}
    assert broken == {"score": -2.5, "limner": -1.0, "length": -1.0}


def test_openrlhf_gets_tensors_with_scores_between_0_and_1(open_world: Any, rows: list[PromptOnly]) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    labels = [Exercise.of(row).model_dump_json() for row in rows]
    prompts = ["<user>Describe.<assistant>", "<user>Who?<assistant>"]
    queries = [prompts[0] + GARDEN + "<|im_end|>\n<|endoftext|>", prompts[1] + BROKEN]
    with RewardBench(open_world(), WEIGHTS, OPTIONS) as bench:
        found = openrlhf_reward(bench)(queries, prompts, labels)
        direct = bench.score_many([Exercise.of(row) for row in rows], [GARDEN, BROKEN])

    assert found["rewards"].tolist() == pytest.approx([direct[0]["total"], -2.5])
    low, high = found["scores"].tolist()[::-1]
    assert low == 0.0
    assert 0.0 < high < 1.0
    assert found["extra_logs"]["limner.malformed"].tolist() == [0.0, 1.0]


def test_a_bench_that_is_not_open_says_so(open_world: Any) -> None:
    with pytest.raises(RuntimeError, match="not open; use `with`"):
        RewardBench(open_world(), WEIGHTS).score("ada", "x", "y", {})
