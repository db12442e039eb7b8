"""Who sits, and what they are judged by."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from limner.distill.judging.sitters import Sitter, sample_rows, seat
from limner.distill.log.training_rows import PromptOnly
from limner.distill.log.training_set import TrainingSet
from limner.distill.rewards.reading import Reader
from limner.face import Limner
from limner.settings import load_settings

Sitters = Callable[[int], list[Sitter]]


@pytest.fixture
def rows(sitters: Sitters) -> list[PromptOnly]:
    """One prompt of each of twenty users."""
    return [each.row for each in sitters(20)]


def test_a_user_sits_once_with_the_newest_first_draft(rows: list[PromptOnly]) -> None:
    first = rows[0]
    later = first.model_copy(update={"as_of": first.as_of + timedelta(days=1), "group_key": "later"})
    revised = later.model_copy(update={"as_of": first.as_of + timedelta(days=2), "round": 1})

    found = sample_rows([revised, later, first], users=None, seed=0)

    assert found == [later]


def test_the_seed_decides_who_and_order_does_not(rows: list[PromptOnly]) -> None:
    five = sample_rows(rows, users=5, seed=0)

    assert five == sample_rows(reversed(rows), users=5, seed=0)
    assert five == sample_rows(rows, users=None, seed=0)[:5]
    assert {row.user_id for row in five} != {row.user_id for row in sample_rows(rows, users=5, seed=1)}


async def test_the_texts_are_those_of_the_critics_exam(stocked: Path) -> None:
    rows = sample_rows(TrainingSet.open(stocked / "set").prompts("test"), users=4, seed=0)
    moved = rows[0].model_copy(update={"held": ("another",)})
    settings = load_settings(store=stocked / "store", embedder="hashing", model="none")

    async with Limner(settings) as limner:
        reader = Reader((await limner.prepare()).deps)
        found = await seat(reader, [moved, *rows[1:]])
        history = await limner.doors.store.history(rows[1].user_id, as_of=rows[1].as_of)
        items = await limner.doors.store.items([event.item_id for event in history if event.item_id])

    assert found.changed == [moved.user_id]
    assert [each.row for each in found.sitters] == rows[1:]
    sitter = found.sitters[0]
    held = {event.item_id for event in history if event.event_id in sitter.row.held}
    assert sitter.positives and set(sitter.positives) <= {items[item].describe() for item in held if item}
    had = {item.describe() for item in items.values()}
    assert set(sitter.history) <= had - set(sitter.positives)
    assert len(sitter.negatives) > 50 and not had & set(sitter.negatives)
    assert sitter.schema is not None and sitter.max_tokens > 0
