"""Scores by common words, weighted by how rare they are: a scorer of another family than any encoder."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..tools.language import stop_words
from ..tools.matrices import Matrix, sparse
from .dataset import FloatArray

_WORD = re.compile(r"\w{2,}")


class WordScores:
    """TF-IDF cosine of texts with the items of a catalogue.

    Args:
        texts: What is known of each item.
        language: Whose stop words do not count.
    """

    def __init__(self, texts: Sequence[str], language: str = "en") -> None:
        self._stops = stop_words(language)
        counted = [self._count(text) for text in texts]
        spread = Counter(word for counts in counted for word in counts)
        self._column = {word: place for place, word in enumerate(spread)}
        seen = np.fromiter(spread.values(), np.float64, len(spread))
        self._idf = np.log((1.0 + len(texts)) / (1.0 + seen)) + 1.0
        self._items = self._weigh(counted)

    def score(self, texts: Sequence[str]) -> FloatArray:
        """Return the cosine of each text with each item, shape `(len(texts), items)`."""
        asked = self._weigh([self._count(text) for text in texts])
        scores: FloatArray = (asked @ self._items.T).toarray().astype(np.float32)
        return scores

    def _count(self, text: str) -> Counter[str]:
        return Counter(word for word in _WORD.findall(text.casefold()) if word not in self._stops)

    def _weigh(self, counted: Sequence[Counter[str]]) -> Matrix:
        """Return unit rows of weights, one a text."""
        rows: list[int] = []
        columns: list[int] = []
        values: list[float] = []
        for row, counts in enumerate(counted):
            for word, count in counts.items():
                if (column := self._column.get(word)) is not None:
                    rows.append(row)
                    columns.append(column)
                    values.append((1.0 + np.log(count)) * self._idf[column])
        table: Matrix = sparse.csr_matrix((values, (rows, columns)), shape=(len(counted), len(self._column)))
        norms = np.sqrt(np.asarray(table.multiply(table).sum(axis=1)).ravel())
        return sparse.diags(1.0 / np.where(norms > 0, norms, 1.0)) @ table
