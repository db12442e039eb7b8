"""What people say of their own wants in a chat is quoted with the side it takes."""

import tomllib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from limner.agents.drawing import Drawing
from limner.agents.stance_tables import tables
from limner.agents.stances import MOST_CHARACTERS, stances_of
from limner.models import Cue
from limner.records import Interaction
from limner.tools.budget import Budget

Open = Callable[..., Awaitable[Drawing]]
CuesOf = Callable[[Drawing, str], Awaitable[list[Cue]]]

START = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


def said(*texts: str) -> list[Interaction]:
    """Messages of one user, a day apart, oldest first."""
    return [
        Interaction(
            event_id=f"m{day}", user_id="zoe", kind="message", at=START + timedelta(days=day), text=text
        )
        for day, text in enumerate(texts)
    ]


def told(text: str, language: str = "en") -> list[tuple[str, str]]:
    """Polarity and quotation of each stance of a message."""
    return [(stance.polarity, stance.quote) for stance in stances_of(said(text)[0], language)]


@pytest.mark.parametrize(
    ("text", "polarity"),
    [
        ("I prefer the train to the plane.", "like"),
        ("I really enjoy Thai food", "like"),
        ("I usually take the bus.", "like"),
        ("Having a garden is a must for me.", "like"),
        ("I don't really like jazz.", "dislike"),
        ("I can’t stand horror films!", "dislike"),  # noqa: RUF001  # an apostrophe as phones type it
        ("I'm allergic to peanuts", "dislike"),
        ("I never drink coffee after noon.", "dislike"),
        ("The others seem a bit too loud for my taste.", "dislike"),
        ("I'd rather avoid anything with shellfish.", "dislike"),
        ("I don't like flying, so I prefer trains.", "neutral"),
    ],
)
def test_a_sentence_that_takes_sides_is_quoted_with_its_side(text: str, polarity: str) -> None:
    assert told(text) == [(polarity, text)]


@pytest.mark.parametrize(
    "text",
    [
        "What should I cook tonight?",
        "Do you think I'd like it?",
        "I'd love to learn more about that.",
        "I love your suggestion!",
        "My doctor lives in Leeds.",
        "Thanks a lot.",
        "I like it, but I would give it 2 out of 5.",  # no portrait spells a rating
    ],
)
def test_questions_courtesies_and_facts_are_no_stance(text: str) -> None:
    assert told(text) == []


def test_of_a_question_only_what_it_states_first_counts() -> None:
    assert told("I'm allergic to nuts, so what can I bake?") == [("dislike", "I'm allergic to nuts")]


def test_only_messages_speak() -> None:
    review = said("I hate clowns.")[0].model_copy(update={"kind": "review", "item_id": "x"})

    assert stances_of(review, "en") == []


@pytest.mark.parametrize(
    ("language", "like", "dislike"),
    [
        ("de", "Ich esse am liebsten vegan.", "Ich kann Krimis nicht ausstehen."),
        ("fr", "Je préfère le train.", "Je ne mange jamais de viande."),
        ("es", "Me encanta el jazz.", "No me gusta el pescado."),
        ("it", "Preferisco il treno.", "Non mi piace il pesce."),
        ("pt", "Gosto muito de jazz.", "Sou alérgica a nozes."),
        ("nl", "Ik hou van jazz.", "Ik eet geen vlees."),
        ("ja", "私は猫が好きです。", "肉は食べません。"),
        ("ja", "ジャズが大好きだ。", "コーヒーは好きではありません。"),
        ("ja", "和食が好きです。", "そばアレルギーがあります。"),
        ("zh", "我很喜欢爵士乐。", "我不吃肉。"),
        ("zh", "我最愛喝茶。", "我对花生过敏。"),
        ("ko", "저는 고양이를 좋아해요.", "고기를 못 먹어요."),
        ("ko", "재즈를 정말 좋아합니다.", "저는 커피를 좋아하지 않아요."),
    ],
)
def test_other_languages_take_sides_in_their_own_words(language: str, like: str, dislike: str) -> None:
    assert told(f"{like} {dislike}", language) == [("like", like), ("dislike", dislike)]
    assert told(f"{like}{dislike}", language) == [("like", like), ("dislike", dislike)] or language not in (
        "ja",
        "zh",
    )
    assert told(f"{like} {dislike}", "pl") == []  # no table


