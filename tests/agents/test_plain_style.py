"""The plain style: a short prompt, bare sentences, evidence that is found and not written."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from limner.agents.drawing import Drawing
from limner.agents.plain_form import completion_of
from limner.models import Facet, Rollout
from limner.records import Interaction
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]

GOOD = {
    "likes": ["Tends roses and compost in the garden.", "Follows eclipses through telescopes."],
    "dislikes": ["Avoids hedges."],
}


def saying(answer: Any) -> ScriptedChat:
    """A model that answers every prompt alike."""

    def answer_all(_: ChatRequest) -> Scripted:
        return answer if isinstance(answer, str) else json.dumps(answer)

    return ScriptedChat(answer_all)


async def log_of(drawing: Drawing) -> list[Rollout]:
    return [rollout async for batch in drawing.deps.store.rollouts() for rollout in batch]


async def test_one_prompt_is_sent_for_each_draft_and_none_for_cues(
    open_drawing: Open, later: datetime
) -> None:
    chat = saying(GOOD)
    drawing = await open_drawing(chat, style="plain", drafting={"drafts": 2, "rounds": 0})

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert [request.purpose for request in chat.requests] == ["draft_plain", "draft_plain"]
    assert profile.usage.calls == 2


async def test_sentences_cite_the_interactions_whose_words_they_use(
    open_drawing: Open, later: datetime
) -> None:
    """Ada's roses, compost and hedges are her gardening items 0, 1 and 3; telescopes and eclipses are
    astronomy items 0 and 2. Day 3 (astronomy 1) and day 4 (gardening 2) are disliked, so a dislike of hedges,
    which she liked, has nothing to rest on but the disliked days.
    """
    drawing = await open_drawing(saying(GOOD), style="plain", drafting={"drafts": 1, "rounds": 0})

    await drawing.profile("ada", as_of=later, budget=Budget())

    [draft] = [rollout for rollout in await log_of(drawing) if rollout.round == 0]
    cited = [set(claim.evidence) for claim in draft.claims]
    assert cited[0] == {"ada-00", "ada-02"}
    assert cited[1] == {"ada-01", "ada-05"}
    assert cited[2] <= {"ada-03", "ada-04"} and cited[2]
    assert [facet.polarity for facet in draft.facets] == ["like", "like", "dislike"]


async def test_a_revision_shows_the_draft_and_what_the_critic_says(
    open_drawing: Open, later: datetime
) -> None:
    chat = saying(GOOD)
    settings = {"drafts": 1, "rounds": 1, "revisions": 1, "accept": 2.0}
    drawing = await open_drawing(chat, style="plain", drafting=settings)

    await drawing.profile("ada", as_of=later, budget=Budget())

    first, second = chat.requests
    assert "So far:" not in first.messages[1].content
    assert "So far:\nTends roses and compost in the garden.\n" in second.messages[1].content


async def test_the_prompt_shows_twelve_entries_at_most_and_no_reviews(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    chat = saying(GOOD)
    more = [
        event.model_copy(
            update={"event_id": f"x{event.event_id}", "at": event.at + timedelta(days=20), "text": "Fine."}
        )
        for event in events
    ]
    drawing = await open_drawing(
        chat, style="plain", events=[*events, *more], drafting={"drafts": 1, "rounds": 0}
    )

    await drawing.profile("ada", as_of=later, budget=Budget())

    shown = chat.requests[0].messages[1].content
    assert shown.count("Complete ") == 12
    assert "wrote" not in shown
    assert shown.splitlines()[0].startswith("Often: ")


async def test_chat_turns_are_shown_in_the_users_words(open_drawing: Open, later: datetime) -> None:
    chat = saying({"likes": ["Wants short answers about roses."]})
    said = [
        Interaction(
            event_id=f"m{number}",
            user_id="talker",
            kind="message",
            at=later - timedelta(days=9 - number),
            text="Please keep answers about roses short.",
        )
        for number in range(4)
    ]
    drawing = await open_drawing(chat, style="plain", events=said)

    await drawing.profile("talker", as_of=later, budget=Budget())

    assert 'wrote: "Please keep answers about roses short."' in chat.requests[0].messages[1].content


@pytest.mark.parametrize(
    "answer", [{"likes": []}, {"likes": ["  "]}, {"likes": ["."]}, {"likes": "roses"}, "no JSON at all"]
)
async def test_an_answer_without_sentences_is_logged_at_the_floor(
    open_drawing: Open, later: datetime, answer: Any
) -> None:
    drawing = await open_drawing(saying(answer), style="plain", drafting={"drafts": 1, "rounds": 0})

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert profile.source == "extractive"
    bad = [rollout for rollout in await log_of(drawing) if rollout.round == 0]
    assert bad and all(rollout.rewards["total"] == -1.0 for rollout in bad)


def test_a_drafts_sentences_make_the_answer_that_reads_back_as_them() -> None:
    facets = [
        Facet(name="a", text='Says "hello".', polarity="like"),
        Facet(name="b", text="Hates rain.", polarity="dislike"),
    ]

    assert json.loads(completion_of(facets)) == {"likes": ['Says "hello".'], "dislikes": ["Hates rain."]}
