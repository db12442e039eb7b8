"""What a user said last outweighs what was noted before about the same thing, and nothing else."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from limner.agents.drawing import Drawing
from limner.agents.standing import speaks_of, statements_of, weigh
from limner.models import Cue
from limner.records import Interaction, Kind, Polarity
from limner.tools.budget import Budget

Open = Callable[..., Awaitable[Drawing]]
START = datetime(2026, 1, 1, tzinfo=UTC)


def event(name: str, day: int, kind: Kind = "purchase") -> Interaction:
    return Interaction(event_id=name, user_id="zoe", kind=kind, at=START + timedelta(days=day), text="t")


def cue(name: str, facet: str, polarity: Polarity, *evidence: str, text: str | None = None) -> Cue:
    return Cue(cue_id=name, text=text or facet, polarity=polarity, facet=facet, evidence=evidence)


EVENTS = {
    "bought": event("bought", 1),
    "bought-late": event("bought-late", 9),
    "said": event("said", 5, "message"),
    "said-late": event("said-late", 7, "message"),
}


def outweighed(*cues: Cue) -> list[str]:
    weighed = weigh(cues, EVENTS, "en")
    assert sorted(each.cue_id for each in (*weighed.standing, *weighed.outweighed)) == sorted(
        each.cue_id for each in cues
    )
    return [each.cue_id for each in weighed.outweighed]


@pytest.mark.parametrize(
    ("noted", "gone"),
    [
        ("horror films", True),
        ("horror", True),  # nothing but what was said, and its first word
        ("old horror films", True),  # a kind of it
        ("films", False),  # who is through with horror films may love films
        ("horror paintings", False),
        ("gardens", False),
    ],
)
def test_a_statement_takes_back_what_it_is_about(noted: str, gone: bool) -> None:
    said = cue("s", "horror films", "dislike", "said", text="I can't stand horror films.")

    assert outweighed(cue("n", noted, "like", "bought"), said) == (["n"] if gone else [])


def test_what_is_done_with_a_thing_is_not_the_thing() -> None:
    said = cue("s", "eat meat", "dislike", "said", text="I never eat meat.")

    assert outweighed(cue("n", "meat", "like", "bought"), said) == ["n"]


def test_only_what_came_before_is_taken_back() -> None:
    said = cue("s", "horror", "dislike", "said")

    assert outweighed(cue("n", "horror", "like", "bought", "bought-late"), said) == []
    assert outweighed(cue("n", "horror", "like", "unknown"), said) == ["n"]


def test_the_last_of_several_words_holds() -> None:
    first, second = cue("a", "horror", "dislike", "said"), cue("b", "horror", "like", "said-late")

    assert outweighed(first, second) == ["a"]


def test_what_agrees_or_takes_no_side_stays() -> None:
    said = cue("s", "horror", "dislike", "said")

    assert outweighed(cue("n", "horror", "dislike", "bought"), said) == []
    assert outweighed(cue("n", "horror", "neutral", "bought"), said) == []


def test_only_messages_are_statements() -> None:
    bought = cue("n", "horror", "dislike", "bought-late")

    assert statements_of([bought], EVENTS, "en") == []
    assert outweighed(cue("o", "horror", "like", "bought"), bought) == []


@pytest.mark.parametrize(
    ("sentence", "named"),
    [
        ("Enjoys horror, thrillers and jazz.", True),
        ("Enjoys thrillers, jazz and horror.", True),
        ("Horror films are a habit.", True),
        ("Enjoys films.", False),
        ("Enjoys horrorshow jazz.", False),
    ],
)
def test_a_sentence_speaks_of_a_statement_if_it_lists_its_theme(sentence: str, named: bool) -> None:
    said = cue("s", "horror films", "dislike", "said", text="I can't stand horror films.")
    [statement] = statements_of([said], EVENTS, "en")

    assert speaks_of(sentence, statement, "en") is named


async def test_a_portrait_without_a_model_gives_way_too(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    last = max(each.at for each in events) + timedelta(days=1)
    enough = Interaction(
        event_id="enough", user_id="ada", kind="message", at=last, text="I don't like gardening any more."
    )
    before = await (await open_drawing(None)).profile("ada", as_of=last, budget=Budget())
    drawing = await open_drawing(None, events=[*events, enough])

    after = await drawing.profile("ada", as_of=later, budget=Budget())

    assert any("gardening" in text for text in before.likes)
    assert not any("gardening" in text for text in after.likes)
    quote = 'Said: "I don\'t like gardening any more."'
    assert quote in after.dislikes
    assert [claim.evidence for claim in after.claims if claim.text == quote] == [("enough",)]
    assert after.text == " ".join(facet.text for facet in after.facets)
