"""Drafts of an invented log, and what is made of them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from limner.distill.log.filters import Filters
from limner.distill.log.manifest import Recipe
from limner.distill.log.prepare import Source, prepare
from limner.distill.log.splits import Splitting
from limner.distill.log.training_set import TrainingSet
from limner.models import Rollout

EVERYTHING = Recipe(splitting=Splitting(validation=0.0, test=0.0), filters=Filters(epsilon=0.05))
"""Everybody trains."""

Draft = Callable[..., Rollout]
Make = Callable[..., Awaitable[TrainingSet]]


@pytest.fixture
def draft(logged_draft: Callable[..., Rollout]) -> Draft:
    """Write a draft that can teach: of user `ada`, all of one group; its reward first, then what differs."""
    numbers: Iterator[int] = count()

    def write(total: float = 0.5, **changes: Any) -> Rollout:
        number = next(numbers)
        fields: dict[str, Any] = {
            "rollout_id": f"r{number}",
            "draft_ix": number,
            "completion": f"Draft {number}.",
            "profile_text": f"Draft {number}.",
            "rewards": {"rank": total, "total": total},
        }
        return logged_draft(**(fields | changes))

    return write


async def _batches(drafts: Iterable[Rollout]) -> AsyncIterator[list[Rollout]]:
    for each in drafts:
        yield [each]


@pytest.fixture
def log() -> Callable[[Iterable[Rollout]], Source]:
    """Make a log of drafts."""
    return lambda drafts: Source("drafts", _batches(drafts))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a training set of drafts and read it back; everybody trains unless a recipe says otherwise."""

    async def make_it(drafts: Iterable[Rollout], recipe: Recipe = EVERYTHING, **doors: Any) -> TrainingSet:
        out = tmp_path / "set"
        manifest = await prepare(Source("drafts", _batches(drafts)), out, recipe, **doors)
        found = TrainingSet.open(out)
        assert found.manifest == manifest
        return found

    return make_it
