"""Which language a text is in, and that language's stop words."""

from collections.abc import Sequence
from functools import cache
from typing import Any

DEFAULT_LANGUAGE = "en"
_ENOUGH_WORDS = 12
_MOST_CHARACTERS = 2000
_SURE_FROM = 0.8
_FEW_WORDS = 3
_VERY_SURE_FROM = 0.95


def detect_language(preferred: Sequence[str], fallback: Sequence[str]) -> str:
    """Return the ISO 639-1 code of a user's language.

    Args:
        preferred: The user's own words.
        fallback: Catalogue text, used where the user wrote fewer than 12 words.

    Returns:
        A two-letter code; `en` where the text is too short or too odd to tell.
    """
    for texts in (preferred, fallback):
        joined = " ".join(texts)[:_MOST_CHARACTERS]
        if written := _by_writing(joined):
            return written
        if len(joined.split()) >= _ENOUGH_WORDS:
            code, probability = _identifier().classify(joined)
            if probability >= _SURE_FROM:
                return str(code)
    return DEFAULT_LANGUAGE


def language_of_words(texts: Sequence[str], usual: str | None) -> str:
    """Return the language of what somebody says, be it short.

    Args:
        texts: What is said.
        usual: The speaker's language as far as it is known; it gives way to a sure finding only.

    Examples:
        >>> language_of_words(["Ich esse kein Fleisch."], None), language_of_words(["Ok!"], "fr")
        ('de', 'fr')
        >>> language_of_words(["肉は食べません。"], None), language_of_words(["我不吃肉。"], "en")
        ('ja', 'zh')
    """
    joined = " ".join(texts)[:_MOST_CHARACTERS]
    if written := _by_writing(joined):
        return written
    if len(joined.split()) < _FEW_WORDS:
        return usual or DEFAULT_LANGUAGE
    code, probability = _identifier().classify(joined)
    return (
        str(code) if probability >= (_VERY_SURE_FROM if usual else _SURE_FROM) else usual or DEFAULT_LANGUAGE
    )


def _by_writing(text: str) -> str | None:
    """Return Japanese, Korean or Chinese if at least half of the letters are theirs; these may have no blanks."""
    if text.isascii():
        return None
    letters = [character for character in text if character.isalpha()]
    kana = sum("\u3040" <= character <= "\u30ff" for character in letters)
    hangul = sum("\uac00" <= character <= "\ud7a3" for character in letters)
    han = sum("\u3400" <= character <= "\u9fff" for character in letters)
    if not kana + hangul + han or (kana + hangul + han) * 2 < len(letters):
        return None
    if hangul > kana + han:
        return "ko"
    return "ja" if kana else "zh"


@cache
def _identifier() -> Any:
    """Load the classifier for the languages whose stop words are known."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier
    from stop_words import LANGUAGE_MAPPING

    identifier: Any = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([code for code in LANGUAGE_MAPPING if code in identifier.nb_classes])
    return identifier


@cache
def stop_words(language: str) -> frozenset[str]:
    """Return the words that carry no theme in a language; English ones where it is not known."""
    from stop_words import LANGUAGE_MAPPING, get_stop_words

    known = language if language in LANGUAGE_MAPPING else DEFAULT_LANGUAGE
    return frozenset(get_stop_words(known))
