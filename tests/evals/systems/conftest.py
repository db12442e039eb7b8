"""Small pasts and questions for the systems under test."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from limner.evals.dataset import Card, Events
from limner.evals.splits import Answers, Past, Queries
from limner.evals.workspace import Workspace
from limner.records import Item
from limner.settings import Settings

Sequences = Sequence[Sequence[int]]


def _events(sequences: Sequences, texts: Sequence[Sequence[str]] | None) -> Events:
    item = np.array([number for items in sequences for number in items], dtype=np.int64)
    return Events(
        user=np.repeat(np.arange(len(sequences)), [len(items) for items in sequences]),
        item=item,
        at=np.array([place for items in sequences for place in range(len(items))], dtype=np.int64),
        rating=np.full(len(item), np.nan, dtype=np.float32),
        text=None if texts is None else tuple(text for each in texts for text in each),
    )


def _past(
    sequences: Sequences, *, n_items: int = 0, items: Sequence[Item] | None = None, seed: int = 0
) -> Past:
    catalogue = items or tuple(Item(item_id=f"i{number}") for number in range(n_items))
    card = Card(
        name="tiny",
        source="made up",
        terms="none",
        users=len(sequences),
        items=len(catalogue),
        events=sum(map(len, sequences)),
        clock="order",
        text_by_model=False,
    )
    return Past(
        card=card,
        items=catalogue,
        user_ids=tuple(f"u{number}" for number in range(len(sequences))),
        events=_events(sequences, None),
        as_of=None,
        seed=seed,
    )


def _queries(histories: Sequences, texts: Sequence[Sequence[str]] | None = None) -> Queries:
    lengths = np.array([len(items) for items in histories], dtype=np.int64)
    return Queries(
        user=np.arange(len(histories)),
        as_of=lengths,
        history=_events(histories, texts),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
    )


def _answers(items: Sequence[int]) -> Answers:
    return Answers(
        item=np.array(items, dtype=np.int64),
        rating=np.full(len(items), np.nan, dtype=np.float32),
        starts=np.arange(len(items) + 1),
    )


@pytest.fixture
def past_of() -> Callable[..., Past]:
    """Make a past of users' sequences, oldest first."""
    return _past


@pytest.fixture
def queries_of() -> Callable[..., Queries]:
    """Make questions after some histories; user numbers are places."""
    return _queries


@pytest.fixture
def answers_of() -> Callable[[Sequence[int]], Answers]:
    """Make one answer a question."""
    return _answers


@pytest.fixture
def told() -> list[str]:
    """What a workspace's notices said."""
    return []


@pytest.fixture
def workspace(tmp_path: Path, told: list[str]) -> Workspace:
    """Return a workspace in an empty folder."""
    return Workspace(folder=tmp_path, seed=0, settings=Settings(), notice=told.append)
