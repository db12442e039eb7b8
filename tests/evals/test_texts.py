"""Texts in one block: they read like a list of strings."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from limner.evals.texts import Texts

STRINGS = st.lists(st.text(st.characters(blacklist_categories=[])), max_size=20)


@given(strings=STRINGS, data=st.data())
def test_any_strings_come_back_in_any_order(strings: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(strings) - 1), max_size=30)) if strings else []

    texts = Texts.of(strings)

    assert texts == strings
    assert list(texts.take(np.array(rows, dtype=np.int64))) == [strings[row] for row in rows]
    assert texts[1:3] == strings[1:3]


def test_texts_compare_and_hash_by_what_they_say() -> None:
    one, other = Texts.of(["a", ""]), Texts.of(["", "a"])

    assert one != other
    assert one == other[::-1]
    assert hash(one) == hash(other[::-1])
    assert one[-1] == ""
    assert one != "a"
