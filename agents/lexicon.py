"""The phrases that can name a person's interests, taken from the history's own words.

A phrase is a category, a tag, a brand, the decade of a year in the title, or up to three neighbouring words of a
title or a review. Its weight is how often the history uses it times how much it tells about the catalogue.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from ..records import Item
from ..tools.language import stop_words

_WORD = re.compile(r"[^\W\d_][\w'’-]*", re.UNICODE)  # noqa: RUF001  # typographic apostrophes are letters here
_YEAR = re.compile(r"\((\d{3})\d\)")
_MOST_WORDS = 3
_MOST_CHARACTERS = 40
_MOST_TAGS = 8
_UNSHARED = 0.3
_DAMPING = 3.0
_REVIEW_WORDS = 60


class Lexicon:
    """How many catalogue items use each phrase."""

    def __init__(self) -> None:
        self._frequency: Counter[str] = Counter()
        self._items = 0

    def learn(self, items: Iterable[Item]) -> None:
        """Count the phrases of more items."""
        for item in items:
            self._items += 1
            self._frequency.update(set(item_phrases(item)))

    def value(self, phrase: str) -> float:
        """Return how well a phrase can tell what comes next, in nats, >= 0.

        Inverse document frequency, damped where few other items use the phrase: what no other item has
        cannot point at one.
        """
        if self._items == 0:
            return 1.0  # without a catalogue only repetition tells
        others = max(self._frequency[phrase] - 1, 0)
        rarity = math.log((1 + self._items) / (1 + self._frequency[phrase]))
        return rarity * (others + _UNSHARED) / (others + _DAMPING)

    def knows(self, phrase: str) -> bool:
        """Whether any catalogue item uses the phrase."""
        return self._frequency[phrase] > 0

    def common(self, phrase: str) -> bool:
        """Whether more than half of the catalogue uses the phrase, so that it tells nobody apart."""
        return self._items >= 10 and self._frequency[phrase] > self._items / 2


def item_phrases(item: Item, language: str = "en") -> list[str]:
    """Return the phrases of an item, publisher's labels first, without repetition."""
    labels = [
        *item.categories,
        *item.tags[:_MOST_TAGS],
        *([item.brand] if item.brand else []),
        *_decade(item),
    ]
    phrases = [_tidy(label) for label in labels]
    if len(phrases) < 2:  # few labels: the title has to serve
        phrases += text_phrases(item.title, language)
    return list(dict.fromkeys(phrase for phrase in phrases if phrase))


def _decade(item: Item) -> list[str]:
    """Return the decade of a year in brackets in the title, as films have."""
    year = _YEAR.search(item.title)
    return [f"{year.group(1)}0s"] if year else []


def text_phrases(text: str, language: str, most_words: int = _MOST_WORDS) -> list[str]:
    """Return runs of up to `most_words` neighbouring content words, longest first within a run.

    Examples:
        >>> text_phrases("The quiet garden of stones", "en", most_words=2)
        ['quiet garden', 'quiet', 'garden', 'stones']
    """
    stops = stop_words(language)
    runs: list[list[str]] = [[]]
    for match in re.finditer(r"[\w'’-]+|[^\w\s]", text.casefold()):  # noqa: RUF001  # as above
        word = match.group()
        if _WORD.fullmatch(word) and word not in stops and len(word) > 2:
            runs[-1].append(word)
        else:
            runs.append([])
    grams = (
        " ".join(run[start : start + size])
        for run in runs
        for size in range(min(most_words, len(run)), 0, -1)
        for start in range(len(run) - size + 1)
    )
    return list(dict.fromkeys(gram for gram in grams if 3 < len(gram) <= _MOST_CHARACTERS))


def review_phrases(text: str, language: str) -> list[str]:
    """Return the phrases of at most two words in the first words of a review."""
    return text_phrases(" ".join(text.split()[:_REVIEW_WORDS]), language, most_words=2)


def rank_phrases(
    mentions: Sequence[tuple[Sequence[str], float]], lexicon: Lexicon, *, limit: int
) -> list[tuple[str, float]]:
    """Rank phrases by weighted count times value, best first.

    Args:
        mentions: For each interaction, its phrases and how much it counts.
        lexicon: Value of phrases.
        limit: Most phrases to return.

    Returns:
        Phrase and weight. Left out are phrases that are part of a better one, that most items share, or that
        were said once and no item uses.
    """
    weights: Counter[str] = Counter()
    for phrases, weight in mentions:
        for phrase in phrases:
            weights[phrase] += weight  # type: ignore[assignment]  # a Counter holds any number
    uses = Counter(phrase for phrases, _ in mentions for phrase in set(phrases))
    scored = [
        (phrase, count * lexicon.value(phrase))
        for phrase, count in weights.items()
        if not lexicon.common(phrase) and (uses[phrase] > 1 or lexicon.knows(phrase))
    ]
    kept: list[tuple[str, float]] = []
    said: list[set[str]] = []
    for phrase, weight in sorted(scored, key=lambda entry: (-entry[1], entry[0])):
        words = {word.rstrip("s") for word in phrase.split()}  # plurals alike
        if weight > 0 and not any(words <= better or better <= words for better in said):
            kept.append((phrase, weight))
            said.append(words)
        if len(kept) == limit:
            break
    return kept


def _tidy(label: str) -> str:
    """Lower-case a label and drop what would break a sentence."""
    cleaned = re.sub(r"[^\w\s'’&-]", " ", label.casefold())  # noqa: RUF001  # as above
    cleaned = " ".join(cleaned.split())
    return cleaned if 2 < len(cleaned) <= _MOST_CHARACTERS else ""
