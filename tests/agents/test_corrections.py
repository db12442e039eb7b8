"""A corrected claim: out of the portrait at once, and kept out of the ones drawn later."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from limner import Limner, Profile
from limner.agents.corrections.correction import (
    Correction,
    correction_of,
    correction_text,
    heed,
    own_words,
    same,
)
from limner.errors import InputError, NoPortraitError, UnknownClaimError, UnknownUserError
from limner.models import Claim, Facet
from limner.records import Interaction, Item
from limner.settings import load_settings
from limner.tools.chat import ChatRequest
from limner.tools.clock import ManualClock
from limner.tools.scripted import Scripted, ScriptedChat


def stubborn(request: ChatRequest) -> Scripted:
    """Say the same two things whatever the user corrects."""
    if request.purpose == "extract_cues":
        return {"cues": []}
    said = {"roses": ("e1", "Enjoys roses."), "telescopes": ("e2", "Keeps coming back to telescopes.")}
    return {
        "likes": [
            {"evidence": [ref], "theme": theme, "sentence": text} for theme, (ref, text) in said.items()
        ]
    }


@pytest.fixture
def world(tmp_path: Path, clock: ManualClock) -> Any:
    settings = load_settings(
        store=tmp_path / "store", embedder="hashing", model="none", drafting={"rounds": 0, "style": "free"}
    )
    return lambda: Limner(settings, chat=ScriptedChat(stubborn), clock=clock)


async def fill(limner: Limner, items: list[Item], events: list[Interaction]) -> Profile:
    """Draw a portrait of two events: too few to hold one back, so that the model's draft is published."""
    await limner.add_items(items)
    await limner.record_many([event for event in events if event.event_id in ("ada-00", "ada-01", "bo-00")])
    return await limner.profile("ada")


async def test_a_removed_claim_is_gone_at_once_and_stays_gone(
    world: Any, items: list[Item], events: list[Interaction], clock: ManualClock
) -> None:
    async with world() as limner:
        drawn = await fill(limner, items, events)
        assert [claim.text for claim in drawn.claims] == ["Enjoys roses.", "Keeps coming back to telescopes."]

        corrected = await limner.correct("ada", 0, remove=True, reason="they were for my aunt")

        assert (corrected.version, corrected.parent_version) == (2, 1)
        assert corrected.text == "Keeps coming back to telescopes."
        assert (corrected.likes, len(corrected.facets)) == (("Keeps coming back to telescopes.",), 1)
        assert await limner.profile("ada") == corrected  # nothing is drawn for the correction alone

        clock.advance(86_400)
        await limner.record(
            "ada", [{"item_id": "chess-1", "kind": "purchase", "at": clock.now() - timedelta(hours=1)}]
        )
        later = await limner.profile("ada")
        assert later.version == 3
        assert "Enjoys roses." not in later.text
        assert "aunt" not in " ".join(event.title for event in later.recent)


async def test_a_replaced_claim_is_told_in_the_users_words_from_then_on(
    world: Any, items: list[Item], events: list[Interaction], clock: ManualClock
) -> None:
    async with world() as limner:
        await fill(limner, items, events)

        corrected = await limner.correct("ada", "enjoys  ROSES.", replace="Avoids roses.")

        assert (corrected.likes, corrected.dislikes) == (
            ("Keeps coming back to telescopes.",),
            ("Avoids roses.",),
        )
        [statement] = [event for event in await limner.history("ada") if event.kind == "message"]
        assert corrected.claims[0] == Claim(
            text="Avoids roses.", evidence=(statement.event_id,), confidence=1.0
        )
        assert corrected.facets[0].name == "roses"

        clock.advance(86_400)
        await limner.record(
            "ada", [{"item_id": "chess-1", "kind": "purchase", "at": clock.now() - timedelta(hours=1)}]
        )
        later = await limner.profile("ada")
        assert later.dislikes == ("Avoids roses.",)
        assert "Enjoys roses." not in later.text


async def test_a_correction_of_a_stale_portrait_does_not_pass_for_a_fresh_one(
    world: Any, items: list[Item], events: list[Interaction], clock: ManualClock
) -> None:
    async with world() as limner:
        await fill(limner, items, events)
        await limner.record(
            "ada", [{"item_id": "chess-1", "kind": "purchase", "at": clock.now() - timedelta(hours=1)}]
        )

        corrected = await limner.correct("ada", 0, remove=True)

        assert (corrected.version, (await limner.profile("ada")).version) == (2, 3)


@pytest.mark.parametrize(
    ("user", "claim", "how", "error"),
    [
        ("nobody", 0, {"remove": True}, UnknownUserError),
        ("bo", 0, {"remove": True}, NoPortraitError),
        ("ada", 2, {"remove": True}, UnknownClaimError),
        ("ada", -1, {"remove": True}, UnknownClaimError),
        ("ada", "Enjoys tea.", {"remove": True}, UnknownClaimError),
        ("ada", 0, {}, InputError),
        ("ada", 0, {"remove": True, "replace": "Enjoys tea."}, InputError),
        ("ada", 0, {"replace": "  "}, InputError),
    ],
)
async def test_what_cannot_be_corrected_changes_nothing(
    world: Any,
    items: list[Item],
    events: list[Interaction],
    user: str,
    claim: str | int,
    how: Mapping[str, Any],
    error: type[Exception],
) -> None:
    async with world() as limner:
        await fill(limner, items, events)
        before = await limner.history("ada")

        with pytest.raises(error):
            await limner.correct(user, claim, **how)

        assert await limner.history("ada") == before


def statement(wrong: str, right: str | None, number: int = 0) -> Interaction:
    return Interaction(
        event_id=f"correction:{number}",
        user_id="ada",
        kind="message",
        at="2026-01-01",  # pyright: ignore[reportArgumentType]  # pydantic reads it
        text=correction_text(wrong, right, "because"),
    )


def test_a_correction_reads_back_and_says_only_what_is_right() -> None:
    replaced, removed = statement("Enjoys tea.", "Enjoys coffee."), statement("Enjoys tea.", None)

    assert correction_of(replaced) == Correction("correction:0", "Enjoys tea.", "Enjoys coffee.")
    assert correction_of(removed) == Correction("correction:0", "Enjoys tea.", None)
    assert (own_words(replaced), own_words(removed)) == ("Enjoys coffee.", "")
    ordinary = replaced.model_copy(update={"event_id": "e1"})
    assert correction_of(ordinary) is None
    assert own_words(ordinary) == ordinary.text


def test_a_later_correction_holds_over_an_earlier_one() -> None:
    facets = (Facet(name="tea", text="Enjoys tea."),)
    claims = (Claim(text="Enjoys tea.", evidence=("e1",), confidence=0.5),)
    first, second = statement("Enjoys tea.", "Enjoys coffee."), statement("Enjoys coffee.", None, 1)

    assert [facet.text for facet in heed(facets, claims, [first], "en").facets] == ["Enjoys coffee."]
    assert heed(facets, claims, [first, second], "en").facets == ()
    assert heed(facets, claims, [], "en") == (facets, claims)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Enjoys roses, ferns and compost.", "Drawn to ferns and roses.", True),
        ("Enjoys roses, ferns and compost.", "Enjoys roses, knots and chess.", False),  # 1 of 3 words
        ("Is drawn to roses.", "Is put off by roses.", False),
        ("Mag Rosen.", "mag  rosen.", True),
    ],
)
def test_sentences_are_the_same_by_their_content_and_side(one: str, other: str, alike: bool) -> None:
    assert same(one, other, "en") is alike
