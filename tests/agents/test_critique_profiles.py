"""What the critic finds in a draft, in numbers worked out by hand."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pytest

from limner.agents.drawing import Drawing
from limner.agents.graph import build_graph
from limner.agents.state import Draft, State
from limner.models import Critique
from limner.records import Interaction, Item
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.embedder import FloatArray
from limner.tools.scripted import Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]

NAMES = {
    "gardening": ("roses", "compost", "orchids", "hedges", "ferns", "tulips", "cacti", "moss"),
    "astronomy": ("comets", "nebulae", "planets", "meteors"),
    "sailing": ("knots", "dinghies", "harbours", "currents"),
}
WORDS = (*NAMES, *(word for words in NAMES.values() for word in words))
HALF = 1 / math.sqrt(2.0)  # cosine of an item with its theme: two words of equal weight


class KeywordEmbedder:
    """An encoder that can be worked out by hand: one axis for each word of the world, one for all others."""

    name = "keywords"
    dimension = len(WORDS) + 1

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return the unit vector of the words that occur."""
        self.texts += texts
        rows = [[float(word in text.casefold()) for word in WORDS] for text in texts]
        matrix = np.asarray([[*row, float(not any(row))] for row in rows], dtype=np.float32)
        matrix = matrix.reshape(len(texts), self.dimension)
        unit: FloatArray = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        return unit

    async def aclose(self) -> None:
        """Hold nothing."""


@pytest.fixture
def embedder() -> KeywordEmbedder:
    return KeywordEmbedder()


@pytest.fixture
def items() -> list[Item]:
    """An item for each word; its text is its word and its theme."""
    return [
        Item(item_id=word, title=word.capitalize(), categories=(theme,), tags=(word,))
        for theme, words in NAMES.items()
        for word in words
    ]


def happened(*words: str) -> list[Interaction]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Interaction(
            event_id=f"x{day}", user_id="u", item_id=word, kind="purchase", at=start + timedelta(days=day)
        )
        for day, word in enumerate(words)
    ]


# Six are shown, the last three are held back.
HISTORY = happened("roses", "compost", "orchids", "hedges", "ferns", "planets", "tulips", "comets", "nebulae")


def saying(*sentences: str, evidence: str = "e1") -> Callable[[ChatRequest], Scripted]:
    """A model that notes nothing and drafts these sentences."""
    likes = [{"evidence": [evidence], "theme": "t", "sentence": sentence} for sentence in sentences]

    def answer(request: ChatRequest) -> Scripted:
        return {"cues": []} if request.purpose == "extract_cues" else {"likes": likes}

    return answer


async def drafted(open_drawing: Open, script: Callable[[ChatRequest], Scripted], **settings: Any) -> Draft:
    """Run the graph over `HISTORY` and return its first model draft as the critic read it."""
    settings = {"drafting": {"drafts": 1, "rounds": 0}, **settings}
    chat = ScriptedChat(script)
    drawing = await open_drawing(chat, events=HISTORY, **settings)
    deps = replace(drawing.deps, chat=chat, budget=Budget())
    moment = datetime(2026, 2, 1, tzinfo=UTC)
    given = State(user_id="u", item_id=None, as_of=moment, run_id="r")
    steps = [step async for step in build_graph().astream(given, context=deps, stream_mode="updates")]
    [criticised] = [step["critique_profiles"] for step in steps if "critique_profiles" in step]
    return cast(Draft, criticised["drafts"][1])


def critique_of(draft: Draft) -> Critique:
    assert draft.critique is not None
    return draft.critique


async def test_rank_and_margin_of_the_held_back_items(open_drawing: Open) -> None:
    critique = critique_of(await drafted(open_drawing, saying("Enjoys gardening.")))

    # The sentence and the whole are the axis `gardening`. Held back: tulips HALF, comets 0, nebulae 0.
    # Negatives are all others: cacti and moss HALF; meteors and four of sailing 0.
    # Mid-ranks: tulips 1 + 2 / 2 = 2; comets and nebulae 1 + 2 + 5 / 2 = 5.5 each.
    assert critique.rank == pytest.approx((2.0 + 5.5 + 5.5) / 3)
    assert critique.margin == pytest.approx(HALF / 3 - 2 * HALF / 7, abs=1e-6)
    assert critique.rewards["rank"] == pytest.approx((1 / math.log2(3) + 2 / math.log2(6.5)) / 3)


