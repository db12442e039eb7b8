"""Whether a turn can tell anything about who says it; decided by words alone, so that small talk costs no call."""

from ..phrase_tables import blank, fold
from ..quotations import own_words, unveiled, without_veiled
from ..stance_tables import tables
from ..stances import split_sentences, statements, wish_in
from .chat_words import chat_words

_FEWEST_LETTERS = 8
"""Letters of a statement that may tell something, in writing that spells words."""

_FEWEST_SIGNS = 4
"""The same where a sign is a syllable or a word."""

_FIRST_SIGN = "\u3040"
"""From here on writing is such: kana, Chinese characters, Hangul."""


def telling(text: str, language: str) -> list[str]:
    """Return the sentences of a turn that can tell something about who says it; none means that no model is asked.

    In a language with a table these are statements that take a side, speak in the first person, or wish for a
    treatment; requests for something to be done now are passed over. In any other language they are all statements of
    a few words.

    Examples:
        >>> telling("Thanks! Can you give me five pasta recipes?", "en")
        []
        >>> telling("I can't eat nuts, so what can I bake?", "en")
        ["I can't eat nuts"]
    """
    said = own_words(text, language)
    wished = [sentence for sentence in split_sentences(said) if wish_in(sentence, language)]
    stated = [sentence for sentence in statements(said) if sentence not in wished]
    found = {*wished, *(sentence for sentence in stated if _tells(sentence, language))}
    return [unveiled(sentence) for sentence in dict.fromkeys((*stated, *wished)) if sentence in found]


def states_anything(text: str) -> bool:
    """Whether a turn states anything at all, of whomever; greetings, thanks and questions do not."""
    return any(_says(sentence) for sentence in statements(own_words(text)))


def _tells(sentence: str, language: str) -> bool:
    words, table = chat_words().get(language), tables().get(language)
    if words is None or table is None:
        return _says(sentence)
    folded = fold(sentence)
    rest = blank(folded, words.errand.finditer(folded))
    if table.courtesy:
        rest = blank(rest, table.courtesy.finditer(rest))
    return any(pattern.search(rest) for pattern in (words.self, table.dislike, table.like))


def _says(sentence: str) -> bool:
    letters = [character for character in without_veiled(sentence) if character.isalpha()]
    signs = sum(character >= _FIRST_SIGN for character in letters)
    return len(letters) >= _FEWEST_LETTERS or signs >= _FEWEST_SIGNS
