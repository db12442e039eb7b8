"""Words alone decide whether a turn can tell anything of who says it, and what is to be forgotten."""

import re
import tomllib
from pathlib import Path

import pytest

from limner.agents.listening.chat_words import chat_words
from limner.agents.listening.forget_requests import requests_in
from limner.agents.listening.gate import telling
from limner.agents.stance_tables import tables


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
        ("zh", "我女儿对坚果过敏。", "请帮我写一份菜单。"),
        ("ko", "제 딸은 견과류 알레르기가 있어요.", "요리법을 알려 주세요."),
    ],
)
def test_statements_of_oneself_pass_and_requests_do_not(language: str, tells: str, asks: str) -> None:
    assert telling(tells, language) == [tells]
    assert telling(asks, language) == []


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
        ("en", "Forget that, thanks.", "Forget that I like fish.", "Forget me."),
        (
            "de",
            "Vergiss das, danke.",
            "Vergiss, was ich über Fisch gesagt habe.",
            "Lösche bitte meine Daten.",
        ),
        ("fr", "Oublie cela.", "Oublie ce que j'ai dit sur le poisson.", "Oubliez-moi, s'il vous plaît."),
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
        'She said: "Forget that."',
        "`forget that`",
        "Write a poem that says: forget that.",
        "Forget-me-nots are blue.",
    ],
)
def test_who_does_not_ask_to_forget_is_not_taken_to(text: str) -> None:
    assert requests_in(text, "en") == []


@pytest.mark.parametrize(
    ("language", "text", "sure"),
    [
        ("en", "Forget that, how do I get to Oslo?", False),
        ("en", "Forget that. How do I get to Oslo?", False),
        ("en", "Forget that, tell me about the harbour of Oslo.", False),
        ("en", "Please forget that, and what time is it?", True),
        ("en", "Forget that!", True),
        ("de", "Vergiss das, wie komme ich nach Oslo?", False),
        ("de", "Vergiss das bitte. Wie komme ich nach Oslo?", True),
        ("fr", "Oublie ça, comment aller à Oslo ?", False),
        ("es", "Olvida eso, ¿cómo llego a Oslo?", False),
        ("nl", "Vergeet dat, hoe kom ik in Oslo?", False),
        ("zh", "忘掉那个，去奥斯陆怎么走？", False),  # noqa: RUF001  # as it is typed
    ],
)
def test_who_goes_on_with_something_else_may_only_change_the_subject(
    language: str, text: str, sure: bool
) -> None:
    assert [request.sure for request in requests_in(text, language)] == [sure]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Vergiss das nicht!"),
        ("de", "Vergiss mich nicht."),
        ("nl", "Vergeet dat niet!"),
        ("fr", "N'oublie pas ça !"),
        ("es", "No olvides eso."),
    ],
)
def test_who_asks_to_keep_something_in_mind_does_not_ask_to_forget(language: str, text: str) -> None:
    assert requests_in(text, language) == []


def test_what_the_same_turn_said_before_is_what_it_takes_back() -> None:
    [request] = requests_in("I love fish. No, forget that.", "en")

    assert (request.here, request.sure) == (True, True)


def test_a_language_without_a_table_has_no_requests() -> None:
    assert requests_in("Zapomnij o tym.", "pl") == []


def test_every_language_of_stances_has_its_own_words(root: Path) -> None:
    given = tomllib.loads((root / "prompts" / "listening.toml").read_text(encoding="utf-8"))

    assert set(chat_words()) == set(tables()) == set(given)
    for code, words in chat_words().items():
        patterns = [pattern for pattern in words if isinstance(pattern, re.Pattern)]
        assert len(patterns) == 7
        assert not any(pattern.search("") for pattern in patterns), code
