"""What a draft must not spell: a rating, the title of a held-back item, or of a pair a verdict."""

import re
from collections.abc import Sequence
from functools import lru_cache

from .verdicts import verdict_in

_SPELLED = (
    r"(?:half|one|two|three|four|five|six|seven|eight|nine|ten"
    r"|ein(?:en)?|zwei|drei|vier|fünf|deux|trois|quatre|cinq|una|dos|tres|cuatro|cinco)"
)
_STARS = r"(?:stars?|stern(?:en?)?|estrellas?|étoiles?)"
_VERDICT = (
    r"(?:rat(?:ed|ings?)|reviews?|scores?|marks?|votes?|verdicts?|\w*wertung(?:en)?|choices?|picks?|buys?"
    r"|purchases?|items?|products?|books?|reads?|films?|movies?|games?|albums?|series|match|fit|one)\b"
)
_ADJECTIVE = rf"(?:star|sterne)[\s-]+(?!{_VERDICT})[^\W\d]"
_RATING = re.compile(
    r"(?<![\w/])(?<!\d[.,])\d{1,3}(?:[.,]\d{1,2})?\s*(?:/|out of|von|sur|de)\s*(?:5|10|100)\b(?![/.,]?\d)"
    rf"|\b\d{{1,2}}(?:[.,]\d{{1,2}})?\s*½?[\s-]*{_STARS}\b"
    # "four-star hotels" says what is liked, "a five-star read" and "five stars" how much.
    rf"|\b{_SPELLED}(?:\s+|-(?!{_ADJECTIVE})){_STARS}\b"
    r"|\d\s*[★⭐🌟]|(?:[★☆✩✪✭✮✯⭐🌟]\ufe0f?\s*){2,}"
    r"|\b(?:rates?|rated|rating|gave|gives?|would give)\s*(?:it|this|them)?\s*(?:a|an|of|at|as)?"
    r"\s*\d+(?:[.,]\d+)?",
    re.IGNORECASE,
)
_ARTICLES = frozenset({"the", "a", "an", "la", "le", "les", "der", "die", "das", "el", "los", "las"})
_SHORTEST_TITLE = len("  abcd")
"""Folded length from which a title is long enough not to be met by chance."""


def leak_penalty(text: str, targets: Sequence[str], known: str, *, verdicts: bool = False) -> float:
    """1 if the text spells a rating, a verdict, or a held-back title that the visible history does not contain.

    A title counts with its article in front (`The Matrix`) and behind (`Matrix, The`). Words like a rating
    are none if they are part of a name in the visible history (`Five Star Final`), or a spelled number of
    stars joined by a hyphen to what it describes (`four-star hotels`).

    Args:
        text: The draft.
        targets: Titles of the held-back items (and of the item of a pair).
        known: Text of the visible history; a title that occurs there is no secret.
        verdicts: Whether to look for verdicts, which only a pair has anything to pass on; see `verdict_in`.

    Examples:
        >>> leak_penalty("Will love The Long Way Home.", ["The Long Way Home"], "other things")
        1.0
        >>> leak_penalty("Would give it 4.5 out of 5.", [], "")
        1.0
        >>> leak_penalty("Not for this person.", [], "", verdicts=True)
        1.0
        >>> leak_penalty("Likes long walks home.", ["The Long Way Home"], "")
        0.0
    """
    folded, seen = _fold(text), _fold_history(known)
    for target in targets:
        forms = _forms(target)
        if any(form in folded for form in forms) and not any(form in seen for form in forms):
            return 1.0
    if verdicts and verdict_in(text, known):
        return 1.0
    return float(any(not _is_in_a_name(rating, known) for rating in _RATING.finditer(text)))


@lru_cache(maxsize=1024)
def _forms(title: str) -> tuple[str, ...]:
    """Return a title folded, with its article in front and behind; nothing for one too short to tell.

    Examples:
        >>> _forms("Matrix, The (1999)"), _forms("The Matrix"), _forms("Up")
        ((' the matrix ', ' matrix the '), (' the matrix ', ' matrix the '), ())
    """
    folded = _fold(title)
    if len(folded) < _SHORTEST_TITLE:
        return ()
    words = folded.split()
    behind = re.search(r",\s*(\w+)\s*(?:\(\d{4}\)\s*)?$", title.casefold())
    if behind and behind[1] in _ARTICLES:
        words = [words[-1], *words[:-1]]
    if words[0] not in _ARTICLES or len(words) == 1:
        return (folded,)
    return (f" {' '.join(words)} ", f" {' '.join([*words[1:], words[0]])} ")


def _is_in_a_name(rating: re.Match[str], known: str) -> bool:
    """Whether a rating's words and a neighbour's stand in the history, with capitals as names have them."""
    before = re.search(r"\w+[ -]+$", rating.string[: rating.start()])
    after = re.match(r"[ -]+\w+", rating.string[rating.end() :])
    longer = [f"{before[0]}{rating[0]}"] if before else []
    longer += [f"{rating[0]}{after[0]}"] if after else []
    for run in longer:
        words = r"[ -]+".join(re.escape(word) for word in re.split(r"[ -]+", run))
        for found in re.finditer(rf"\b{words}\b", known, re.IGNORECASE):
            if not found[0].isupper() and not re.search(r"\b(?!out\b|of\b)[a-zß-ÿ]", found[0]):
                return True
    return False


def _fold(text: str) -> str:
    """Lower-case words between single blanks, without a year in brackets and punctuation."""
    without_year = re.sub(r"\(\d{4}\)", " ", text.casefold())
    words = " ".join(re.findall(r"\w+", without_year))
    return f" {words} "


@lru_cache(maxsize=64)
def _fold_history(text: str) -> str:
    """Fold a text that all drafts of a run are compared with."""
    return _fold(text)
