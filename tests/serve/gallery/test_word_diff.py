"""What changed between two texts, word by word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.serve.gallery.word_diff import Piece, count_words, diff_words


def test_equal_texts_are_one_piece() -> None:
    assert diff_words("Likes tea.", "Likes tea.") == (Piece("same", "Likes tea."),)


def test_of_two_empty_texts_nothing_is_said() -> None:
    assert diff_words("", "") == ()


def test_a_replaced_word_goes_before_the_new_one_comes() -> None:
    assert diff_words("Likes tea.", "Likes tart plums.") == (
        Piece("same", "Likes "),
        Piece("removed", "tea"),
        Piece("added", "tart plums"),
        Piece("same", "."),
    )


def test_words_that_change_side_by_side_change_together() -> None:
    assert diff_words("He likes red wine.", "He hates cold beer.") == (
        Piece("same", "He "),
        Piece("removed", "likes red wine"),
        Piece("added", "hates cold beer"),
        Piece("same", "."),
    )


def test_signs_of_a_script_without_spaces_change_one_by_one() -> None:
    # Of six signs the fourth changed; a diff by spaces would replace the whole sentence.
    assert diff_words("彼女は茶好き", "彼女は花好き") == (
        Piece("same", "彼女は"),
        Piece("removed", "茶"),
        Piece("added", "花"),
        Piece("same", "好き"),
    )


@pytest.mark.parametrize(("change", "count"), [("added", 2), ("removed", 1), ("same", 1)])
def test_words_are_counted_without_marks(change: str, count: int) -> None:
    pieces = diff_words("Likes tea.", "Likes tart plums.")

    assert count_words(pieces, change) == count  # type: ignore[arg-type]  # parametrised as plain text


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_pieces_hold_both_texts(old: str, new: str) -> None:
    pieces = diff_words(old, new)

    assert "".join(piece.text for piece in pieces if piece.change != "added") == old
    assert "".join(piece.text for piece in pieces if piece.change != "removed") == new
