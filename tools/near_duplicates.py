"""Near-duplicates in the catalogue: items so alike that one description serves them all.

Two items are near-duplicates if the cosine of their publisher's texts and the share of common title words reach
their thresholds, and no word that differs is a measure: of other volumes, sizes, numbers and colours one description
would say something wrong. Every item has one representative, itself or an earlier one by id, so the choice depends on
nothing but the catalogue.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from ..records import Item
from .catalogue import Catalogue
from .store import Store

_NEIGHBOURS = 12
"""Nearest items looked at; of more alike ones, some keep a description of their own."""

_ROMAN = re.compile(r"[ivxlc]+")
_SHORTEST_WORD = 3


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Finds representatives, asking the index a bounded number of neighbours an item."""

    store: Store
    catalogue: Catalogue
    cosine: float
    """Cosine from which two items may be near-duplicates."""

    words: float
    """Share of title words in common, at least."""

    _known: dict[str, str] = field(default_factory=dict[str, str], init=False, compare=False)

    async def representatives(self, items: Sequence[Item]) -> dict[str, str]:
        """Return each item's representative, by item id.

        An item's representative is the first by id among its earlier near-duplicates that represent themselves;
        itself if there is none. Items must be indexed.

        Raises:
            UnknownItemError: An item is not indexed.
        """
        self._known.clear()  # flat memory, however many items pass
        near = await self._near(items)
        for item in sorted(items, key=lambda one: one.item_id):
            await self._find(item, near.get(item.item_id, []))
        return {item.item_id: self._known[item.item_id] for item in items}

    async def _find(self, item: Item, earlier: Sequence[Item]) -> str:
        """Look an item's representative up; ids only fall on the way, so it ends."""
        if item.item_id not in self._known:
            found = item.item_id
            for other in earlier:
                if other.item_id not in self._known:
                    await self._find(other, (await self._near([other]))[other.item_id])
                if self._known[other.item_id] == other.item_id:
                    found = other.item_id
                    break
            self._known[item.item_id] = found
        return self._known[item.item_id]

    async def _near(self, items: Sequence[Item]) -> dict[str, list[Item]]:
        """Return each item's near-duplicates of a smaller id, in the order of ids."""
        if not items:
            return {}
        vectors = await self.catalogue.vectors([item.item_id for item in items])
        found = await self.catalogue.search(vectors, _NEIGHBOURS)
        close = [
            [hit.id for hit in hits if hit.score >= self.cosine and hit.id < item.item_id]
            for item, hits in zip(items, found, strict=True)
        ]
        others = await self.store.items(sorted({item_id for ids in close for item_id in ids}))
        return {
            item.item_id: [
                others[item_id]
                for item_id in sorted(ids)
                if item_id in others and titles_match(item.title, others[item_id].title, share=self.words)
            ]
            for item, ids in zip(items, close, strict=True)
        }


def titles_match(one: str, two: str, *, share: float) -> bool:
    """Whether two titles name the same thing: enough words in common, and no measure that differs.

    Args:
        one: A title.
        two: Another.
        share: Words in common over words in either, in [0, 1].

    Examples:
        >>> titles_match("Rose Soap, Handmade in France", "Handmade Rose Soap in France", share=0.8)
        True
        >>> titles_match("Rose Soap, Vol. 1", "Rose Soap, Vol. 2", share=0.5)
        False
        >>> titles_match("Large Rose Soap in Paper", "Small Rose Soap in Paper", share=0.5)
        False
        >>> titles_match("", "", share=0.5)  # nothing says that they are one thing
        False
    """
    first, second = _words(one), _words(two)
    either = first | second
    if not first or not second or len(first & second) < share * len(either):
        return False
    return not any(_is_measure(word) for word in first ^ second)


def _words(title: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", title.casefold()))


def _is_measure(word: str) -> bool:
    """Whether a word counts, measures or names a colour.

    Examples:
        >>> [_is_measure(word) for word in ("500ml", "xl", "viii", "volume", "lavender")]
        [True, True, True, True, False]
    """
    short = len(word) < _SHORTEST_WORD
    return short or any(map(str.isdigit, word)) or bool(_ROMAN.fullmatch(word)) or word in _measures()


@cache
def _measures() -> frozenset[str]:
    text = (files("limner") / "prompts" / "measures.toml").read_text(encoding="utf-8")
    table: Mapping[str, Sequence[str]] = tomllib.loads(text)
    return frozenset(word for words in table.values() for word in words)