@pytest.mark.parametrize(
    ("language", "text", "theme"),
    [
        ("ja", "私は猫が好きです。", "猫"),
        ("ja", "肉は食べません。", "肉"),
        ("ja", "私は甲殻類アレルギーです。", "甲殻類"),
        ("zh", "我很喜欢爵士乐。", "爵士乐"),
        ("zh", "我对花生过敏。", "花生"),
        ("ko", "저는 고양이를 좋아해요.", "고양이"),
        ("ko", "고기를 못 먹어요.", "고기"),
    ],
)
def test_where_words_have_no_blanks_a_theme_is_what_the_clause_is_about(
    language: str, text: str, theme: str
) -> None:
    assert [stance.theme for stance in stances_of(said(text)[0], language)] == [theme]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ja", "猫が好きですか。"),
        ("ja", "母は猫が好きです。"),
        ("ja", "今日はいい天気です。"),
        ("zh", "你喜欢猫吗？"),  # noqa: RUF001  # as it is typed
        ("zh", "我爱人在家。"),
        ("zh", "今天天气很好。"),
        ("ko", "고양이를 좋아해요?"),
        ("ko", "엄마는 고양이를 좋아해요."),
        ("ko", "오늘은 날씨가 맑아요."),
    ],
)
def test_questions_and_what_others_like_are_no_stance_there_either(language: str, text: str) -> None:
    assert told(text, language) == []


def test_a_long_sentence_is_cut_at_words_around_its_side() -> None:
    early = "I never eat fish " + "and other things that swim " * 12
    late = (
        "When the evenings grow long and " * 6 + "the fire is lit, I prefer old books " + "of all kinds " * 12
    )

    [(_, first)], [(_, second)] = told(early), told(late)

    assert first.startswith("I never eat fish and") and first.endswith("…")
    assert second.startswith("… I prefer old books") and second.endswith("…")
    assert max(len(first), len(second)) <= MOST_CHARACTERS
    assert first.removesuffix("…").rsplit(" ", 1)[1] in early.split()


async def test_a_chat_becomes_a_portrait_of_grounded_quotations(
    open_drawing: Open, cues_of: CuesOf, later: datetime
) -> None:
    drawing = await open_drawing(
        None, events=said("Any tips for tonight?", "I'll go with the soup. I can't stand olives.")
    )

    profile = await drawing.profile("zoe", as_of=later, budget=Budget())

    # Firm words stand before an inclination.
    assert profile.text == 'Said: "I can\'t stand olives." Said: "I\'ll go with the soup."'
    assert profile.dislikes == ('Said: "I can\'t stand olives."',)
    assert profile.likes == ('Said: "I\'ll go with the soup."',)
    assert [claim.evidence for claim in profile.claims] == [("m1",), ("m1",)]
    assert [facet.name for facet in profile.facets] == ["olives", "soup"]
    cues = await cues_of(drawing, "user:zoe")
    assert {(cue.text, cue.polarity, cue.evidence) for cue in cues if cue.evidence == ("m1",)} == {
        ("I can't stand olives.", "dislike", ("m1",)),
        ("I'll go with the soup.", "like", ("m1",)),
    }


async def test_what_was_said_last_holds(open_drawing: Open, later: datetime) -> None:
    drawing = await open_drawing(
        None,
        events=said("I love black coffee.", "I prefer window seats.", "I don't drink coffee anymore."),
    )

    profile = await drawing.profile("zoe", as_of=later, budget=Budget())

    assert profile.text == 'Said: "I don\'t drink coffee anymore." Said: "I prefer window seats."'


async def test_beside_items_what_was_said_takes_half_of_the_sentences(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    wishes = [f"I prefer {thing}." for thing in ("velvet", "granite", "walnut", "copper")]
    spoken = [event.model_copy(update={"user_id": "ada"}) for event in said(*wishes)]
    drawing = await open_drawing(None, events=[*events, *spoken], drafting={"facets": 4})

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    quoted = [facet.text for facet in profile.facets if facet.text.startswith("Said: ")]
    assert quoted == ['Said: "I prefer copper."', 'Said: "I prefer walnut."']
    assert 2 < len(profile.facets) <= 4


async def test_without_a_message_nothing_changes(open_drawing: Open, later: datetime, tmp_path: Path) -> None:
    drawing = await open_drawing(None)

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert not any("Said" in facet.text for facet in profile.facets)


def test_every_language_of_the_openers_has_a_whole_table(root: Path) -> None:
    openers = tomllib.loads((root / "prompts" / "openers.toml").read_text(encoding="utf-8"))

    assert set(tables()) >= set(openers)
    for code, table in tables().items():
        assert table.said, code
        for pattern in (table.dislike, table.like, table.leaning):
            assert not pattern.search(""), code
