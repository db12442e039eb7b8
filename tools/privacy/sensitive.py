"""Sensitive traits in words: health, religion, politics, sexuality.

A trait is a word that says what somebody is or has (`prompts/privacy.toml`), not a theme that somebody reads about:
"diabetic" and "a Catholic" are traits, "healthy recipes" and "church architecture" are not. Allergies and diets are
none: who asks for food without nuts wants that remembered.
"""

from .orders import Span, sentences_of
from .privacy_words import privacy_words
from .unseen import folded


def names_trait(text: str) -> bool:
    """Whether a text names a trait of a person.

    Examples:
        >>> names_trait("Cooks for diabetics."), names_trait("Enjoys a healthy recipe book."), names_trait("Christian Dior")
        (True, False, False)
    """
    plain = _meant(text)
    return any(words.traits.search(plain) for words in privacy_words().values())


def own_traits(text: str) -> list[Span]:
    """Return the sentences in which people speak of themselves, or of those close to them, and name a trait.

    Examples:
        >>> own_traits("A book on cancer research. Well made.")
        []
        >>> [text for text in ["I am diabetic. Well made."] for span in own_traits(text)]
        ['I am diabetic. Well made.']
    """
    if not names_trait(text):
        return []
    return [
        sentence for sentence in sentences_of(text) if _tells_of_self(text[sentence.start : sentence.end])
    ]


def _tells_of_self(sentence: str) -> bool:
    plain = _meant(sentence)
    return any(words.traits.search(plain) and words.me.search(plain) for words in privacy_words().values())


def _meant(text: str) -> str:
    """Return a text folded and without the names and phrases that hold a trait's word and mean something else."""
    plain = folded(text)
    for words in privacy_words().values():
        plain = words.unless.sub(" ", plain)
    return plain
