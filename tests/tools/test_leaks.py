"""What a draft must not spell, in sentences that do and that do not."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.tools.leaks import leak_penalty
from limner.tools.verdicts import is_praise

LEAKS = [
    "Would give it 4.5 out of 5.",
    "Rated 4 for the plot.",
    "This is a five-star choice.",
    "Gives it a 5.",
    "Gave 4,5 von 5 im Herbst.",
    "Verdient 4 Sterne.",
    "Mérite 5 étoiles.",
    "Note : 4,5 sur 5.",
    "Merece 5 estrellas.",
    "Un 4 de 5.",
    "9/10 would read again.",
]


@pytest.mark.parametrize("text", LEAKS)
def test_a_rating_is_a_leak_in_several_languages(text: str) -> None:
    assert leak_penalty(text, [], "") == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Looks for films of the 1990s.",
        "Stargazing under many stars.",
        "Likes catch-22s and 24 hour races.",
        "Enjoys stories of war and peace.",
        "Plays in 3/4 time.",
        "",
    ],
)
def test_ordinary_sentences_leak_nothing(text: str) -> None:
    assert leak_penalty(text, ["The Long Way Home", "Öl"], "") == 0.0


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Next comes the LONG way, home!", "Long Way Home"),
        ("Wants Casablanca soon.", "Casablanca (1942)"),
        ("Mag Über den Wolken sehr.", "Über den Wolken"),
        ("Aime L'été à l'ombre.", "L’été à l’ombre"),  # noqa: RUF001  # as titles are typed
    ],
)
def test_a_held_back_title_is_a_leak_however_it_is_written(text: str, title: str) -> None:
    assert leak_penalty(text, [title], "other things") == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "10 out of 10",
        "8/10",
        "A firm 9/10.",
        "85/100",
        "6 stars",
        "five stars",
        "a five star evening",
        "a five-star rating",
        "Truly five-star.",
        "4½ stars",
        "four and a half stars",
        "vier Sterne",
        "★★★★★",
        "⭐️ ⭐️ ⭐️",
        "5★",
        "10 von 10",
        "8 sur 10",
    ],
)
def test_a_rating_is_a_leak_however_it_is_written(text: str) -> None:
    assert leak_penalty(text, [], "Five Star Final (1931)") == 1.0


@pytest.mark.parametrize(
    "text",
    ["Stays in four-star hotels.", "Reads of a five-star general.", "Drei-Sterne-Hotels", "On 5/10/2020."],
)
def test_stars_that_describe_a_thing_and_dates_are_no_rating(text: str) -> None:
    assert leak_penalty(text, [], "") == 0.0


def test_a_rating_inside_a_visible_name_is_no_leak_but_the_words_alone_are() -> None:
    known = "Five Star Final (1931) I give five stars to it. 8 Out of 10 Cats. Film"

    assert leak_penalty("Likes Five Star Final.", [], known) == 0.0
    assert leak_penalty("likes five star final", [], known) == 0.0
    assert leak_penalty("Watches 8 out of 10 Cats.", [], known) == 0.0
    assert leak_penalty("Likes Five Star Final.", [], "other things") == 1.0
    assert leak_penalty("Likes Five Star Final, five stars.", [], known) == 1.0
    assert leak_penalty("Will give five stars to it.", [], known) == 1.0  # a review's words are no name
    assert leak_penalty("★★ Film", [], known) == 1.0


@pytest.mark.parametrize(
    ("behind", "front"),
    [("Matrix, The (1999)", "The Matrix"), ("Haine, La", "La Haine"), ("Boot, Das (1981)", "Das Boot")],
)
def test_a_title_is_one_with_its_article_in_front_and_behind(behind: str, front: str) -> None:
    for target, written in ((behind, front), (front, behind)):
        assert leak_penalty(f"Will love {written}.", [target], "other things") == 1.0
        assert leak_penalty(f"Will love {written}.", [target], f"Had {target} before.") == 0.0
        assert leak_penalty(f"Will love {written}.", [target], f"Had {written} before.") == 0.0
    assert leak_penalty("Likes matrix algebra.", [behind], "other things") == 0.0


def test_a_title_that_the_history_shows_is_no_secret() -> None:
    assert leak_penalty("Enjoys Dune and deserts.", ["Dune"], "Bought Dune. sand") == 0.0


def test_a_title_inside_a_longer_word_is_no_leak() -> None:
    assert leak_penalty("Likes candles.", ["Candle"], "") == 0.0


@given(
    text=st.text(max_size=300), titles=st.lists(st.text(max_size=20), max_size=3), known=st.text(max_size=50)
)
def test_any_text_leaks_or_does_not(text: str, titles: list[str], known: str) -> None:
    assert leak_penalty(text, titles, known) in (0.0, 1.0)


VERDICTS = [
    "Will love it.",
    "This person will probably love this one.",
    "She'll adore it",
    "He won’t like this.",  # noqa: RUF001  # as typed
    "Not for this person.",
    "It is not really for her.",
    "A perfect match!",
    "Highly recommended.",
    "I would recommend it to them.",
    "A great fit for them.",
    "Should buy this.",
    "Would rate it highly.",
    "Wird es lieben.",
    "Sehr empfehlenswert.",
    "Nichts für diese Person.",
    "Il va adorer ce film.",
    "Elle l'adorera.",
    "Pas pour cette personne.",
    "Le encantará.",
    "Muy recomendable.",
    "Lo amerà.",
    "Altamente consigliato.",
    "Vai adorar isto.",
    "Não é para esta pessoa.",
    "Een echte aanrader.",
    "Zal het geweldig vinden.",
]


@pytest.mark.parametrize("text", VERDICTS)
def test_a_verdict_is_a_leak_in_a_pair_in_several_languages(text: str) -> None:
    assert leak_penalty(text, [], "", verdicts=True) == 1.0
    assert leak_penalty(text.upper(), [], "", verdicts=True) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Loves jazz.",
        "Enjoys dresses with a perfect fit.",
        "Is drawn to stories of people who will love each other.",
        "Watches every great match of football.",
        "Matches wine with cheese, a perfect match with bread.",
        "Would love to travel more.",
        "Follows what critics recommend.",
        "Looks for gifts suited to children and for her sister.",
        "Is made for lovers of maps and the sea.",
        "Suits readers who like crime and will not mind blood.",
        "Avoids horror.",
        "Mag gute Empfehlungen von Freunden.",
        "Passt zu Menschen mit Sinn für Musik.",
        "Aime les recommandations de lecture.",
        "Le gusta el jazz.",
        "Piace a chi apprezza il giallo.",
        "Gosta de praias e vai a museus.",
        "Houdt van tuinieren.",
    ],
)
def test_what_somebody_likes_is_no_verdict(text: str) -> None:
    assert leak_penalty(text, [], "", verdicts=True) == 0.0


def test_a_verdict_inside_a_visible_name_is_no_leak_and_a_profile_has_nothing_to_pass_on() -> None:
    assert (
        leak_penalty("Enjoys shows such as Perfect Match.", [], "Perfect Match (2023)", verdicts=True) == 0.0
    )
    assert leak_penalty("A perfect match.", [], "Perfect Match (2023)", verdicts=True) == 1.0
    assert leak_penalty("A perfect match.", [], "") == 0.0


def test_every_language_of_portraits_has_verdicts(root: Path) -> None:
    openers, verdicts = (
        tomllib.loads((root / "prompts" / name).read_text(encoding="utf-8"))
        for name in ("openers.toml", "verdicts.toml")
    )

    assert set(verdicts) == set(openers)
    for code, entry in verdicts.items():
        assert len(entry["verdicts"]) >= 3 and entry["praise"].split(), code
        assert all(is_praise(word) for word in entry["praise"].split())
