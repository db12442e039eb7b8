"""A small training set, and runs on it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from limner.distill.log.filters import Filters
from limner.distill.log.manifest import Recipe
from limner.distill.log.prepare import Source, prepare
from limner.distill.log.splits import Splitting
from limner.distill.training.config import TrainingSettings
from limner.models import Rollout
from limner.records import Message

USERS = 24

Set = Callable[..., TrainingSettings]


def make_set(folder: Path, rollouts: list[Rollout]) -> Path:
    """Prepare a training set of drafts."""

    async def batches() -> AsyncIterator[list[Rollout]]:
        yield rollouts

    recipe = Recipe(splitting=Splitting(validation=0.25, test=0.0), filters=Filters(epsilon=0.05))
    asyncio.run(prepare(Source("drafts", batches()), folder, recipe))
    return folder


@pytest.fixture(scope="session")
def make_rollout(logged_draft: Callable[..., Rollout]) -> Callable[..., Rollout]:
    """Write a draft of a numbered user, of which the text says how good it is: `poor`, `fair` or `good`."""

    def write(user: int, draft: int, **changes: Any) -> Rollout:
        words = f"{('poor', 'fair', 'good')[draft]} {user}"
        fields: dict[str, Any] = {
            "rollout_id": f"r{user}-{draft}",
            "user_id": f"u{user:02}",
            "draft_ix": draft,
            "messages": (Message(role="user", content=f"Draw user {user}."),),
            "completion": words,
            "profile_text": words,
            "temperature": 1.0,
            "top_p": 1.0,
            "rewards": {"rank": draft / 2, "total": draft / 2},
        }
        return logged_draft(**(fields | changes))

    return write


@pytest.fixture(scope="session")
def training_set(make_rollout: Callable[..., Rollout], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drafts of each of 24 users, a quarter of them for validation."""
    drafts = [make_rollout(user, draft) for user in range(USERS) for draft in range(3)]
    return make_set(tmp_path_factory.mktemp("sets") / "set", drafts)


@pytest.fixture
def settings(tiny_model: Path, training_set: Path, tmp_path: Path) -> Set:
    """Make settings of a run of a few steps on the tiny model."""

    def make(**changes: Any) -> TrainingSettings:
        fields: dict[str, Any] = {
            "data": training_set,
            "out": tmp_path / "run",
            "base": str(tiny_model),
            "steps": 4,
            "batch": 4,
            "accumulation": 1,
            "learning_rate": 1e-2,
            "log_every": 1,
            "eval_every": 2,
            "device": "cpu",
            "threads": 1,
        }
        return TrainingSettings.model_validate(fields | changes)

    return make


@pytest.fixture
def make_training_set(tmp_path: Path) -> Callable[[list[Rollout]], Path]:
    """Prepare a training set of drafts."""
    return lambda drafts: make_set(tmp_path / "drafts", drafts)
