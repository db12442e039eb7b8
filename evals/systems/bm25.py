"""BM25 over the texts of items: what the words of a history find, without a model or other users."""

import importlib.util
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt

from ...errors import MissingExtraError
from ...records import Record
from ..dataset import FloatArray
from ..matrices import Matrix, dense, newest_items, sparse
from ..options import named, read_options
from ..splits import Past, Queries
from ..system import System
from ..workspace import Workspace

_WORD = re.compile(r"\w+")


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
        texts = [words_of(item.describe(self.options.chars)) for item in past.items]
        self._numbers: dict[str, int] = {}
        numbered = [[self._numbers.setdefault(word, len(self._numbers)) for word in words] for words in texts]
        self._texts = _counts(numbered, len(self._numbers))
        if not self._numbers:
            self._index: Matrix = sparse.csr_array((0, past.n_items), dtype=np.float32)
            return
        library: Any = import_module("bm25s")
        index = library.BM25(k1=self.options.k1, b=self.options.b)
        index.index((numbered, dict(self._numbers)), show_progress=False, create_empty_token=False)
        parts = (index.scores["data"], index.scores["indices"], index.scores["indptr"])
        shape = (past.n_items, len(self._numbers))
        self._index = sparse.csc_array(parts, shape=shape).T.tocsr()

    def score(self, queries: Queries) -> FloatArray:
        """Add up what every word finds; a history without words scores all items alike."""
        newest = newest_items(queries, self._texts.shape[0], last=self.options.last)
        words = newest @ self._texts
        if self.options.reviews and queries.history.text is not None:
            words = words + _counts(self._reviews(queries, queries.history.text), len(self._numbers))
        return dense(words @ self._index)

    def _reviews(self, queries: Queries, texts: Sequence[str]) -> Iterable[list[int]]:
        for start, end in zip(queries.starts[:-1], queries.starts[1:], strict=True):
            said = (
                texts[row][: self.options.chars] for row in range(max(start, end - self.options.last), end)
            )
            yield [self._numbers[word] for text in said for word in words_of(text) if word in self._numbers]


def words_of(text: str) -> list[str]:
    """Split a text into its words.

    Examples:
        >>> words_of("Serum d'été, 2x")
        ['serum', 'd', 'été', '2x']
    """
    return _WORD.findall(text.casefold())


def _counts(numbered: Iterable[list[int]], width: int) -> Matrix:
    """Return how often each text holds each word, one text a row."""
    columns: list[int] = []
    values: list[int] = []
    ends = [0]
    for words in numbered:
        counted = Counter(words)
        columns += counted.keys()
        values += counted.values()
        ends.append(len(columns))
    parts = (np.array(values, dtype=np.float32), np.array(columns, dtype=np.int64), np.array(ends))
    return sparse.csr_array(parts, shape=(len(ends) - 1, width))


def make(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build the system from a spec's options."""
    del workspace
    return Bm25(read_options(Bm25Options, "bm25", options))
