"""Text that hides from the eye: characters nobody sees, look-alikes of other scripts, and encoded orders."""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator

_FORMAT = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_JOINERS = "\u200c\u200d"
_BLOB = re.compile(r"(?<![\w+/=-])(?:[A-Za-z0-9+/]{24,}={0,2}|[A-Za-z0-9_-]{24,})(?![\w+/=-])")
_HEX = re.compile(r"(?<![\w])(?:[0-9a-fA-F]{2}[ :]?){20,}(?![\w])")
_LATIN = re.compile(r"[A-Za-z]")
_READABLE = 0.9
"""Share of letters, blanks and marks from which decoded bytes are a text."""

# Letters of other scripts that look like Latin ones; only words that mix them with Latin are read so.
_TWINS = str.maketrans(
    "аеорсухіјѕһԁӏвнкмтɡοαεικνρτυχАВЕКМНОРСТУХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijshdlbhkmtgoaeiknptuxABEKMHOPCTYXIJSABEZHIKMNOPTYX",
)


def without_unseen(text: str) -> str:
    r"""Return a text without characters that nobody sees; joiners stay where scripts and emoji need them.

    Examples:
        >>> without_unseen("ig\u200bnore\u202e this"), without_unseen("\u0645\u06cc\u200c\u062e")
        ('ignore this', '\u0645\u06cc\u200c\u062e')
    """
    if text.isascii() or not _FORMAT.search(text):
        return text
    return _FORMAT.sub(lambda found: found[0] if _is_needed(text, found.start()) else "", text)


def _is_needed(text: str, place: int) -> bool:
    """Whether a joiner stands where it shapes letters: not beside Latin, Greek or Cyrillic ones, nor at an end."""
    if text[place] not in _JOINERS or place in (0, len(text) - 1):
        return False
    around = (text[place - 1], text[place + 1])
    plain = ("LATIN", "GREEK", "CYRILLIC", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "ZERO", "SPACE", "DIGIT")
    return not any(unicodedata.name(character, "ZERO").startswith(plain) for character in around)


def folded(text: str) -> str:
    r"""Return a text as orders are looked for in it: compatibility forms, look-alikes and case made plain.

    Examples:
        >>> folded("\uff29gnore"), folded("ign\u043ere"), folded("\u043d\u043e")
        ('ignore', 'ignore', '\u043d\u043e')
    """
    plain = unicodedata.normalize("NFKC", without_unseen(text)).replace("’", "'")  # noqa: RUF001  # typographic
    if not plain.isascii():
        plain = re.sub(r"\w+", lambda word: _untwinned(word[0]), plain)
    return " ".join(plain.casefold().split())


def _untwinned(word: str) -> str:
    if word.isascii():
        return word
    read = word.translate(_TWINS)
    return read if _LATIN.search(word) and read.isascii() else word


def decoded(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield what encoded stretches of a text say, as base64 or hexadecimal digits, with where they stand."""
    for blob in _BLOB.finditer(text):
        if (said := _read_base64(blob[0])) is not None:
            yield said, blob
    for digits in _HEX.finditer(text):
        if (said := _as_text(_bytes_of(digits[0]))) is not None:
            yield said, digits


def turned(text: str) -> str:
    """Return a text with its Latin letters turned by half the alphabet (rot13).

    Examples:
        >>> turned("Vtaber")
        'Ignore'
    """
    return codecs.decode(text, "rot13")


def _bytes_of(digits: str) -> bytes:
    try:
        return bytes.fromhex(re.sub(r"[ :]", "", digits))
    except ValueError:
        return b""


def _read_base64(blob: str) -> str | None:
    bare = blob.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _as_text(base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None


def _as_text(raw: bytes) -> str | None:
    """Return bytes as a text, or nothing if they are none."""
    try:
        said = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if len(said) < 8:
        return None
    readable = sum(character.isalpha() or character in " .,:;!?'\"\n" for character in said)
    return said if readable >= _READABLE * len(said) and " " in said else None
