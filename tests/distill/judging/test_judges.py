"""What each judge says of a portrait, worked out by hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from limner.distill.judging.grading import Reading
from limner.distill.judging.judges import EncoderJudge, HistoryLikeness, LexicalJudge
from limner.distill.judging.sitters import Sitter
from limner.models import Facet
from limner.records import Polarity
from limner.tools.embedder import FloatArray

Sitters = Callable[[int], list[Sitter]]


class Table:
    """An encoder that knows its texts by heart."""

    name = "table"
    dimension = 2

    def __init__(self, known: Mapping[str, tuple[float, float]]) -> None:
        self._known = known
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Look texts up."""
        self.asked += texts
        return np.array([self._known[text] for text in texts], dtype=np.float32).reshape(len(texts), 2)

    async def aclose(self) -> None:
        """Hold nothing."""


def portrait(*likes: str, dislikes: Sequence[str] = ()) -> Reading:
    told: list[tuple[str, Polarity]] = []
    told.extend((text, "like") for text in likes)
    told.extend((text, "dislike") for text in dislikes)
    return Reading({}, tuple(Facet(name="f", text=text, polarity=polarity) for text, polarity in told))


NOTHING = Reading({"malformed": 1.0, "total": -1.0}, ())


@pytest.fixture
def sitter(sitters: Sitters) -> Sitter:
    """One held-back item against three."""
    return replace(
        sitters(1)[0],
        history=("north", "north east"),
        positives=("east",),
        negatives=("north", "west", "south"),
    )


KNOWN = {
    "north": (0.0, 1.0),
    "east": (1.0, 0.0),
    "west": (-1.0, 0.0),
    "south": (0.0, -1.0),
    "north east": (0.6, 0.8),
    "Up.": (0.0, 1.0),
    "Right.": (1.0, 0.0),
    "Up. Right.": (0.6, 0.8),
}


async def test_an_encoder_ranks_held_back_items_by_the_best_sentence(sitter: Sitter) -> None:
    judge = EncoderJudge(Table(KNOWN), temperature=0.01)

    values = await judge.measure(
        sitter, [portrait("Right."), portrait("Up."), portrait("Up.", "Right."), NOTHING]
    )

    # First; second behind "north" and tied with "west": 1 + 1 + .5; tied with "north"; tied with all three.
    places = [1.0, 2.5, 1.5, 2.5]
    assert values == pytest.approx([1 / np.log2(1 + place) for place in places])


async def test_dislikes_pull_nothing_in_unless_there_is_nothing_else(sitter: Sitter) -> None:
    encoder = Table(KNOWN)

    [value] = await EncoderJudge(encoder, temperature=0.01).measure(
        sitter, [portrait("Right.", dislikes=["Up."])]
    )

    assert value == 1.0
    assert "Up." not in encoder.asked
    assert portrait(dislikes=["Up."]).liked == ("Up.",)


async def test_likeness_is_the_mean_score_of_the_history(sitter: Sitter) -> None:
    likeness = HistoryLikeness(Table(KNOWN), temperature=1.0)

    found = await likeness.measure(sitter, [portrait("Up."), NOTHING])

    assert found[0] == pytest.approx((1.0 + 0.8) / 2)  # the same sentence twice: the cosine itself
    assert np.isnan(found[1])
    silent = await likeness.measure(replace(sitter, history=()), [portrait("Up.")])
    assert np.isnan(silent).all()


async def test_bm25_finds_shared_words_and_ties_what_shares_none(sitter: Sitter) -> None:
    judge = LexicalJudge(["east", "north", "west", "south", "elsewhere"])

    values = await judge.measure(
        sitter, [portrait("Going east."), portrait("Going north."), portrait("Home."), NOTHING]
    )

    # First; behind "north", tied with two: 1 + 1 + 1; tied with all three: 1 + 1.5, twice.
    assert values == pytest.approx([1 / np.log2(1 + place) for place in (1.0, 3.0, 2.5, 2.5)])
