"""The index scores as the library does."""

from typing import Any

import numpy as np
import pytest

from limner.tools.bm25 import Bm25Index, words_of

bm25s: Any = pytest.importorskip("bm25s")

TEXTS = ["red ink pen", "red red cup", "tea cup and tea pot", "", "blue ink"]


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.2)])
def test_scores_equal_those_of_the_library(k1: float, b: float) -> None:
    library = bm25s.BM25(k1=k1, b=b)
    library.index([words_of(text) for text in TEXTS], show_progress=False)

    scores = Bm25Index(TEXTS, k1=k1, b=b).score(["Red tea!", "ink ink cup"])

    expected = [library.get_scores(["red", "tea"]), library.get_scores(["ink", "ink", "cup"])]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_unknown_words_and_none_score_all_texts_alike() -> None:
    index = Bm25Index(TEXTS)

    assert not index.score(["green", ""]).any()
    assert index.score([]).shape == (0, len(TEXTS))
    assert Bm25Index(["", ""]).score(["red"]).tolist() == [[0.0, 0.0]]


def test_the_parts_of_a_text_count_together() -> None:
    index = Bm25Index(TEXTS)

    parted = index.count([["red", "blue red"], []])

    np.testing.assert_array_equal(index.find(parted), index.score(["red blue red", ""]))
