"""Whether a turn can tell anything about who says it; decided by words alone, so that small talk costs no call."""

import re
from collections.abc import Iterator

from ..stances import blank, fold, statements, tables
from .chat_words import chat_words

_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_QUOTED = re.compile(r"^\s*>.*$", re.MULTILINE)
_LINK = re.compile(r"\S+://\S+")
_FEWEST_LETTERS = 8


def own_words(text: str) -> str:
    r"""Return a turn without code, quoted lines and links, which are somebody else's words.

    Examples:
        >>> own_words("I like this:\n> to be\n```x = 1```")
        'I like this:'
    """
    for pattern in (_CODE, _QUOTED, _LINK):
        text = pattern.sub(" ", text)
    return text.strip()


def telling(text: str, language: str) -> list[str]:
    """Return the sentences of a turn that can tell something about who says it; none means that no model is asked.

    In a language with a table these are statements that take a side, speak in the first person, or begin like a
    lasting wish; requests for something to be done now are passed over. In any other language they are all statements
    of a few words.

    Examples:
        >>> telling("Thanks! Can you give me five pasta recipes?", "en")
        []
        >>> telling("I can't eat nuts, so what can I bake?", "en")
        ["I can't eat nuts"]
    """
    return [sentence for sentence in statements(own_words(text)) if _tells(sentence, language)]


def states_anything(text: str) -> bool:
    """Whether a turn states anything at all, of whomever; greetings, thanks and questions do not."""
    stated = (sentence for sentence in statements(own_words(text)))
    return any(sum(map(str.isalpha, sentence)) >= _FEWEST_LETTERS for sentence in stated)


def wishes(text: str, language: str) -> Iterator[tuple[str, bool]]:
    """Yield the sentences that begin like a lasting wish, and whether they are for something.

    Examples:
        >>> list(wishes("Please never use emojis. From now on be brief.", "en"))
        [('Please never use emojis.', False), ('From now on be brief.', True)]
    """
    words = chat_words().get(language)
    if words is None:
        return
    for sentence in statements(own_words(text)):
        folded = fold(sentence).replace(",", "")
        if words.dislike.match(folded):
            yield sentence, False
        elif words.like.match(folded):
            yield sentence, True


def _tells(sentence: str, language: str) -> bool:
    words, table = chat_words().get(language), tables().get(language)
    if words is None or table is None:
        return sum(character.isalpha() for character in sentence) >= _FEWEST_LETTERS
    folded = fold(sentence)
    plain = folded.replace(",", "")
    if words.like.match(plain) or words.dislike.match(plain):
        return True
    rest = blank(folded, words.errand.finditer(folded))
    if table.courtesy:
        rest = blank(rest, table.courtesy.finditer(rest))
    return any(pattern.search(rest) for pattern in (words.self, table.dislike, table.like))
