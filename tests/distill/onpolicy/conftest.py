"""A training set of prompts, and a tiny model's trainer over the small store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from limner.distill.log.manifest import Recipe
from limner.distill.log.prepare import Source, prepare
from limner.distill.log.splits import Splitting
from limner.distill.log.training_rows import PromptOnly
from limner.distill.training.config import TrainingSettings
from limner.models import Rollout

PromptFor = Callable[..., Awaitable[PromptOnly]]
Configure = Callable[..., TrainingSettings]
USERS = ("ada", "bo", "cleo", "dan")


@pytest.fixture
def prompts(open_world: Any, prompt_for: PromptFor) -> list[PromptOnly]:
    """One prompt of each user of the small store."""

    async def make() -> list[PromptOnly]:
        async with open_world()() as deps:
            return [await prompt_for(deps, user) for user in USERS]

    return asyncio.run(make())


@pytest.fixture
def data(tmp_path: Path, prompts: list[PromptOnly], logged_draft: Callable[..., Rollout]) -> Path:
    """A training set that holds these prompts, each with two logged drafts."""
    drafts = [
        logged_draft(
            rollout_id=f"{row.user_id}-{number}",
            run_id=row.user_id,
            user_id=row.user_id,
            group_key=row.group_key,
            messages=row.prompt,
            completion=f'{{"likes":["Likes number {number}."]}}',
            profile_text=f"Likes number {number}.",
            rewards={"rank": number / 2, "total": number / 2},
            as_of=row.as_of,
            held=row.held,
            neg_seed=row.neg_seed,
            prompt_id=row.prompt_id,
            prompt_version=row.prompt_version,
            at=row.as_of,
        )
        for row in prompts
        for number in range(2)
    ]

    async def batches() -> AsyncIterator[list[Rollout]]:
        yield drafts

    recipe = Recipe(splitting=Splitting(validation=0.0, test=0.0))
    asyncio.run(prepare(Source("drafts", batches()), tmp_path / "set", recipe))
    return tmp_path / "set"


@pytest.fixture
def configure(tmp_path: Path, data: Path, tiny_model: Path) -> Configure:
    """Make the settings of a short run: two prompts of two completions a step."""

    def make(grpo: dict[str, Any] | None = None, **changes: Any) -> TrainingSettings:
        fields: dict[str, Any] = {
            "data": data,
            "out": tmp_path / "run",
            "method": "grpo",
            "base": str(tiny_model),
            "steps": 1,
            "batch": 4,
            "accumulation": 1,
            "rank": 4,
            "learning_rate": 1e-2,
            "warmup": 0.0,
            "eval_every": 0,
            "log_every": 1,
            "device": "cpu",
            "max_tokens": 1500,
            "grpo": {"generations": 2, "max_new_tokens": 8, "mask_truncated": False, **(grpo or {})},
        }
        return TrainingSettings.model_validate(fields | changes)

    return make
