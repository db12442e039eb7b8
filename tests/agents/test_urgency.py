"""Limits and wishes about treatment are told from everything else that people say of themselves."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from limner.agents.stance_tables import tables
from limner.agents.stances import stances_of, still_held
from limner.agents.urgency import Urgency, Wish, outdoes, urgency_of, wish_of
from limner.records import Interaction


def said(*texts: str) -> list[Interaction]:
    """Messages of one user, a day apart, oldest first."""
    return [
        Interaction(
            event_id=f"m{day}",
            user_id="zoe",
            kind="message",
            at=datetime(2026, 1, day, tzinfo=UTC),
            text=text,
        )
        for day, text in enumerate(texts, start=1)
    ]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I never eat meat."),
        ("en", "I'm allergic to nuts"),
        ("en", "I can't eat gluten."),
        ("en", "I am vegan."),
        ("de", "Ich vertrage keine Milch."),
        ("de", "ich esse nie Fleisch"),
        ("de", "Ich darf keinen Alkohol trinken."),
        ("fr", "Je ne mange jamais de viande."),
        ("fr", "Je suis allergique aux noix."),
        ("es", "No puedo comer gluten."),
        ("es", "Soy alérgica a las nueces."),
        ("it", "Non mangio carne."),
        ("pt", "Não como carne."),
        ("nl", "Ik verdraag geen melk."),
        ("ja", "肉は食べません。"),
        ("ja", "卵アレルギーがあります。"),
        ("zh", "我不吃肉。"),
        ("zh", "我对花生过敏。"),
        ("ko", "고기를 못 먹어요."),
        ("ko", "땅콩 알레르기가 있어요."),
    ],
)
def test_what_somebody_cannot_or_never_does_is_a_limit(language: str, text: str) -> None:
    assert urgency_of(text, language) == "limit"
    assert [stance.urgency for stance in stances_of(said(text)[0], language)] == ["limit"]
    assert urgency_of(f'Said: "{text}"', language) == "limit"  # as a portrait quotes it


@pytest.mark.parametrize(
    ("language", "text", "kind", "wanted"),
    [
        ("en", "Keep answers short.", "length", True),
        ("en", "please answer in German", "language", True),
        ("en", "Call me Sam.", "name", True),
        ("en", "Could you please keep your answers brief?", "length", True),
        ("en", "I prefer short answers.", "length", True),
        ("en", "From now on, answer in verse.", "manner", True),
        ("en", "Please don't use emojis.", "manner", False),
        ("en", "Please never use emojis.", "manner", False),
        ("de", "Bitte duze mich.", "address", True),
        ("de", "Halte deine Antworten kurz.", "length", True),
        ("de", "Antworte bitte auf Englisch.", "language", True),
        ("de", "Nenn mich Bo.", "name", True),
        ("fr", "Tutoie-moi, s'il te plaît.", "address", True),
        ("fr", "Réponds en anglais.", "language", True),
        ("fr", "Désormais, réponds en vers.", "manner", True),
        ("es", "Llámame Sam.", "name", True),
        ("es", "Por favor, responde en inglés.", "language", True),
        ("es", "Nunca uses emojis.", "manner", False),
        ("it", "Dammi del tu.", "address", True),
        ("it", "D'ora in poi rispondi in versi.", "manner", True),
        ("pt", "Responde em inglês, por favor.", "language", True),
        ("pt", "Nunca uses emojis.", "manner", False),
        ("nl", "Noem me Bo.", "name", True),
        ("nl", "Houd je antwoorden kort.", "length", True),
        ("ja", "英語で答えてください。", "language", True),
        ("ja", "短く答えてください。", "length", True),
        ("zh", "请用英文回答。", "language", True),
        ("zh", "叫我小明。", "name", True),
        ("ko", "영어로 대답해 주세요.", "language", True),
        ("ko", "짧게 대답해 주세요.", "length", True),
    ],
)
def test_how_somebody_wants_to_be_treated_is_a_wish_of_its_kind(
    language: str, text: str, kind: str, wanted: bool
) -> None:
    assert wish_of(text, language) == Wish(kind, wanted)
    [stance] = stances_of(said(text)[0], language)
    assert (stance.urgency, stance.quote) == ("wish", text)
    assert stance.polarity == ("like" if wanted else "dislike")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I love jazz."),
        ("en", "I always take the train."),
        ("en", "Always a pleasure."),
        ("en", "Never been to Paris."),
        ("en", "Remember that I love jazz."),
        ("en", "From now on I prefer tea."),
        ("es", "Siempre me ha gustado el jazz."),
        ("pt", "Sempre gostei de jazz."),
        ("en", "I can't stand horror films."),
        ("en", "The tide is always late."),
        ("en", "Write a letter in German."),
        ("en", "Please answer in German, what is a fjord?"),
        ("en", "Explain in simple terms how tides work."),
        ("en", "Enjoys short stories and long walks."),
        ("de", "Ich mag Jazz."),
        ("de", "Schreib einen Brief auf Englisch."),
        ("fr", "J'adore le jazz."),
        ("ja", "私は猫が好きです。"),
        ("ja", "英語で手紙を書いてください。"),
        ("zh", "我喜欢猫。"),
        ("ko", "저는 고양이를 좋아해요."),
        ("pl", "Nigdy nie jem mięsa."),  # no table
    ],
)
def test_everything_else_is_neither(language: str, text: str) -> None:
    stances = stances_of(said(text)[0], language)
    assert {stance.urgency for stance in stances} <= {"none"}


def urgencies(*texts: str) -> list[tuple[str, Urgency]]:
    return [(stance.quote, stance.urgency) for stance in still_held(said(*texts), "en")]


def test_of_two_wishes_of_one_kind_the_later_holds_and_others_stay() -> None:
    held = urgencies("Call me Sam.", "Please answer in German.", "I love jazz.", "Call me Alex.")

    assert held == [
        ("Call me Alex.", "wish"),
        ("I love jazz.", "none"),
        ("Please answer in German.", "wish"),
    ]
    assert outdoes("Call me Alex.", "Call me Sam.", "en")
    assert not outdoes("Please never use emojis.", "Please never use tables.", "en")


def test_every_language_of_stances_tells_what_is_urgent(root: Path) -> None:
    given = tomllib.loads((root / "prompts" / "urgent.toml").read_text(encoding="utf-8"))

    assert set(given) == set(tables())
    for code, table in given.items():
        assert set(table["wish"]) == {"name", "language", "length", "address", "manner"}, code
        assert urgency_of("", code) == "none"
