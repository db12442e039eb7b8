"""The sentence that explains a pair: traceable, in the user's language, and kind."""

import tomllib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from limner.agents.drawing import Drawing
from limner.records import Interaction, Item
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Script, Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]
KINDS = ("because", "apart", "against")


def written(user: str, item: str, rating: str) -> Script:
    """A model that writes these profiles and expects this rating."""

    def answer(request: ChatRequest) -> Scripted:
        if request.purpose == "extract_cues":
            return {"cues": []}
        if request.purpose == "judge_pair":
            return rating
        return {
            "user_cue": "roses",
            "user_instruction": "Say what the person likes.",
            "user_profile": user,
            "item_cue": "dinghies",
            "item_instruction": "Say what the item is.",
            "item_profile": item,
        }

    return answer


BLIND = {"rank": 0.0, "emb": 0.0, "ground": 0.0, "length": 0.0, "boiler": 0.0}
"""All drafts are equal, so the model's is published."""


async def test_a_fit_is_explained_by_both_histories(open_drawing: Open, later: datetime) -> None:
    script = written("Enjoys gardening with roses.", "Suits lovers of dinghies and sailing.", "5")
    drawing = await open_drawing(ScriptedChat(script), drafting={"rounds": 0}, reward=BLIND)

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert pair.because == (
        "Recommended because you keep coming back to gardening and roses, and this one offers sailing and dinghies."
    )
    first = pair.reasons[0]
    assert first.text == "Enjoys gardening with roses. Suits lovers of dinghies and sailing."
    assert "ada-00" in first.user_evidence  # the roses
    assert set(first.item_evidence) <= {"bo-01", "cleo-00"} and first.item_evidence


async def test_a_poor_fit_says_so_kindly(open_drawing: Open, later: datetime) -> None:
    script = written("Enjoys gardening with roses.", "Suits lovers of dinghies and sailing.", "1")
    drawing = await open_drawing(ScriptedChat(script), drafting={"rounds": 0}, reward=BLIND)

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert pair.fit == 0.0
    assert pair.because == (
        "Perhaps not the closest fit: you usually choose gardening and roses, while this one offers sailing and "
        "dinghies."
    )


async def test_what_the_user_avoids_speaks_against_an_item_even_if_the_judge_likes_it(
    open_drawing: Open, items: list[Item], later: datetime
) -> None:
    # Ada disliked days 3 and 4: astronomy-1 (comets) and gardening-2 (orchids).
    atlas = Item(item_id="atlas", title="Night atlas", categories=("comets", "kit"))
    script = written("Enjoys gardening with roses. Avoids the comets.", "About the comets.", "5")
    drawing = await open_drawing(
        ScriptedChat(script), items=[*items, atlas], drafting={"rounds": 0}, reward=BLIND
    )

    pair = await drawing.pair("ada", "atlas", as_of=later, budget=Budget())

    assert pair.fit == 1.0
    assert (
        pair.because == "Perhaps not the closest fit: you tend to avoid comets, and this one offers comets."
    )
    assert pair.reasons[0].user_evidence == ("ada-03",)


async def test_the_sentence_is_in_the_users_language(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    german = [
        event.model_copy(
            update={"text": "Das hat mir sehr gut gefallen, ich habe es das ganze Wochenende benutzt."}
        )
        for event in events
    ]
    drawing = await open_drawing(None, events=german)

    pair = await drawing.pair("ada", "gardening-1", as_of=later, budget=Budget())

    assert pair.language == "de"
    assert pair.because.startswith(("Empfohlen, weil Sie oft ", "Vielleicht nicht ganz das Richtige: Sie "))


async def test_a_language_without_a_table_gets_the_two_halves(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    polish = [
        event.model_copy(
            update={"text": "Bardzo mi się to podobało, używałam tego przez cały weekend w ogrodzie."}
        )
        for event in events
    ]
    drawing = await open_drawing(None, events=polish)

    pair = await drawing.pair("ada", "gardening-1", as_of=later, budget=Budget())

    assert pair.language == "pl"
    assert "Recommended" not in pair.because and pair.because.count(" + ") + pair.because.count(" / ") == 1


async def test_what_only_one_other_user_said_is_not_repeated(
    open_drawing: Open, items: list[Item], events: list[Interaction], later: datetime
) -> None:
    bare = Item(item_id="bare", title="Xylograph", categories=("lamps",))
    said = [
        Interaction(
            user_id=user,
            item_id="bare",
            kind="review",
            at=later - timedelta(days=5 + day),
            text=f"{words} evenings",
        )
        for day, (user, words) in enumerate(
            # What the same person says twice is still said by one.
            (("bo", "moonlit"), ("cleo", "moonlit"), ("dan", "secretive"), ("dan", "secretive"))
        )
    ]
    script = written("Enjoys gardening with roses.", "Suits secretive and moonlit evenings.", "5")
    drawing = await open_drawing(
        ScriptedChat(script),
        items=[*items, bare],
        events=[*events, *said],
        drafting={"rounds": 0},
        reward=BLIND,
    )

    pair = await drawing.pair("ada", "bare", as_of=later, budget=Budget())

    assert pair.source == "model"
    assert "secretive" in pair.item.profile and "secretive" not in pair.because


async def test_the_sentence_is_the_same_every_time(open_drawing: Open, later: datetime) -> None:
    drawing = await open_drawing(None)
    told = {
        (await drawing.pair("ada", "sailing-0", as_of=later + timedelta(days=day), budget=Budget())).because
        for day in range(2)
    }

    assert len(told) == 1 and "" not in told


def test_every_language_of_portraits_has_the_three_sentences(root: Path) -> None:
    openers, told = (
        tomllib.loads((root / "prompts" / name).read_text(encoding="utf-8"))
        for name in ("openers.toml", "because.toml")
    )

    assert set(told) == set(openers)
    for code, entry in told.items():
        assert set(entry) == {*KINDS, "and"}, code
        for kind in KINDS:
            text = entry[kind].format(user="jazz", item="vinyl")
            assert text.endswith(".") and "jazz" in text and "vinyl" in text


@pytest.mark.parametrize(
    ("item", "opening"),
    [
        ("Suits lovers of dinghies and sailing.", "Perhaps not the closest fit: you usually choose "),
        ("Enjoys gardening with roses and sailing.", "Recommended because you keep coming back to "),
    ],
)
async def test_without_a_judge_the_likeness_of_the_profiles_tells_a_fit(
    open_drawing: Open, later: datetime, item: str, opening: str
) -> None:
    script = written("Enjoys gardening with roses.", item, "5")
    drawing = await open_drawing(
        ScriptedChat(script), drafting={"rounds": 0}, reward={**BLIND, "rating": 0.0}
    )

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert (pair.affinity >= 0.2) == opening.startswith("Recommended")
    assert pair.because.startswith(opening)
