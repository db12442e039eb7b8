"""Cues with evidence, made by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from limner.evals.junk.exhibits import Exhibit, exhibits_of
from limner.models import Cue
from limner.records import Interaction, Item, Polarity
from limner.tools.store import RatingScale

_START = datetime(2026, 1, 1, tzinfo=UTC)

MakeExhibit = Callable[..., Exhibit]


def _make(
    text: str,
    *said: str,
    user_id: str = "u",
    polarity: Polarity = "neutral",
    item: str = "",
    rating: float | None = None,
) -> Exhibit:
    """Return one cue that rests on what was said, about an item if one is named."""
    events = [
        Interaction(
            event_id=f"{user_id}-{ix}",
            user_id=user_id,
            item_id="i" if item else None,
            kind="review" if item else "message",
            at=_START + timedelta(minutes=ix),
            rating=rating,
            text=words or None,
        )
        for ix, words in enumerate(said)
    ]
    fields: dict[str, Any] = {"facet": "thing", "polarity": polarity, "text": text}
    cue = Cue(
        cue_id=f"{user_id}-{text}", evidence=tuple(event.event_id for event in events) or ("gone",), **fields
    )
    items = {"i": Item(item_id="i", title=item)} if item else {}
    [exhibit] = exhibits_of(user_id, [cue], events, items, RatingScale(1.0, 5.0, 3.0, 10))
    return exhibit


@pytest.fixture
def make_exhibit() -> MakeExhibit:
    """Make an exhibit of a cue's text and what its evidence says."""
    return _make
