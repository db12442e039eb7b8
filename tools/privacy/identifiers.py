"""Numbers and addresses by which people are reached or paid: e-mail, phone, card, bank account."""

import re
from collections.abc import Iterator, Sequence

from .orders import Span

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+%-]{1,64}\s?(?:@|\s?[\[(]\s?at\s?[\])]\s?)\s?[\w-]+(?:(?:\.|\s?[\[(]\s?dot\s?[\])]\s?)[\w-]+)*"
    r"(?:\.|\s?[\[(]\s?dot\s?[\])]\s?)[^\W\d_]{2,24}(?!\w)",
    re.IGNORECASE,
)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}(?!\w)")
_DIALLED = re.compile(r"[+(\d][\d\s().\-/\u00a0]{5,24}\d")
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FO", "GL", "NL"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS"), 22),
    **dict.fromkeys(("AE", "GI", "IL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("PT",), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("FR", "GR", "IT", "MC", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "CY", "DO", "GT", "HU", "LB", "PL"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU"), 30),
    **dict.fromkeys(("MT",), 31),
    **dict.fromkeys(("RU",), 33),
}
"""Characters of each country's bank account numbers (IBAN registry, SWIFT)."""

_LETTERS = {letter: str(ord(letter) - 55) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def identifier_spans(text: str, regions: Sequence[str]) -> Iterator[Span]:
    """Yield where identifiers stand; stretches may overlap.

    Args:
        text: Somebody's words.
        regions: Countries whose phone numbers are known without `+` too; none for publishers' texts, whose article
            numbers look alike.
    """
    if "@" in text or "at" in text:
        yield from (Span(*found.span()) for found in _EMAIL.finditer(text))
    if sum(character.isdigit() for character in text) < _FEWEST_DIGITS:
        return
    yield from (Span(*found.span()) for found in _CARD.finditer(text) if is_card(found[0]))
    for found in _IBAN.finditer(text):
        length = iban_length(found[0])
        if length:
            yield Span(found.start(), found.start() + length)
    yield from _phones(text, regions)


def is_card(digits: str) -> bool:
    """Whether digits are a card number: 13 to 19 of them, a known issuer's first, and a sum that fits (Luhn).

    Examples:
        >>> is_card("4111 1111 1111 1111"), is_card("4111 1111 1111 1112")
        (True, False)
    """
    bare = [int(digit) for digit in digits if digit.isdigit()]
    if not 13 <= len(bare) <= 19 or bare[0] not in (2, 3, 4, 5, 6):
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in bare[-2::-2])
    return (sum(bare[-1::-2]) + sum(doubled)) % 10 == 0


def iban_length(written: str) -> int:
    """Return how many characters of a stretch are a bank account number (IBAN, ISO 13616); 0 if none.

    Words that follow may look like part of the number, so only as many characters are read as the country's have.

    Examples:
        >>> iban_length("DE89 3704 0044 0532 0130 00"), iban_length("DE89 3704 0044 0532 0130 01")
        (27, 0)
    """
    wanted = _IBAN_LENGTHS.get(written[:2].upper(), 0)
    places = [place for place, character in enumerate(written) if character.isalnum()]
    if not wanted or len(places) < wanted:
        return 0
    end = places[wanted - 1] + 1
    bare = re.sub(r"[ -]", "", written[:end]).upper()
    return end if _remainder(bare) == 1 and not written[end : end + 1].isalnum() else 0


def _remainder(bare: str) -> int:
    turned = "".join(_LETTERS.get(character, character) for character in bare[4:] + bare[:4])
    return int(turned) % 97 if turned.isascii() and turned.isdigit() else 0


def _phones(text: str, regions: Sequence[str]) -> Iterator[Span]:
    """Yield phone numbers: with `+` those of any country, without it those that are valid in one of the regions."""
    likely = [
        found
        for found in _DIALLED.finditer(text)
        if _FEWEST_DIGITS <= sum(character.isdigit() for character in found[0]) <= _MOST_DIGITS
    ]
    if not likely:
        return
    from phonenumbers import Leniency, PhoneNumberMatcher  # its tables take a moment to load

    if "+" in text:
        yield from (Span(found.start, found.end) for found in PhoneNumberMatcher(text, None))
    if not any(_is_dialled(found[0]) for found in likely):
        return
    for region in regions:
        for found in PhoneNumberMatcher(text, region, leniency=Leniency.STRICT_GROUPING):
            if _is_dialled(found.raw_string):
                yield Span(found.start, found.end)


def _is_dialled(written: str) -> bool:
    """Whether digits are written as people write phone numbers: a leading 0, + or bracket, or mobile-long groups."""
    groups = re.findall(r"\d+", written)
    bare = "".join(groups)
    opens = written.startswith(("+", "(", "0"))
    return opens or (len(groups) >= 3 and 9 <= len(bare) <= 11) or (len(groups) == 1 and len(bare) == 11)
