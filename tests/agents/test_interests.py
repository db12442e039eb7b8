"""The user side: likes, dislikes and the core of both, without a model call."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import numpy as np

from limner.agents.cards.interests import (
    MOST_CORE_WORDS,
    core_of,
    interest_vectors,
    interests_of,
    read_interests,
    reason_about,
)
from limner.agents.drawing import Drawing
from limner.cards import Interests
from limner.models import Cue, Profile
from limner.records import Polarity
from limner.tools.budget import Budget
from limner.tools.card_scores import CardVectors, InterestVectors
from limner.tools.embedder import HashingEmbedder
from limner.tools.scripted import Script, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]


def cue(theme: str, polarity: Polarity, weight: float = 1.0) -> Cue:
    return Cue(
        cue_id=f"{theme}-{weight}", text=theme, polarity=polarity, facet=theme, evidence=("e",), weight=weight
    )


def portrait(later: datetime, *, dislikes: tuple[str, ...]) -> Profile:
    return Profile(
        user_id="ada",
        version=1,
        as_of=later,
        text="Enjoys roses.",
        likes=("Enjoys roses.",),
        dislikes=dislikes,
        language="en",
        source="model",
        critic_version="c",
        fingerprint="f",
        created_at=later,
    )


def test_a_portrait_speaks_and_cues_fill_the_side_it_leaves_out(later: datetime) -> None:
    cues = [cue("ferns", "like"), cue("noise", "dislike"), cue("mud", "dislike", 3.0)]

    whole = interests_of("ada", portrait(later, dislikes=("Avoids dust.",)), cues)
    half = interests_of("ada", portrait(later, dislikes=()), cues)

    assert (whole.likes, whole.dislikes) == (("Enjoys roses.",), ("Avoids dust.",))
    assert (half.likes, half.dislikes) == (("Enjoys roses.",), ("Avoids mud and noise.",))
    assert half.core == "Enjoys roses. Avoids mud and noise."


def test_cues_alone_are_written_in_the_users_language() -> None:
    found = interests_of("ada", None, [cue("Rosen", "like"), cue("Lärm", "dislike")], language="de")

    assert found == Interests(
        user_id="ada", likes=("Mag Rosen.",), dislikes=("Meidet Lärm.",), core="Mag Rosen. Meidet Lärm."
    )
    assert interests_of("ada", None, []).core == ""


def test_a_core_has_at_most_50_words_and_keeps_a_dislike() -> None:
    likes = [f"Enjoys {' '.join([word] * 19)}." for word in ("red", "blue", "green", "grey")]  # 20 words each

    core = core_of(likes, ["Avoids noise."])

    # 20 + 2, then 20 more make 42; another like would make 62.
    assert len(core.split()) == 42 and core.endswith("Avoids noise.")
    assert len(core_of(["many " * 90], []).split()) == MOST_CORE_WORDS


async def test_interests_are_read_from_the_store_without_a_call_and_not_from_later(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat)
    profile = await drawing.profile("ada", as_of=later, budget=Budget())
    asked = len(chat.requests)

    found = await read_interests(drawing.deps, "ada", as_of=later)
    early = await read_interests(drawing.deps, "ada", as_of=later - timedelta(days=99))
    nobody = await read_interests(drawing.deps, "zoe", as_of=later)

    assert found.likes == profile.likes and found.core
    assert len(found.core.split()) <= MOST_CORE_WORDS
    assert (early.likes, nobody.likes) == ((), ())  # the portrait is of a later moment, and so are its cues
    assert len(chat.requests) == asked


async def test_each_sentence_has_its_own_vector() -> None:
    ada = Interests(user_id="ada", likes=("Enjoys roses.", "Enjoys tea."), dislikes=("Avoids noise.",))
    bo = Interests(user_id="bo", likes=("Enjoys chess.",))

    first, second = await interest_vectors(HashingEmbedder(), [ada, bo])

    assert (first.likes.shape, first.dislikes.shape) == ((2, 64), (1, 64))
    assert (second.likes.shape, second.dislikes.shape) == ((1, 64), (0, 64))


def test_reasoning_goes_both_ways() -> None:
    eye = np.eye(3, dtype=np.float32)
    ada = Interests(user_id="ada", likes=("Enjoys tea.", "Enjoys roses."), dislikes=("Avoids noise.",))
    vectors = InterestVectors(likes=eye[[0, 1]], dislikes=eye[[2]])
    cards = CardVectors(liked_by=eye[[1, 2]], disliked_by=eye[[0, 2]], feature=eye[[1, 0]])

    roses, noisy = (reason_about(ada, vectors, cards, place) for place in (0, 1))

    assert (roses.draws, roses.attraction, roses.refuses) == ("Enjoys roses.", 1.0, None)
    # Card 1 is tea (feature) for lovers of noise: the like of tea scores 1, the dislike of noise 1 as well.
    assert (noisy.draws, noisy.attraction, noisy.refusal) == ("Enjoys tea.", 1.0, 1.0)
    stranger = reason_about(Interests(user_id="x"), InterestVectors(eye[:0], eye[:0]), cards, 0)
    assert stranger == (None, 0.0, None, 0.0)
