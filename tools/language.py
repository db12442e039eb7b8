"""Which language a text is in, and that language's stop words."""

from collections.abc import Sequence
from functools import cache

DEFAULT_LANGUAGE = "en"
_ENOUGH_WORDS = 12
_MOST_CHARACTERS = 2000


def detect_language(preferred: Sequence[str], fallback: Sequence[str]) -> str:
    """Return the ISO 639-1 code of a user's language.

    Args:
        preferred: The user's own words.
        fallback: Catalogue text, used where the user wrote fewer than 12 words.

    Returns:
        A two-letter code; `en` where there is too little text to tell.
    """
    import py3langid  # pyright: ignore[reportMissingTypeStubs]  # ships no stubs

    for texts in (preferred, fallback):
        joined = " ".join(texts)[:_MOST_CHARACTERS]
        if len(joined.split()) >= _ENOUGH_WORDS:
            return str(py3langid.classify(joined)[0])
    return DEFAULT_LANGUAGE


@cache
def stop_words(language: str) -> frozenset[str]:
    """Return the words that carry no theme in a language; English ones where it is not known."""
    from stop_words import LANGUAGE_MAPPING, get_stop_words

    known = language if language in LANGUAGE_MAPPING else DEFAULT_LANGUAGE
    return frozenset(get_stop_words(known))
