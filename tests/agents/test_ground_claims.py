"""Every published sentence rests on the user's own visible interactions."""

import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner.agents.drawing import Drawing
from limner.models import Profile
from limner.records import Interaction
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]
ONE_DRAFT = {"drafts": 1, "rounds": 0}

# What ada did, as prompts name it: e1 roses, e2 telescopes, e3 compost, e4 comets (disliked), …
TRUE = "Enjoys gardening with roses and a handbook."


def sentence(text: str, *evidence: str) -> Mapping[str, Any]:
    return {"evidence": list(evidence), "theme": "t", "sentence": text}


def drafting(
    *likes: Mapping[str, Any], dislikes: tuple[Mapping[str, Any], ...] = ()
) -> Callable[[ChatRequest], Scripted]:
    def answer(request: ChatRequest) -> Scripted:
        if request.purpose == "extract_cues":
            return {"cues": []}
        return {"likes": list(likes), "dislikes": list(dislikes)}

    return answer


async def draw(open_drawing: Open, later: datetime, script: Callable[[ChatRequest], Scripted]) -> Profile:
    """Draw with a critic that tells no drafts apart, so that the model's is published whatever it is worth."""
    blind = {"rank": 0.0, "emb": 0.0, "ground": 0.0, "length": 0.0, "boiler": 0.0}
    drawing = await open_drawing(ScriptedChat(script), drafting=ONE_DRAFT, reward=blind)
    return await drawing.profile("ada", as_of=later, budget=Budget())


def cited(profile: Profile) -> dict[str, tuple[str, ...]]:
    assert profile.source == "model"
    return {claim.text: claim.evidence for claim in profile.claims}


async def test_a_claim_with_the_wrong_evidence_is_cited_again(open_drawing: Open, later: datetime) -> None:
    profile = await draw(open_drawing, later, drafting(sentence(TRUE, "e8")))

    # e8 is about nebulae; the roses handbook of e1 has all the words.
    assert cited(profile)[TRUE][0] == "ada-00"


async def test_a_claim_with_the_right_evidence_keeps_it(open_drawing: Open, later: datetime) -> None:
    compost = "Enjoys gardening with compost and a kit."

    profile = await draw(open_drawing, later, drafting(sentence(TRUE, "e1"), sentence(compost, "e3", "e1")))

    assert cited(profile) == {TRUE: ("ada-00",), compost: ("ada-02", "ada-00")}


async def test_what_the_user_disliked_is_no_evidence_of_liking(open_drawing: Open, later: datetime) -> None:
    comets = "Enjoys astronomy with comets and a kit."

    profile = await draw(open_drawing, later, drafting(sentence(comets, "e4"), sentence(TRUE, "e1")))

    assert "ada-03" not in {event_id for claim in profile.claims for event_id in claim.evidence}


@pytest.mark.parametrize("evidence", [[], ["e77"], ["ada-11"], ["e12"]])
async def test_a_claim_that_cites_nothing_it_could_see_is_cited_again(
    open_drawing: Open, later: datetime, evidence: list[str]
) -> None:
    """The last three of twelve are held back: e12 and ada-11 name nothing."""
    profile = await draw(open_drawing, later, drafting(sentence(TRUE, *evidence)))

    assert cited(profile)[TRUE][0] == "ada-00"


async def test_a_claim_that_nothing_supports_is_dropped_everywhere(
    open_drawing: Open, later: datetime
) -> None:
    invented = "Collects vintage motorcycles from Peru."
    shunned = "Avoids submarines."
    profile = await draw(
        open_drawing,
        later,
        drafting(sentence(invented, "e1"), sentence(TRUE, "e1"), dislikes=(sentence(shunned, "e4"),)),
    )

    assert cited(profile) == {TRUE: ("ada-00",)}
    assert profile.text == TRUE
    assert profile.likes == (TRUE,) and profile.dislikes == ()
    assert not any(text in profile.model_dump_json() for text in (invented, shunned))


async def test_a_draft_without_any_supported_claim_gives_way_to_the_extractive_portrait(
    open_drawing: Open, later: datetime
) -> None:
    profile = await draw(
        open_drawing, later, drafting(sentence("Collects vintage motorcycles from Peru.", "e1"))
    )

    assert profile.source == "extractive"
    assert profile.claims
    assert "no model draft was usable; the extractive portrait is published" in profile.notes


def check_promises(profile: Profile, visible: set[str]) -> None:
    assert profile.text == " ".join(facet.text for facet in profile.facets)
    assert [claim.text for claim in profile.claims] == [facet.text for facet in profile.facets]
    assert {*profile.likes, *profile.dislikes} == {facet.text for facet in profile.facets}
    for claim in profile.claims:
        assert claim.evidence and set(claim.evidence) <= visible
        assert len(set(claim.evidence)) == len(claim.evidence)


WORDS = st.sampled_from(
    [
        "roses",
        "gardening",
        "nebulae",
        "comets",
        "kit",
        "Peru",
        "motorcycles",
        "dull",
        "lovely",
        "的",
        "handbook",
    ]
)


@st.composite
def sentences(draw: st.DrawFn) -> Mapping[str, Any]:
    """Any words, citing anything."""
    words = draw(st.lists(WORDS, max_size=6))
    evidence = draw(st.lists(st.sampled_from(["e1", "e4", "e9", "e10", "e12", "x", ""]), max_size=3))
    return sentence(" ".join(words), *evidence)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(likes=st.lists(sentences(), max_size=4), dislikes=st.lists(sentences(), max_size=2), run=st.uuids())
async def test_whatever_the_model_writes_claims_cite_visible_events_and_no_reward_is_below_the_floor(
    open_drawing: Open,
    events: list[Interaction],
    later: datetime,
    tmp_path_factory: pytest.TempPathFactory,
    likes: list[Mapping[str, Any]],
    dislikes: list[Mapping[str, Any]],
    run: object,
) -> None:
    chat = ScriptedChat(drafting(*likes, dislikes=tuple(dislikes)), name=f"scripted-{run}")
    drawing = await open_drawing(chat, drafting=ONE_DRAFT)

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    check_promises(profile, {event.event_id for event in events if event.user_id == "ada"} - HELD)
    rollouts = [rollout async for batch in drawing.deps.store.rollouts() for rollout in batch]
    [floor] = [r for r in rollouts if r.round == -1 and r.run_id == rollouts[-1].run_id]
    assert profile.reward is not None and profile.reward >= floor.rewards["total"]


HELD = {"ada-09", "ada-10", "ada-11"}


@pytest.mark.parametrize("seed", range(5))
async def test_shuffled_claims_cite_only_the_users_own_events(
    open_drawing: Open, events: list[Interaction], later: datetime, seed: int
) -> None:
    rng = random.Random(seed)
    words = [
        "gardening",
        "roses",
        "astronomy",
        "telescopes",
        "compost",
        "kit",
        "eclipses",
        "hedges",
        "ferns",
        "nebulae",
    ]
    written = [sentence("Enjoys " + " ".join(rng.sample(words, 3)), f"e{rng.randint(1, 9)}") for _ in "abc"]

    profile = await draw(open_drawing, later, drafting(*written))

    check_promises(profile, {event.event_id for event in events if event.user_id == "ada"} - HELD)
