"""BM25 over the texts of items: what the words of a history find, without a model or other users."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveInt

from ...errors import MissingExtraError
from ...records import Record
from ...tools.bm25 import Bm25Index
from ..dataset import FloatArray
from ..matrices import newest_items
from ..options import named, read_options
from ..splits import Past, Queries
from ..system import System
from ..workspace import Workspace


class Bm25Options(Record):
    """Settings of the index and of the question put to it."""

    k1: NonNegativeFloat = 1.5
    """How much a word's repetition in an item's text counts."""

    b: Annotated[float, Field(ge=0.0, le=1.0)] = 0.75
    """How much long texts are held back."""

    last: PositiveInt = 10
    """Newest items of a history whose texts are asked for."""

    reviews: bool = True
    """Whether the user's own words about these items are asked for too."""

    chars: PositiveInt = 2000
    """Characters of a text that are read."""


class Bm25:
    """Asks a BM25 index of the catalogue for the words of the newest items.

    Args:
        options: Settings.

    Raises:
        MissingExtraError: `bm25s` is not installed.
    """

    def __init__(self, options: Bm25Options | None = None) -> None:
        if importlib.util.find_spec("bm25s") is None:
            raise MissingExtraError("BM25", "evals")
        self.options = options or Bm25Options()
        self.name = named("bm25", self.options)

    def fit(self, past: Past) -> None:
        """Index the catalogue."""
        texts = [item.describe(self.options.chars) for item in past.items]
        self._index = Bm25Index(texts, k1=self.options.k1, b=self.options.b)

    def score(self, queries: Queries) -> FloatArray:
        """Add up what every word finds; a history without words scores all items alike."""
        texts = self._index.counts
        words = newest_items(queries, texts.shape[0], last=self.options.last) @ texts
        if self.options.reviews and queries.history.text is not None:
            words = words + self._index.count(self._reviews(queries, queries.history.text))
        return self._index.find(words)

    def _reviews(self, queries: Queries, texts: Sequence[str]) -> Iterator[list[str]]:
        for start, end in zip(queries.starts[:-1], queries.starts[1:], strict=True):
            rows = range(max(start, end - self.options.last), end)
            yield [texts[row][: self.options.chars] for row in rows]


def make(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build the system from a spec's options."""
    del workspace
    return Bm25(read_options(Bm25Options, "bm25", options))
