"""Which language a user's portrait is written in."""

import pytest

from limner.tools.language import detect_language, stop_words

ENGLISH = "I spent the whole weekend with this book about gardens and I could not put it down."
GERMAN = "Das Buch hat mir sehr gut gefallen, weil die Geschichte bis zum Ende spannend war und bleibt."
FRENCH = "Ce livre est une merveille, je le recommande à tous ceux qui aiment les jardins et la nature."
SPANISH = "Este libro es una maravilla, lo recomiendo a todos los que aman los jardines y la naturaleza."
POLISH = (
    "Bardzo podobała mi się ta książka, ponieważ róże w ogrodzie są pięknie opisane i dużo się nauczyłem."
)
JAPANESE = "この 本 は とても 面白かった です 。 庭 の 話 が 好き な 人 に 勧めます 。"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (ENGLISH, "en"),
        (GERMAN, "de"),
        (FRENCH, "fr"),
        (SPANISH, "es"),
        (POLISH, "pl"),
        (JAPANESE, "ja"),
    ],
)
def test_the_users_own_words_decide(text: str, code: str) -> None:
    assert detect_language([text], [ENGLISH] * 3) == code


def test_a_few_words_leave_it_to_the_catalogue() -> None:
    assert detect_language(["Sehr gut"], [FRENCH]) == "fr"


def test_words_of_several_reviews_count_together() -> None:
    assert detect_language(GERMAN.split(), [ENGLISH]) == "de"


def test_too_little_text_is_english() -> None:
    assert detect_language([], []) == "en"
    assert detect_language(["Sehr gut"], ["Très bien"]) == "en"


def test_stop_words_are_the_languages_own_and_english_where_it_is_unknown() -> None:
    assert {"und", "der"} <= stop_words("de")
    assert "the" in stop_words("en")
    assert stop_words("xx") == stop_words("en")
