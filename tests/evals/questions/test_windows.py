"""How much of a history a model's window holds, and the columns of lengths."""

from pathlib import Path

import numpy as np
import pytest

from limner.evals.questions.windows import (
    RESERVE,
    Window,
    length_columns,
    length_group,
    newest_that_fit,
    open_window,
)
from limner.settings import Settings


def words(text: str) -> int:
    """Count words."""
    return len(text.split())


@pytest.mark.parametrize(
    ("room", "told", "cut"),
    [
        (None, "one two three\nfour\nfive six", False),
        (9, "one two three\nfour\nfive six", False),  # 4 + 2 + 3 with their line breaks
        (8, "four\nfive six", True),
        (5, "four\nfive six", True),
        (4, "five six", True),
        (2, "", True),
    ],
)
def test_the_newest_lines_that_fit_are_told(room: int | None, told: str, cut: bool) -> None:
    window = Window(words, None if room is None else room + RESERVE)

    assert newest_that_fit(["one two three", "four", "five six"], window) == (told, cut)


def test_an_embedded_models_window_is_its_engines_and_an_unlisted_ones_is_unknown(tmp_path: Path) -> None:
    embedded = open_window(Settings(model="limner/nothing-there", models_dir=tmp_path))
    unlisted = open_window(Settings(model="openai/no-such-model", models_dir=tmp_path))

    assert embedded.size == 4096
    assert embedded.room == 4096 - RESERVE
    assert unlisted.size is None
    assert unlisted.room is None


def test_accuracy_is_split_by_the_length_of_the_history_whatever_was_told() -> None:
    values = {"accuracy": np.array([1.0, 0.0, 1.0]), "probability": np.array([0.9, 0.1, 0.7])}

    found = length_columns(values, ["a b", "", "a b"], [100, 300, 9000], words)

    assert found["context tokens"].tolist() == [2, 0, 2]
    assert found["history tokens"].tolist() == [100, 300, 9000]
    assert [name for name in found if " | " in name] == [
        "accuracy | history up to 256 tokens",
        "accuracy | history up to 512 tokens",
        "accuracy | history above 4096 tokens",
    ]
    np.testing.assert_array_equal(found["accuracy | history up to 512 tokens"], [np.nan, 0.0, np.nan])


def test_bounds_of_lengths_belong_to_the_shorter_group() -> None:
    assert [length_group(tokens) for tokens in (0, 1024, 1025, 4097)] == [
        "history up to 256 tokens",
        "history up to 1024 tokens",
        "history up to 2048 tokens",
        "history above 4096 tokens",
    ]
