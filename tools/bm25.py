"""A BM25 index of texts: what words find, without a model."""

import importlib.util
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ..errors import MissingExtraError
from .embedder import FloatArray

sparse: Any = import_module("scipy.sparse")

Matrix = Any
"""A matrix by rows, `scipy.sparse.csr_array`; scipy ships no types."""

_WORD = re.compile(r"\w+")


class Bm25Index:
    """Texts that can be asked for words.

    Args:
        texts: What is indexed; may hold no word at all.
        k1: How much a word's repetition in a text counts, >= 0.
        b: How much long texts are held back, between 0 and 1.

    Raises:
        MissingExtraError: `bm25s` is not installed.

    Source:
        Robertson & Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond", in Lucene's form, which is
        the default of `bm25s` (https://arxiv.org/abs/2407.03618).
    """

    def __init__(self, texts: Sequence[str], *, k1: float = 1.5, b: float = 0.75) -> None:
        if importlib.util.find_spec("bm25s") is None:
            raise MissingExtraError("BM25", "evals")
        self._numbers: dict[str, int] = {}
        numbered = [
            [self._numbers.setdefault(word, len(self._numbers)) for word in words_of(text)] for text in texts
        ]
        self.counts: Matrix = _counts(numbered, len(self._numbers))
        """How often each indexed text holds each known word, shape `(N, W)`."""
        if not self._numbers:
            self._index: Matrix = sparse.csr_array((0, len(texts)), dtype=np.float32)
            return
        library: Any = import_module("bm25s")
        index = library.BM25(k1=k1, b=b)
        index.index((numbered, dict(self._numbers)), show_progress=False, create_empty_token=False)
        parts = (index.scores["data"], index.scores["indices"], index.scores["indptr"])
        self._index = sparse.csc_array(parts, shape=(len(texts), len(self._numbers))).T.tocsr()

    def count(self, texts: Iterable[Iterable[str]]) -> Matrix:
        """Return how often known words stand in each text, given as its parts, shape `(Q, W)`."""
        numbered = (
            [self._numbers[word] for part in parts for word in words_of(part) if word in self._numbers]
            for parts in texts
        )
        return _counts(numbered, len(self._numbers))

    def find(self, words: Matrix) -> FloatArray:
        """Add up what every word finds; shape `(Q, W)` to `(Q, N)`. No words score all texts alike."""
        scores: FloatArray = (words @ self._index).toarray().astype(np.float32, copy=False)
        return scores

    def score(self, texts: Sequence[str]) -> FloatArray:
        """Score every indexed text by the words of each text, shape `(len(texts), N)`."""
        return self.find(self.count([text] for text in texts))


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
