"""Words alone decide whether a turn can tell anything of who says it, and what is to be forgotten."""

import re
import tomllib
from pathlib import Path

import pytest

from limner.agents.listening.chat_words import chat_words
from limner.agents.listening.forget_requests import requests_in
from limner.agents.listening.gate import telling, wishes
from limner.agents.stances import tables


@pytest.mark.parametrize(
    ("language", "tells", "asks"),
    [
        ("en", "My daughter can't have nuts.", "Could you give me five recipes?"),
        ("en", "Peanuts make me ill.", "I need help with this."),
        ("en", "Call me Bo.", "Tell me about the harbour of Oslo."),
        ("de", "Meine Tochter verträgt keine Nüsse.", "Kannst du mir fünf Rezepte geben?"),
        ("de", "Antworte ab jetzt kurz, ich lese ungern.", "Gib mir fünf Rezepte."),
        ("fr", "Ma fille ne supporte pas les noix.", "Donne-moi cinq recettes."),
        ("es", "Mi hija no tolera las nueces.", "Dame cinco recetas."),
        ("it", "Mia figlia non tollera le noci.", "Dammi cinque ricette."),
        ("pt", "A minha filha não tolera nozes.", "Diz-me cinco receitas."),
        ("nl", "Mijn dochter verdraagt geen noten.", "Geef me vijf recepten."),
        ("pl", "Moja córka nie toleruje orzechów.", "Czy możesz mi pomóc?"),
        ("ja", "娘はナッツのアレルギーがあります。", "レシピを教えてくれますか？"),  # noqa: RUF001  # questions end so
    ],
)
def test_statements_of_oneself_pass_and_requests_do_not(language: str, tells: str, asks: str) -> None:
    assert telling(tells, language) == [tells]
    assert telling(asks, language) == []


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        ("en", "From now on, answer in verse.", True),
        ("en", "Please don't ever use emojis.", False),
        ("de", "Nenn mich Bo.", True),
        ("fr", "Désormais, réponds en vers.", True),
        ("es", "Nunca uses emojis.", False),
        ("it", "D'ora in poi rispondi in versi.", True),
        ("pt", "Nunca uses emojis.", False),
        ("nl", "Noem me Bo.", True),
    ],
)
def test_a_lasting_wish_is_known_by_how_it_begins(language: str, text: str, wanted: bool) -> None:
    assert list(wishes(text, language)) == [(text, wanted)]
    assert list(wishes("The tide is always late.", language)) == []


@pytest.mark.parametrize(
    ("language", "last", "topic", "everything"),
    [
        (
            "en",
            "Forget that.",
            "Please forget what I told you about fish.",
            "Please forget everything you know about me.",
        ),
        (
            "de",
            "Vergiss das bitte.",
            "Vergiss, was ich über Fisch gesagt habe.",
            "Vergiss bitte alles über mich.",
        ),
        ("fr", "Oublie ça.", "Oublie ce que j'ai dit sur le poisson.", "Oublie tout sur moi."),
        ("es", "Olvida eso.", "Olvida lo que dije del pescado.", "Olvida todo sobre mí."),
        (
            "it",
            "Dimentica questo.",
            "Dimentica quello che ho detto sul pesce.",
            "Dimentica tutto su di me.",
        ),
        ("pt", "Esquece isso.", "Esquece o que eu disse sobre peixe.", "Esquece tudo sobre mim."),
        ("nl", "Vergeet dat.", "Vergeet wat ik over vis heb gezegd.", "Vergeet alles over mij."),
    ],
)
def test_what_is_to_be_forgotten_is_the_last_word_a_topic_or_everything(
    language: str, last: str, topic: str, everything: str
) -> None:
    [latest] = requests_in(last, language)
    about = requests_in(topic, language)
    whole = requests_in(everything, language)

    assert (latest.topic, latest.everything) == (frozenset(), False)
    assert any(request.topic and not request.everything for request in about)
    assert any(request.everything for request in whole)


@pytest.mark.parametrize(
    "text",
    [
        "Never forget that I love fish.",
        "I forgot that.",
        "Don't forget this!",
        "Forget about pasta, what about rice?",
        "Forget about the budget for a moment: which lamp is best?",
        "Forget about it.",
        "> Forget that.",
    ],
)
def test_who_does_not_ask_to_forget_is_not_taken_to(text: str) -> None:
    assert requests_in(text, "en") == []


def test_a_language_without_a_table_has_no_requests() -> None:
    assert requests_in("Zapomnij o tym.", "pl") == []


def test_every_language_of_stances_has_its_own_words(root: Path) -> None:
    given = tomllib.loads((root / "prompts" / "listening.toml").read_text(encoding="utf-8"))

    assert set(chat_words()) == set(tables()) == set(given)
    for code, words in chat_words().items():
        patterns = [pattern for pattern in words if isinstance(pattern, re.Pattern)]
        assert len(patterns) == 6
        assert not any(pattern.search("") for pattern in patterns), code
