"""Names that one single review drops: no interest of anybody, and the place where orders and strangers hide.

A portrait tells what returns. A name (a capitalised word, in scripts without capitals a Latin one, or letters mixed with
digits) that stands in one review alone, in no other and in no item's text, is neither a theme nor a brand that is
chosen; a sentence that repeats it was dictated by that review. What people say in a chat is exempt, since once is enough
there, and capitals tell nothing in German.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..records import Interaction, Item

_TOKEN = re.compile(r"\w[\w'’-]*")  # noqa: RUF001  # typographic apostrophes are letters here
_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9-]{2,}", re.ASCII)
_OPENS = re.compile(r"(?:^|[.!?…:;\n\"'“”„«»(\[-])\s*$")
_NOUNS_ARE_CAPITALISED = frozenset({"de"})
_SHORTEST = 3
_DESCRIBED = 4000


def names_said_once(
    events: Sequence[Interaction], items: Mapping[str, Item], language: str
) -> frozenset[str]:
    """Return the names, in lower case, that stand in one review and nowhere else.

    Args:
        events: A history.
        items: Its items.
        language: ISO 639-1 code of the reviews.
    """
    said = Counter(
        word for event in events if event.text for word in {token.casefold() for token in _tokens(event.text)}
    )
    published = {token.casefold() for item in items.values() for token in _tokens(item.describe(_DESCRIBED))}
    return frozenset(
        name
        for event in events
        if event.kind != "message" and event.text
        for name in _names(event.text, language)
        if said[name] == 1 and name not in published
    )


def repeats(sentence: str, names: Iterable[str]) -> bool:
    """Whether a sentence says one of some names, in lower case.

    Examples:
        >>> repeats("Enjoys Zorblax cola.", {"zorblax"}), repeats("Enjoys cola.", {"zorblax"})
        (True, False)
    """
    return not {token.casefold() for token in _tokens(sentence)}.isdisjoint(names)


def _names(text: str, language: str) -> set[str]:
    return {
        token.casefold()
        for found in _TOKEN.finditer(text)
        for token in _parts(found[0])
        if len(token) >= _SHORTEST and _is_name(token, text[: found.start()], found[0], language)
    }


def _is_name(token: str, before: str, whole: str, language: str) -> bool:
    if any(character.isdigit() for character in token) and any(map(str.isalpha, token)):
        return True
    if token != whole:
        return True  # a Latin word within another script
    if not token[0].isupper() or language in _NOUNS_ARE_CAPITALISED:
        return False
    return not _OPENS.search(before)


def _tokens(text: str) -> Iterable[str]:
    for found in _TOKEN.finditer(text):
        yield from _parts(found[0])


def _parts(token: str) -> list[str]:
    """Return a token; of one that joins Latin letters to those of a script without blanks, the Latin words."""
    if token.isascii() or not any("\u3040" <= character <= "\u9fff" for character in token):
        return [token]
    return [found[0] for found in _LATIN.finditer(token)] or [token]
