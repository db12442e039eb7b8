"""What is quoted, written in code or to be written for somebody is not taken for the user's own words."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.agents.quotations import own_words, unveiled
from limner.agents.stances import stances_of
from limner.records import Interaction


def told(text: str, language: str = "en") -> list[str]:
    """Quotations of the stances of a message."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    event = Interaction(event_id="m", user_id="zoe", kind="message", at=at, text=text)
    return [stance.quote for stance in stances_of(event, language)]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Write a poem where I say I love jazz."),
        ("en", "Could you please write me a poem in which I say that I love jazz?"),
        ("en", 'What does "I love jazz" mean?'),
        ("en", 'She said "I love jazz. I never eat meat." to me.'),
        ("en", "She said ‘I love jazz’ to me."),  # noqa: RUF001  # as phones type it
        ("en", "Translate this: I love jazz. I never eat meat."),
        ("en", "Run `I love jazz` for me."),
        ("en", "Fix this:\n```\nI love jazz.\n```"),
        ("en", "> I never eat meat."),
        ("de", "Schreib ein Gedicht, in dem ich sage, dass ich Jazz liebe."),
        ("de", "Was heißt „Ich mag keinen Fisch“?"),
        ("de", "Übersetze bitte: Ich esse kein Fleisch."),
        ("fr", "Écris un poème où je dis que j'adore le jazz."),
        ("fr", "Que veut dire « Je ne mange jamais de viande » ?"),
        ("es", "Escribe un poema donde digo que me encanta el jazz."),
        ("es", "Traduce esto: No me gusta el pescado."),
        ("it", "Scrivi una poesia in cui dico che adoro il jazz."),
        ("pt", "Escreve um poema em que digo que adoro jazz."),
        ("nl", "Schrijf een gedicht waarin ik zeg dat ik van jazz hou."),
        ("ja", "「猫が好きです」を訳してください。"),
        ("zh", "请翻译：我不吃肉。"),  # noqa: RUF001  # a colon as it is typed
        ("ko", '"고기를 못 먹어요" 를 번역해 주세요.'),
    ],
)
def test_words_that_are_quoted_or_to_be_written_take_no_side(language: str, text: str) -> None:
    assert told(text, language) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('I love "Dune".', ["I love 'Dune'."]),
        ("I love “Never Let Me Go”.", ["I love “Never Let Me Go”."]),
        ('"I never eat meat."', ["I never eat meat."]),
        ("I'm vegan and I don't like the neighbours' dogs.", None),
        ("Write me a meal plan, I'm allergic to nuts.", None),
        ("Translate this: guten Tag.\n\nI never eat meat.", ["I never eat meat."]),
        ("I never eat meat. Write a poem where I love fish.", ["I never eat meat."]),
    ],
)
def test_the_users_own_words_around_them_stay(text: str, expected: list[str] | None) -> None:
    assert told(text) == ([text] if expected is None else expected)


@given(st.text(max_size=80))
def test_what_is_veiled_can_be_shown_again(text: str) -> None:
    plain = "".join(character for character in text if character.isalnum() and ord(character) < 0xFFFE)
    quoted = f"x “{plain} {plain}” y"

    assert unveiled(own_words(quoted)) == quoted
    assert not set(own_words(quoted)[2:-2]) & set(plain)
