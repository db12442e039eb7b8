"""What changed between two texts, word by word."""

import re
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

_TOKEN = re.compile(r"\s+|[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]")
"""White space, one sign of a script without spaces, a word, or one mark."""

Change = Literal["same", "added", "removed"]


class Piece(NamedTuple):
    """Words that stayed, came or went together."""

    change: Change
    text: str


def diff_words(old: str, new: str) -> tuple[Piece, ...]:
    """Return the pieces of both texts in order; what stayed and came is `new`, what stayed and went is `old`.

    Examples:
        >>> [tuple(piece) for piece in diff_words("Likes green tea.", "Likes black tea.")]
        [('same', 'Likes '), ('removed', 'green'), ('added', 'black'), ('same', ' tea.')]
    """
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    pieces: list[Piece] = []
    gone = come = ""
    for tag, start, end, from_, to in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        stayed = "".join(after[from_:to]) if tag == "equal" else ""
        if stayed.strip() or (stayed and not gone + come):
            pieces += [*_changed(gone, come), Piece("same", stayed)]
            gone = come = ""
        else:  # spaces between two changes belong to both: a reader follows phrases, not single words
            gone += stayed or "".join(before[start:end])
            come += stayed or "".join(after[from_:to])
    return (*pieces, *_changed(gone, come))


def _changed(gone: str, come: str) -> list[Piece]:
    return [Piece("removed", gone)] * bool(gone) + [Piece("added", come)] * bool(come)


def count_words(pieces: tuple[Piece, ...], change: Change) -> int:
    """Count the words that changed in one way.

    Examples:
        >>> count_words((Piece("added", "two words."), Piece("removed", "one")), "added")
        2
    """
    return sum(len(re.findall(r"\w+", piece.text)) for piece in pieces if piece.change == change)