async def test_each_liked_sentence_scores_by_itself(open_drawing: Open) -> None:
    critique = critique_of(await drafted(open_drawing, saying("Enjoys gardening.", "Enjoys astronomy.")))

    # Soft maximum over two sentences and the whole, at 0.05: with cosines HALF, 0 and 0.5 it is
    # HALF + 0.05 * log((1 + e^((0 - HALF) / 0.05) + e^((0.5 - HALF) / 0.05)) / 3).
    own = HALF + 0.05 * math.log((1 + math.exp(-HALF / 0.05) + math.exp((0.5 - HALF) / 0.05)) / 3)
    # All three held-back items tie with cacti, moss and meteors: 1 + 3 / 2.
    assert critique.rank == pytest.approx(2.5)
    assert critique.margin == pytest.approx(own - 3 * own / 7, abs=1e-5)


async def test_the_advice_names_what_the_shown_history_says_about_the_worst_miss(open_drawing: Open) -> None:
    critique = critique_of(await drafted(open_drawing, saying("Enjoys gardening.")))

    # The worst miss is about astronomy; of what was shown, planets lies nearest to it.
    assert {"astronomy", "planets"} <= set(critique.missed)
    assert critique.advice.startswith("Say more about ")
    assert "gardening" not in critique.missed  # said already


@pytest.mark.parametrize(
    "sentence",
    ["Enjoys comets most of all.", "Sailing with nebulae fills the evenings.", "Tulips and knots."],
)
async def test_the_advice_never_names_what_is_held_back(open_drawing: Open, sentence: str) -> None:
    """Not even where the draft guessed it: quoting the guess would confirm it."""
    critique = critique_of(await drafted(open_drawing, saying(sentence), reward={"leak": 0.0}))

    told = critique.advice.casefold()
    assert not any(word in told for word in ("tulips", "comets", "nebulae"))


async def test_a_sentence_that_its_evidence_does_not_support_is_told(open_drawing: Open) -> None:
    critique = critique_of(
        await drafted(open_drawing, saying("Enjoys harbours.", "Enjoys roses."), critic={"support": 0.6})
    )

    assert critique.unsupported == ("Enjoys harbours.",)
    assert "The entries do not support: Enjoys harbours." in critique.advice
    assert critique.rewards["ground"] == 0.5


async def test_a_draft_that_spells_what_is_held_back_scores_the_floor(open_drawing: Open) -> None:
    critique = critique_of(await drafted(open_drawing, saying("Enjoys gardening.", "Would buy Tulips next.")))

    assert critique.rewards["leak"] == 1.0
    assert critique.rewards["total"] == -1.0


async def test_a_weight_of_zero_switches_a_term_off_and_another_critic_is_another_version(
    open_drawing: Open,
) -> None:
    plain = critique_of(await drafted(open_drawing, saying("Enjoys gardening.")))
    off = critique_of(await drafted(open_drawing, saying("Enjoys gardening."), reward={"emb": 0.0}))

    assert set(plain.rewards) - set(off.rewards) == {"emb"}


async def test_the_next_item_question_is_asked_only_if_it_has_a_weight(open_drawing: Open) -> None:
    def letters(request: ChatRequest) -> Scripted:
        if request.purpose != "choose_next":
            return saying("Enjoys gardening.")(request)
        lines = request.messages[-1].content.splitlines()
        return next(line[0] for line in lines if line.endswith("Tulips. gardening. tulips"))

    off = critique_of(await drafted(open_drawing, saying("Enjoys gardening.")))
    on = critique_of(await drafted(open_drawing, letters, reward={"text": 1.0}))

    assert "text" not in off.rewards
    assert on.rewards["text"] == 1.0  # the right letter, by a backend without log-probabilities
