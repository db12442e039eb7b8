"""BM25 against the library it uses, and what it is asked."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from limner.evals.splits import Past, Queries
from limner.evals.systems.bm25 import Bm25, Bm25Options
from limner.records import Item
from limner.tools.bm25 import words_of

bm25s: Any = pytest.importorskip("bm25s")

PastOf = Callable[..., Past]
QueriesOf = Callable[..., Queries]

TITLES = ["red ink pen", "red red cup", "tea cup and tea pot", "", "blue ink"]
ITEMS = [Item(item_id=str(number), title=title) for number, title in enumerate(TITLES)]


def test_scores_equal_what_the_library_says_of_the_same_words(past_of: PastOf, queries_of: QueriesOf) -> None:
    system = Bm25()
    library = bm25s.BM25()
    library.index([words_of(title) for title in TITLES], show_progress=False)

    system.fit(past_of([[0]], items=ITEMS))

    asked = [*words_of(TITLES[0]), *words_of(TITLES[1])]
    np.testing.assert_allclose(system.score(queries_of([[0, 1]]))[0], library.get_scores(asked), rtol=1e-5)


def test_only_the_newest_items_are_asked_for(past_of: PastOf, queries_of: QueriesOf) -> None:
    system = Bm25(Bm25Options(last=1))

    system.fit(past_of([[0]], items=ITEMS))

    scores = system.score(queries_of([[0, 2], [2], []]))
    np.testing.assert_array_equal(scores[0], scores[1])
    assert scores[0, 0] == 0 and scores[0, 1] > 0
    assert not scores[2].any()


def test_the_users_own_words_are_asked_for_too(past_of: PastOf, queries_of: QueriesOf) -> None:
    queries = queries_of([[3, 3]], [["blue, forgotten", "unheard of"]])
    newest, all_words, silent = Bm25(Bm25Options(last=1)), Bm25(), Bm25(Bm25Options(reviews=False))
    for system in (newest, all_words, silent):
        system.fit(past_of([[0]], items=ITEMS))

    assert np.flatnonzero(all_words.score(queries)[0]).tolist() == [4]
    assert not newest.score(queries).any()
    assert not silent.score(queries).any()


def test_a_catalogue_without_words_ties_everything(past_of: PastOf, queries_of: QueriesOf) -> None:
    system = Bm25()

    system.fit(past_of([[0]], n_items=3))

    # Describing an item without any text gives no word.
    assert system.score(queries_of([[0]])).tolist() == [[0, 0, 0]]
