r"""Which words of a turn are the user's own: not code, links and quoted lines, nor what is quoted or to be written.

What is quoted stays in its place and can be shown, but every letter of it is veiled, so that no pattern reads it: a
veiled text is as long as the text, and `unveiled` gives back what was there.
"""

import re
from collections.abc import Iterator

from .listening.chat_words import ChatWords, chat_words
from .phrase_tables import fold

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_LINES = re.compile(r"^[^\S\n]*>.*$", re.MULTILINE)
_LINK = re.compile(r"[^\s:]{1,40}://\S+")
# What may be repeated is bounded: a text of nothing but opening marks would take the square of its length.
_SPEECH = re.compile(
    r"\"[^\"\n]{1,500}\"|“[^”\n]{1,500}”|„[^“”\n]{1,500}[“”]|«[^»\n]{1,500}»|»[^«\n]{1,500}«"
    r"|「[^」\n]{1,500}」|『[^』\n]{1,500}』"
    r"|(?<!\w)['‘](?:[^'’\n]|['’](?=\w)){1,500}['’](?!\w)"  # noqa: RUF001  # quotation marks as people type them
)
_SENTENCE = re.compile(r"[^.!?…。！？\n]+(?:[.!?…。！？]+|\n|$)")  # noqa: RUF001  # these end sentences too
_PARAGRAPH_END = re.compile(r"\n\s*\n|\Z")
_HANDED = re.compile(r"[:：]\s*\S")  # noqa: RUF001  # a colon as it is typed with Chinese
_FIRST = 0xF0000
"""Where the private characters begin that stand for veiled ones."""


def own_words(text: str, language: str | None = None) -> str:
    r"""Return a turn with all that is somebody else's veiled or taken out.

    A turn that is one quotation is its writer's own.

    Args:
        text: The turn.
        language: ISO 639-1 code; in one with a table, what an assistant is asked to write or to work on is veiled too.

    Examples:
        >>> own_words("I like this:\n> to be\n```x = 1```")
        'I like this:'
        >>> unveiled(own_words('I love "Dune".')), own_words('I love "Dune".') == 'I love "Dune".'
        ('I love "Dune".', False)
    """
    for pattern in (_CODE, _LINES, _LINK):
        text = pattern.sub(" ", text)
    text = text.strip()
    text = text[1:-1] if _SPEECH.fullmatch(text) else _SPEECH.sub(lambda found: _veiled(found[0]), text)
    words = chat_words().get(language or "")
    for start, end in _handed(text, words) if words else ():
        text = f"{text[:start]}{_veiled(text[start:end])}{text[end:]}"
    return text


def unveiled(text: str) -> str:
    """Return a text with what was veiled in it."""
    return "".join(
        chr(ord(character) - _FIRST) if ord(character) > _FIRST else character for character in text
    )


def without_veiled(text: str) -> str:
    """Return a text without what was veiled in it."""
    return "".join(character for character in text if ord(character) <= _FIRST)


def _handed(text: str, words: ChatWords) -> Iterator[tuple[int, int]]:
    """Yield what an assistant is asked to write, and texts that it is handed to work on."""
    folded = fold(text)
    if len(folded) != len(text):  # a few letters grow in lower case
        return
    for sentence in _SENTENCE.finditer(folded):
        opening = sentence[0].lstrip()
        start = sentence.end() - len(opening)
        asked = words.compose.match(opening)
        if asked is None:
            continue
        within = words.within.search(opening, asked.end())
        if within:
            yield start + within.start(), sentence.end()
        handed = _HANDED.search(opening, asked.end())
        if handed:
            end = _PARAGRAPH_END.search(folded, start + handed.end())
            yield start + handed.start() + 1, end.start() if end else len(text)


def _veiled(text: str) -> str:
    return "".join(chr(ord(character) + _FIRST) if ord(character) < 0xFFFE else " " for character in text)
