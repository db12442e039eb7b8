"""Other people in somebody's words: names behind a word for who they are to the writer, and street addresses.

Without a trained recogniser, a name is known only where the text introduces it ("my friend Anna Berg"); then it is
found in the rest of the same text too. Everybody else's name, a writer's or a brand's above all, is left alone.
"""

import re
from collections.abc import Iterator
from functools import cache

from .orders import Span
from .privacy_words import privacy_words

_NAME = re.compile(
    r"[\s,(:]{1,3}(?:(?:Dr|Mr|Mrs|Ms|Herr|Frau|M|Mme|Sr|Sra|Sig|Dhr|Mevr|Pan|Pani)\.?\s)?"
    r"((?:(?!\d)\w[\w'’-]*)(?:\s(?:van|von|de|da|der|den|di|del|la|le)(?=\s))*(?:\s(?!\d)\w[\w'’-]+){0,2})"  # noqa: RUF001
)
_HAN_NAME = re.compile(
    r"(?:叫|是)?([王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段][一-鿿]{1,2})"
)
_JA_NAME = re.compile(r"([一-鿿ぁ-んァ-ヶ]{1,6}?)(?=さん|君|くん|ちゃん|様|氏)")
_UNSPACED_ADDRESSES = (
    re.compile(r"[一-鿿]{1,4}[都道府県市区町村][一-鿿\d]{0,12}?\d{1,3}(?:丁目|[-−])[\d番号−-]*"),  # noqa: RUF001
    re.compile(r"[一-鿿]{2,3}(?:路|街|道|巷|弄)\s?\d{1,5}\s?[号號弄](?:[\d一-鿿]{0,6}(?:室|楼|层|单元))?"),
)
_SMALL = frozenset(
    {
        "van",
        "von",
        "de",
        "da",
        "do",
        "dos",
        "das",
        "der",
        "den",
        "di",
        "du",
        "des",
        "del",
        "dei",
        "la",
        "le",
        "les",
    }
)
# What may be repeated is bounded, so that the time a text takes does not grow with the square of its length.
_PARTS = {
    "number": r"\d{1,4}(?:\s?[a-zA-Z]|\sbis)?(?!\w)",
    "name": r"(?P<name>(?:(?:de|du|des|la|le|l|da|do|dos|das|del|della|dei)\s){0,3}[^\W\d_][\w'’.-]{0,40}(?:\s[^\W\d_][\w'’.-]{0,40}){0,3}?)",  # noqa: RUF001
    "street": r"(?i:{street})\.?",
    "joined": r"(?P<name>[^\W\d_][\w-]{{0,40}}?)-?(?i:{street})\.?",
}
_LOOKED_FOR = 100
"""Names of one text that are looked for all over it; further ones are redacted where they are introduced."""

_BETWEEN = r",?\s(?:(?i:no|nr|n[º°])[.:]?\s?|д\.\s?)?"


def person_spans(text: str) -> Iterator[Span]:
    """Yield where other people's names, and street addresses, stand; stretches may overlap."""
    introduced = list(_names(text))
    yield from (span for _, span in introduced)
    for name in list(dict.fromkeys(name for name, _ in introduced))[:_LOOKED_FOR]:
        yield from (Span(*found.span()) for found in _anywhere(name).finditer(text))
    yield from _addresses(text)


def _names(text: str) -> Iterator[tuple[str, Span]]:
    """Yield the names that a text introduces, and where it does."""
    lowered = text.lower()
    if len(lowered) != len(text):
        return
    for code, words in privacy_words().items():
        for kin in words.kin.finditer(lowered):
            found = (
                _HAN_NAME.match(text, kin.end())
                if code == "zh"
                else _JA_NAME.match(text, kin.end())
                if code == "ja"
                else _NAME.match(text, kin.end())
            )
            name = _proper(found[1]) if found and code not in ("zh", "ja") else found[1] if found else ""
            if name and found:
                start = text.index(name, found.start(1)) if name in found[1] else found.start(1)
                yield name, Span(start, start + len(name))


def _proper(words: str) -> str:
    """Return the capitalised words that a run begins with, small words between them included."""
    kept: list[str] = []
    for word in words.split():
        if not word[0].isupper() and word not in _SMALL:
            break
        kept.append(word)
    while kept and not kept[-1][0].isupper():
        kept.pop()
    while kept and not kept[0][0].isupper():
        kept.pop(0)
    shouted = kept and len(kept[0]) > 2 and kept[0].isupper()  # "my friend LOVED it"
    return " ".join(kept) if kept and len(kept[0]) > 1 and not shouted else ""


def _anywhere(name: str) -> re.Pattern[str]:
    """Return a pattern for a name, and for each of its longer words alone, with a possessive ending or without."""
    parts = [name, *(word for word in name.split() if len(word) > 2 and word[0].isupper())]
    spelled = "|".join(re.escape(part) for part in parts)
    return re.compile(rf"(?<!\w)(?:{spelled})(?!\w)" if name.isascii() or " " in name else f"(?:{spelled})")


def _addresses(text: str) -> Iterator[Span]:
    """Yield street addresses: a street's word, its name and a number."""
    if not any(character.isdigit() for character in text):
        return
    for pattern in _streets():
        for found in pattern.finditer(text):
            if _proper(found["name"]):
                yield Span(*found.span())
    for pattern in _UNSPACED_ADDRESSES:
        yield from (Span(*found.span()) for found in pattern.finditer(text))


@cache
def _streets() -> tuple[re.Pattern[str], ...]:
    """Return a pattern for each language's way to write a street and its number."""
    return tuple(
        re.compile(
            r"(?<!\w)"
            + _BETWEEN.join(
                _PARTS[part].format(street=words.street) if "street}" in _PARTS[part] else _PARTS[part]
                for part in words.address
            )
        )
        for words in privacy_words().values()
        if words.address
    )
